//! The trait of what answers the requests of a server.

use std::pin::Pin;
use std::sync::Arc;

use http::Request;

use crate::answer::Answer;
use crate::body::RequestBody;

/// Answers requests: the hub's own routes, or an application with the hub mounted in it.
///
/// A server has one handler for all its connections, and calls it for every request that it admits.
/// The boxed future is the only allocation of a request before it is read.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request. An error is an answer too.
    fn handle(
        self: Arc<Self>,
        request: Request<RequestBody>,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>>;
}
