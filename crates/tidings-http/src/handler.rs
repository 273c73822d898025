//! What answers the requests of a server.

use std::pin::Pin;
use std::sync::Arc;

use http::Request;

use crate::answer::Answer;
use crate::body::RequestBody;

/// Answers requests: the hub's own routes, or an application with the hub mounted in it.
///
/// A server has one for all its connections, and calls it for every request it lets in. The future
/// is the one allocation that a request costs before it is looked at.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request. Whatever goes wrong is an answer too.
    fn handle(
        self: Arc<Self>,
        request: Request<RequestBody>,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>>;
}
