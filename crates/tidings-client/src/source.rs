//! `EventSource`: drives a session over a transport.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;
use http::{HeaderMap, Request};
use tidings_codec::EventId;
use tokio::time::Sleep;

use crate::error::ReadError;
use crate::handle::{Order, Shared};
use crate::hook::{Hook, HookFuture};
use crate::renewal::{Renewal, RenewalOutcome};
use crate::retry_after::wall_clock;
use crate::session::{Command, Session};
use crate::token_provider::{TokenNeed, TokenProvider, prepare};
use crate::{
    Body, Cause, Item, LastIdStore, MessageEvent, ReadyState, SendFuture, SourceHandle, Transport,
};

/// An event source: a subscription that outlives its connections.
///
/// It is a [`Stream`] of [`Item`]s. Losing a connection is an item like any other; the source then
/// waits, reconnects and says how far it had got. An error is always the end: the server has
/// rejected the source for good (HTML §9.2.3, "fail the connection"), or the retry policy has given
/// up. After [`close`](Self::close) the stream just ends.
///
/// Nothing happens unless the source is read: it starts no task, and takes no more from the network
/// than is read from it.
///
/// It needs a tokio runtime with time enabled.
pub struct EventSource {
    session: Session,
    transport: Arc<dyn Transport>,
    hook: Option<Hook>,
    token_provider: Option<TokenProvider>,
    last_ids: Option<SavedIds>,
    shared: Arc<Shared>,
    exchange: Exchange,
    /// Another token for the running connection, on its way to the server.
    renewal: Option<Renewal>,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// The current exchange on the network.
enum Exchange {
    None,
    Preparing(HookFuture),
    Sending(SendFuture),
    Reading(Body),
}

impl EventSource {
    pub(crate) fn new(
        session: impl FnOnce(Instant) -> Session,
        transport: Arc<dyn Transport>,
        hook: Option<Hook>,
        token_provider: Option<TokenProvider>,
        store: Option<Box<dyn LastIdStore>>,
    ) -> Self {
        let mut session = session(now());
        let last_event_id = session.last_event_id().cloned();
        Self {
            session,
            transport,
            hook,
            token_provider,
            last_ids: store.map(|store| SavedIds { store, saved: last_event_id.clone() }),
            shared: Arc::new(Shared::new(last_event_id)),
            exchange: Exchange::None,
            renewal: None,
            sleep: None,
        }
    }

    /// The next item; `None` if the source has ended.
    ///
    /// Cancel-safe: dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Item, ReadError>> {
        std::future::poll_fn(|cx| self.poll_item(cx)).await
    }

