//! HTTP/1.1 on a connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use hyper_util::rt::TokioIo;

use super::end::End;
use super::short::{self, Next, Rest};
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

/// Serves a connection to its end: short requests first, and from the first other one on with the
/// HTTP library.
///
/// Each of both parts is on the heap, and the first one is freed before the second begins: a
/// connection needs no room for both.
pub(super) async fn http1<T: Transport>(stream: T, shared: &Shared, mut accepted: Accepted) {
    let state = &*shared.state;
    let speaking = state.counts().connection(Protocol::Http1);
    let activity = Activity::new();
    let slot = Slot::new();
    let service = Service::new(shared, &activity, Some(Arc::clone(&slot)), &accepted);
    let mut socket = Socket::new(stream, Arc::clone(&activity));
    let mut signals = Signals::new(state, &activity);
    let head_bytes_max = state.config().head_bytes_max;

    let short = short::serve(socket.stream(), &service, &slot, &mut signals, head_bytes_max);
    let (end, socket) = match Box::pin(short).await {
        Next::End(end) => (end, socket),
        Next::Library(rest) => {
            Box::pin(library(socket, service, &slot, shared, &mut signals, rest)).await
        }
    };
    match end {
        End::Taken => {
            // The subscriber may have its head before the next line ends. A connection that its
            // client then makes finds the seat free.
            drop(accepted.seat.take());
            slot.hand_over(state.engine(), socket.into_stream(), &mut accepted);
        }
        End::SlowHead => {
            let problem = Problem::new(Code::RequestTimeout, "send the head of a request at once");
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

/// Serves the rest of a connection with the HTTP library. Gives the socket back.
async fn library<T: Transport>(
    mut socket: Socket<T>,
    service: Service,
    slot: &Slot,
    shared: &Shared,
    signals: &mut Signals<'_>,
    rest: Rest,
) -> (End, Socket<T>) {
    socket.unread(rest.read);
    let service = service.resume(rest.answer);
    let mut connection = shared.protocols.http1.serve_connection(TokioIo::new(socket), service);
    let end = std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.poll_without_shutdown(cx) {
                if let Err(error) = result {
                    tracing::debug!(%error, "a connection ended early");
                }
                return Poll::Ready(End::Done);
            }
            // An earlier answer in the library's buffer must be written first.
            if slot.is_filled() && !signals.activity().write_waits() {
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
    (end, connection.into_parts().io.into_inner())
}
