//! Requests that have several effects, which a client that leaves in between must not divide: a
//! user that is denied keeps no stream, and neither does a session that has ended.

use tidings_http::problem::{Code, Problem};
use tidings_http::state::State;
use tracing::Instrument;

/// Does `work` to its end, whether or not the client waits for that.
///
/// # Errors
///
/// Those of `work`, and a 503 if it panicked or the hub has ended.
pub(crate) async fn to_end<T: Send + 'static>(
    state: &State,
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let done = state.engine().run_to_end(work.in_current_span()).await;
    done.unwrap_or_else(|| {
        Err(Problem::new(Code::StoreFailed, "only a part of it may be done; see the log"))
    })
}
