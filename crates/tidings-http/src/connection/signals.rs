//! What ends a connection besides its peer: the end of the server, and time.
//!
//! The task of a connection is woken several times for each request, and what is here happens once
//! in its life, or every few seconds. Polled with the connection, it would cost a thousand
//! instructions for each publish. So it is polled only when it was woken itself.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

use crate::activity::{Activity, Doing};
use crate::stage::Stage;
use crate::state::State;

/// A reason to end a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// The server takes no new requests.
    Leaving,
    /// The server has waited long enough for those in progress.
    Gone,
    /// A request head takes too long.
    SlowHead,
    /// No request came for too long.
    Idle,
}

/// The reasons that one connection may be given.
pub(super) struct Signals<'a> {
    state: &'a State,
    activity: &'a Activity,
    awaited: FuturesUnordered<Pin<Box<dyn Future<Output = Signal> + Send + 'a>>>,
}

impl<'a> Signals<'a> {
    /// The connection is new: its first request may take as long as a request head.
    pub(super) fn new(state: &'a State, activity: &'a Activity) -> Self {
        let signals = Self { state, activity, awaited: FuturesUnordered::new() };
        signals.await_stage(Stage::Leaving, Signal::Leaving);
        signals.await_time();
        signals
    }

    /// Waits for the end of the server, too, once the connection is to end with its last request.
    pub(super) fn await_gone(&self) {
        self.await_stage(Stage::Gone, Signal::Gone);
    }

    /// Gives the connection the time of one more request head.
    pub(super) fn await_time(&self) {
        self.awaited.push(Box::pin(too_long(self.state, self.activity)));
    }

    fn await_stage(&self, stage: Stage, signal: Signal) {
        let reached = self.state.reached(stage);
        self.awaited.push(Box::pin(async move {
            reached.await;
            signal
        }));
    }

    /// What the connection has done, and does.
    pub(super) fn activity(&self) -> &'a Activity {
        self.activity
    }

    /// What `work` comes to, or the reason that comes before.
    pub(super) async fn until<F: Future>(
        &mut self,
        mut work: Pin<&mut F>,
    ) -> Result<F::Output, Signal> {
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending => self.poll(cx).map(Err),
        })
        .await
    }

    /// The next reason, each of which comes once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Signal> {
        match self.awaited.poll_next_unpin(cx) {
            Poll::Ready(Some(signal)) => Poll::Ready(signal),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Ready when the connection has been idle, or slow, for too long.
async fn too_long(state: &State, activity: &Activity) -> Signal {
    let config = state.config();
    let (head_time_max, idle_max) = (config.head_time_max, config.idle_max);
    sleep(head_time_max).await;
    loop {
        // At most the time of one head, because one may begin right after this check.
        let next = match activity.doing() {
            Doing::Head(length) if length >= head_time_max => return Signal::SlowHead,
            Doing::Idle(length) if length >= idle_max => return Signal::Idle,
            Doing::Head(length) => head_time_max - length,
            Doing::Idle(length) => head_time_max.min(idle_max - length),
            Doing::Request => head_time_max,
        };
        sleep(next + TIMER_GRAIN).await;
    }
}

/// Timers round to a millisecond. One that fired too early would only be set again.
const TIMER_GRAIN: Duration = Duration::from_millis(2);
