//! A protocol beside the native API.

use std::fmt::Debug;
use std::pin::Pin;

use http::request::Parts;

use crate::answer::Answer;
use crate::body::RequestBody;
use crate::state::State;

/// A protocol that speaks about the hub's topics at paths of its own.
///
/// The native API has the first say about a path; a face is asked before static files are.
pub trait Face: Debug + Send + Sync + 'static {
    /// Its name in the metrics: the `route` of its requests.
    fn name(&self) -> &'static str;

    /// Whether `path` is one of this protocol. The answer for a path never changes.
    fn claims(&self, path: &str) -> bool;

    /// Whether it has keys of its own. Then a hub without any other is not open to everybody.
    fn has_keys(&self) -> bool {
        false
    }

    /// Answers a request to a path that this protocol [claims](Self::claims). Whatever goes wrong
    /// is an answer too.
    fn answer<'a>(
        &'a self,
        state: &'a State,
        parts: &'a Parts,
        body: RequestBody,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;
}
