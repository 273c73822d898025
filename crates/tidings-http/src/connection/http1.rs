//! HTTP/1.1 on a connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use hyper_util::rt::TokioIo;

use super::end::End;
use super::signals::{Signal, Signals};
use super::{linger, refuse};
use crate::accepted::Accepted;
use crate::activity::Activity;
use crate::counts::Protocol;
use crate::handoff::Slot;
use crate::problem::{Code, Problem};
use crate::service::Service;
use crate::shared::Shared;
use crate::socket::{Socket, Transport};

/// Not an `async fn`: its future would keep room for `stream` beside the connection that has it.
pub(super) fn http1<T: Transport>(
    stream: T,
    shared: &Shared,
    mut accepted: Accepted,
) -> impl Future<Output = ()> + Send + '_ {
    let speaking = shared.state.counts().connection(Protocol::Http1);
    let activity = Activity::new();
    let slot = Slot::new();
    let service = Service::new(shared, &activity, Some(Arc::clone(&slot)), &accepted);
    let io = TokioIo::new(Socket::new(stream, Arc::clone(&activity)));
    let mut connection = shared.protocols.http1.serve_connection(io, service);

    async move {
        let state = &*shared.state;
        let mut signals = Signals::new(state, &activity);
        let end = std::future::poll_fn(|cx| {
            loop {
                if let Poll::Ready(result) = connection.poll_without_shutdown(cx) {
                    if let Err(error) = result {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return Poll::Ready(End::Done);
                }
                // An earlier answer in the library's buffer must be written first.
                if slot.is_filled() && !activity.write_waits() {
                    return Poll::Ready(End::Taken);
                }
                match std::task::ready!(signals.poll(cx)) {
                    Signal::Leaving => {
                        Pin::new(&mut connection).graceful_shutdown();
                        signals.await_gone();
                    }
                    Signal::SlowHead => return Poll::Ready(End::SlowHead),
                    Signal::Idle | Signal::Gone => return Poll::Ready(End::Closed),
                }
            }
        })
        .await;

        let socket = connection.into_parts().io.into_inner();
        match end {
            End::Taken => {
                // The subscriber may have its head before the next line ends. A connection that its
                // client then makes finds the seat free.
                drop(accepted.seat.take());
                slot.hand_over(state.engine(), socket.into_stream(), &mut accepted);
            }
            End::SlowHead => {
                let problem =
                    Problem::new(Code::RequestTimeout, "send the head of a request at once");
                let status = "408 Request Timeout";
                Box::pin(refuse(socket.into_stream(), status, &problem)).await;
            }
            End::Done => {
                if let Some(time) = activity.linger() {
                    Box::pin(linger(socket.into_stream(), time)).await;
                }
            }
            End::Closed => {}
        }
        drop(speaking);
    }
}
