use std::time::Duration;

use http::header;
use tidings_engine::Engine;
use tidings_http::allowance::Allowance;
use tidings_http::body::RequestBody;
use tidings_http::problem::{Code, Problem};
use tidings_http::quota;
use tidings_http::whole_body::WholeBody;
use tidings_hub::Topic;

use crate::request::RequestContext;

/// A request that writes: beside its sender, the topic it writes to and how much it may write.
pub(super) struct PublishRequest<'a> {
    pub(super) context: RequestContext<'a>,
    /// The topic in the path; the caller may publish to it.
    pub(super) topic: Option<Topic>,
    /// The caller's allowance of events and bytes.
    pub(super) allowance: Allowance<'a>,
}

impl<'a> PublishRequest<'a> {
    /// A request to write to `topic`, to which the caller may publish.
    ///
    /// # Errors
    ///
    /// A 429 if the caller's allowance is used up.
    pub(super) fn new(context: RequestContext<'a>, topic: Option<Topic>) -> Result<Self, Problem> {
        let caller = &context.caller;
        let quotas = context.state.quotas();
        let allowance = quotas.publisher(context.parts, caller.token(), caller.share());
        let allowance = allowance.map_err(too_many)?;
        Ok(Self { context, topic, allowance })
    }

    /// The engine, in which new topics count towards the caller's share.
    pub(super) fn engine(&self) -> Engine {
        self.context.state.engine_for(self.context.caller.share())
    }

    /// Reads a body of at most `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// A 401 if the caller's token expires meanwhile, else as [`WholeBody::read`].
    pub(super) async fn read_body(
        &self,
        body: RequestBody,
        bytes_max: usize,
    ) -> Result<WholeBody, Problem> {
        let caller = &self.context.caller;
        let read = WholeBody::read(self.context.state.body_room(), body, bytes_max);
        if !caller.expires() {
            return read.await;
        }
        // Boxed, so that requests of callers whose tokens do not expire have no room for it.
        Box::pin(async move {
            tokio::select! {
                biased;
                read = read => read,
                problem = caller.expired() => Err(problem),
            }
        })
        .await
    }
}

fn too_many(wait: Duration) -> Problem {
    let seconds = quota::retry_after(wait);
    let detail = format!("publish again in {seconds} s, and less per second");
    Problem::new(Code::TooManyPublishes, detail)
        .with("retry_after_ms", u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
        .with_header(header::RETRY_AFTER, seconds.into())
}
