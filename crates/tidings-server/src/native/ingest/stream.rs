//! A body of unknown length, published as it arrives.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body;
use tidings_http::body::{self, RequestBody};
use tidings_http::error::BoxError;
use tidings_http::problem::Problem;
use tidings_http::stage::Stage;
use tidings_http::stream_room::StreamRoom;
use tokio::time::Instant;

use super::flow::Flow;
use super::source::Source;
use super::summary::Summary;
use super::{Publication, draining};

/// Publishes `body` as it arrives. The loop returns to its top whenever something may have changed
/// what comes next, and waits only where a waker is registered for whatever ends the wait.
pub(super) async fn stream(
    publication: &Publication<'_>,
    mut body: RequestBody,
    source: &mut impl Source,
    summary: &mut Summary,
) -> Result<(), Problem> {
    let request = publication.request;
    let state = request.context.state;
    let events = publication.open();
    let mut flow = Flow::new(request, source, summary, events.clone(), publication.end());
    let mut room = StreamRoom::new(state.body_room());
    let pause_max = request.context.config.ingest_pause_max;
    let mut idle = pin!(tokio::time::sleep(pause_max));
    let mut read_last = Instant::now();
    let mut leaving = pin!(state.reached(Stage::Leaving));
    let mut expired = pin!(request.context.caller.expired());
    let mut stopped = pin!(events.topic_ended());
    std::future::poll_fn(|cx| {
        loop {
            // Stored batches give back their room first, so that a wait for room sees it.
            flow.land(cx);
            room.shrink(flow.bytes_held());

            // The publisher may not go on. What was gathered before its token expired is still
            // published; what was gathered for a topic that has ended would not be accepted.
            if flow.ended.is_none()
                && let Poll::Ready(problem) = expired.as_mut().poll(cx)
            {
                flow.resume();
                flow.end(Err(problem));
            }
            if flow.ended.is_none() && stopped.as_mut().poll(cx).is_ready() {
                flow.resume();
                flow.drop_gathered();
                flow.end(Err(publication.stopped()));
            }

            // The allowance is used up: read nothing until it has refilled. The publisher is not
            // charged for that time, and a shutdown does not wait for it.
            if flow.is_paused(cx) {
                if leaving.as_mut().poll(cx).is_pending() {
                    read_last = Instant::now();
                    room.forgive();
                    return Poll::Pending;
                }
                flow.resume();
                flow.end(Err(draining()));
            }

            flow.gather();
            if flow.is_full() || flow.ended.is_some() {
                flow.launch(cx);
            }
            if flow.is_done() {
                return Poll::Ready(());
            }
            // The chunk holds more events, and the launch has made room for them.
            if flow.can_gather() {
                continue;
            }
            // All batches are on their way; the first that lands wakes this task.
            if flow.is_full() || flow.ended.is_some() {
                return Poll::Pending;
            }

            // What is held needs room before more is read.
            match room.poll_grow(cx, flow.bytes_held()) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(problem)) => {
                    flow.end(Err(problem));
                    continue;
                }
                // Without a batch on its way nothing of ours would ever give room back, so hand
                // over what there is.
                Poll::Pending if flow.is_grounded() && flow.launch(cx) => continue,
                Poll::Pending if leaving.as_mut().poll(cx).is_ready() => {
                    flow.end(Err(draining()));
                    continue;
                }
                Poll::Pending => {
                    read_last = Instant::now();
                    room.forgive();
                    return Poll::Pending;
                }
            }

            match poll_chunk(&mut body, cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    read_last = Instant::now();
                    flow.chunk = chunk;
                }
                Poll::Ready(Some(Err(error))) => flow.end(Err(body::broken(&*error))),
                Poll::Ready(None) => flow.end(Ok(())),
                Poll::Pending if leaving.as_mut().poll(cx).is_ready() => {
                    flow.end(Err(draining()));
                }
                // The timer is set again only when it fires: chunks are many, pauses are few.
                Poll::Pending if idle.as_mut().poll(cx).is_ready() => {
                    if read_last.elapsed() >= pause_max {
                        flow.end(Err(body::timed_out(pause_max)));
                    } else {
                        idle.as_mut().reset(read_last + pause_max);
                    }
                }
                // The store has nothing of ours to do, so what was gathered need not wait for more.
                Poll::Pending if flow.is_grounded() && flow.launch(cx) => {}
                Poll::Pending => {
                    flow.source.release();
                    let (number, bytes) = flow.unfinished();
                    let Poll::Ready(problem) = room.poll_too_slow(cx, number, bytes) else {
                        return Poll::Pending;
                    };
                    flow.end(Err(problem));
                }
            }
        }
    })
    .await;
    flow.ended.unwrap_or(Ok(()))
}

/// The next part of `body` that is data.
fn poll_chunk(
    body: &mut RequestBody,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, BoxError>>> {
    loop {
        match std::task::ready!(Pin::new(&mut *body).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Poll::Ready(Some(Ok(data)));
                }
            }
        }
    }
}
