//! A protocol beside the native API.

use std::fmt::Debug;
use std::pin::Pin;

use http::request::Parts;
use serde_json::Value;

use crate::answer::Answer;
use crate::body::RequestBody;
use crate::state::State;

/// A protocol that serves the hub's topics at paths of its own.
///
/// Paths of the native API come before those of a face, and these before static files.
pub trait Face: Debug + Send + Sync + 'static {
    /// Its name in the metrics: the `route` of its requests. No two protocols can have the same.
    fn name(&self) -> &'static str;

    /// Whether `path` belongs to this protocol. The answer for a path never changes.
    fn claims(&self, path: &str) -> bool;

    /// Whether it has keys of its own. If so, a hub without other keys is not open.
    fn has_keys(&self) -> bool {
        false
    }

    /// Another hub of a shared log, `from`, told something about this protocol. Does not block.
    fn told(&self, _state: &State, _from: u32, _body: Value) {}

    /// Tells the other hubs again what must arrive at some time, every
    /// [`BEAT_INTERVAL`](crate::limits::BEAT_INTERVAL).
    fn beat(&self, _state: &State) {}

    /// Tells the other hubs what is new, every
    /// [`TELL_INTERVAL`](crate::limits::TELL_INTERVAL).
    fn tell_news(&self, _state: &State) {}

    /// The hub `run` is gone.
    fn hub_left(&self, _state: &State, _run: u32) {}

    /// Answers a request to a path that this protocol [claims](Self::claims). An error is an answer
    /// too.
    fn answer<'a>(
        &'a self,
        state: &'a State,
        parts: &'a Parts,
        body: RequestBody,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;
}