    /// The next event, skipping other items.
    ///
    /// Cancel-safe: dropping the future loses no event.
    pub async fn next_event(&mut self) -> Option<Result<MessageEvent, ReadError>> {
        loop {
            match self.next().await? {
                Ok(Item::Event(event)) => return Some(Ok(event)),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Closes the source for good.
    pub fn close(&mut self) {
        self.handle().close();
        self.obey();
        self.exchange = Exchange::None;
        self.renewal = None;
    }

    /// Sets or removes the [idle timeout](crate::EventSourceBuilder::idle_timeout) from now on: the
    /// head of an answer may say how often its server sends heartbeats.
    pub fn set_idle_timeout(&mut self, timeout: Option<Duration>) {
        self.session.set_idle_timeout(timeout);
    }

    /// A handle to control the source while another task reads it.
    #[must_use]
    pub fn handle(&self) -> SourceHandle {
        SourceHandle(self.shared.clone())
    }

    /// The state of the source.
    #[must_use]
    pub fn ready_state(&self) -> ReadyState {
        self.session.ready_state()
    }

    /// The last event id, as of the event that was last yielded.
    #[must_use]
    pub fn last_event_id(&self) -> Option<EventId> {
        self.shared.view().last_event_id.clone()
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Item, ReadError>>> {
        loop {
            self.obey();
            while let Some(command) = self.session.poll_command() {
                self.execute(command);
            }
            if let Some(item) = self.session.poll_item() {
                self.show(&item);
                return Poll::Ready(Some(item));
            }
            self.save_id();
            if self.session.is_over() {
                self.show_state();
                return Poll::Ready(None);
            }
            // First, because a stream that never pauses has always something to read.
            if self.poll_renewal(cx).is_ready()
                || self.poll_exchange(cx).is_ready()
                || self.poll_sleep(cx).is_ready()
            {
                continue;
            }
            self.show_state();
            if self.shared.fall_asleep(cx) {
                return Poll::Pending;
            }
        }
    }

    /// Carries out the orders of the handles.
    #[inline]
    fn obey(&mut self) {
        let orders = self.shared.take_orders();
        if orders & Order::CLOSE != 0 {
            self.session.handle_close();
        } else if orders & Order::RESTART != 0 {
            self.session.handle_restart();
        }
    }

    fn execute(&mut self, command: Command) {
        // The old connection is dropped first.
        self.exchange = Exchange::None;
        self.renewal = None;
        match command {
            Command::Drop => {}
            Command::Prepare(attempt) => {
                match prepare(self.token_provider.as_mut(), self.hook.as_mut(), attempt) {
                    Some(preparing) => self.exchange = Exchange::Preparing(preparing),
                    None => self.session.handle_prepared(now(), Ok(HeaderMap::new())),
                }
            }
            Command::Send(request) => {
                // Without the query: people put tokens there.
                crate::trace!("asking {:?}{}", request.uri().host(), request.uri().path());
                let (head, body) = request.into_parts();
                let request = Request::from_parts(head, Body::from(body));
                self.exchange = Exchange::Sending(self.transport.send(request));
            }
        }
    }

    /// Ready when the session must know how a renewal went.
    fn poll_renewal(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(order) = self.session.poll_renewal()
            && let Some(provider) = &mut self.token_provider
        {
            let token = provider(TokenNeed::Renewal { left: order.left });
            self.renewal = Some(order.carry_out(token, self.transport.clone()));
        }
        let Some(renewal) = &mut self.renewal else {
            return Poll::Pending;
        };
        let outcome = ready!(renewal.as_mut().poll(cx));
        self.renewal = None;
        crate::trace!("renewal of the token: {outcome:?}");
        if let RenewalOutcome::Refused(status) = outcome {
            self.session.handle_not_renewed(status);
        }
        Poll::Ready(())
    }

    /// Ready when the session has new input.
    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.exchange {
            Exchange::None => return Poll::Pending,
            Exchange::Preparing(hook) => {
                let prepared = ready!(hook.as_mut().poll(cx));
                self.exchange = Exchange::None;
                self.session.handle_prepared(now(), prepared);
            }
            Exchange::Sending(send) => match ready!(send.as_mut().poll(cx)) {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    crate::trace!("answered {}", head.status);
                    self.exchange = Exchange::Reading(body);
                    self.session.handle_head(now(), wall_clock(), head);
                }
                Err(error) => {
                    self.exchange = Exchange::None;
                    self.session.handle_failure(now(), Cause::Network(error));
                }
            },
            Exchange::Reading(body) => {
                // A stream that never pauses must not keep the rest of the program waiting.
                let budget = ready!(tokio::task::coop::poll_proceed(cx));
                let frame = ready!(body.poll_bytes(cx));
                budget.made_progress();
                match frame {
                    Some(Ok(bytes)) => self.session.handle_body(now(), bytes),
                    Some(Err(error)) => {
                        self.exchange = Exchange::None;
                        self.session.handle_failure(now(), Cause::Network(error));
                    }
                    None => {
                        self.exchange = Exchange::None;
                        self.session.handle_body_end(now());
                    }
                }
            }
        }
        Poll::Ready(())
    }

    /// Ready when a deadline has passed. Polled only when there is nothing to read: bytes that
    /// arrived in time count, however late they are read.
    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.session.poll_timeout() else {
            return Poll::Pending;
        };
        if now() < deadline {
            let deadline = tokio::time::Instant::from_std(deadline);
            let sleep =
                self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            if sleep.deadline() != deadline {
                sleep.as_mut().reset(deadline);
            }
            ready!(sleep.as_mut().poll(cx));
        }
        self.session.handle_timeout(now());
        Poll::Ready(())
    }

    /// Updates the handles' view with an item.
    #[inline]
    fn show(&mut self, item: &Result<Item, ReadError>) {
        if let Ok(Item::Event(event)) = item {
            if event.has_id {
                self.shared.view().last_event_id = event.last_event_id.clone();
            }
            return;
        }
        match item {
            Ok(Item::Open(_)) => crate::trace!("open"),
            Ok(Item::Reconnecting(lost)) => {
                crate::trace!("again in {:?}: {}", lost.wait, lost.cause);
            }
            Err(error) => crate::trace!("over: {error}"),
            _ => {}
        }
        self.show_state();
    }

    fn show_state(&mut self) {
        let ready_state = self.session.ready_state();
        let reconnection_time = self.session.reconnection_time();
        let last_event_id = self.session.last_event_id();
        let mut view = self.shared.view();
        if view.last_event_id.as_ref() != last_event_id {
            view.last_event_id = last_event_id.cloned();
        }
        view.ready_state = ready_state;
        view.reconnection_time = reconnection_time;
    }

    fn save_id(&mut self) {
        if let Some(last_ids) = &mut self.last_ids {
            last_ids.save(self.session.last_event_id());
        }
    }
}

impl Stream for EventSource {
    type Item = Result<Item, ReadError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Item, ReadError>>> {
        self.poll_item(cx)
    }
}

impl Drop for EventSource {
    fn drop(&mut self) {
        self.shared.view().ready_state = ReadyState::Closed;
    }
}

impl fmt::Debug for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSource")
            .field("ready_state", &self.ready_state())
            .finish_non_exhaustive()
    }
}

/// The caller's store, and its current content.
struct SavedIds {
    store: Box<dyn LastIdStore>,
    saved: Option<EventId>,
}

impl SavedIds {
    fn save(&mut self, id: Option<&EventId>) {
        if self.saved.as_ref() == id {
            return;
        }
        match self.store.save(id) {
            Ok(()) => self.saved = id.cloned(),
            Err(_error) => crate::trace!("the last event id could not be saved: {_error}"),
        }
    }
}

/// The driver's clock: tokio's, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
