//! The reconnecting state machine of an event source: no I/O, no clock.
//!
//! ```text
//!              ┌───────────────────── wait is over ◄─────────────────────┐
//!              ▼                                                         │
//!  (new) ► preparing ──► sending ──► open ──► end, error, silence ──► waiting
//!              │         │  ▲ │                                          ▲
//!              │         └──┘ └── refusal ──► refusing ──► closed        │
//!              │       redirect                                          │
//!              └──────────────── error, silence ─────────────────────────┘
//! ```
//!
//! *Refusing* looks closed from outside: the answer has already ended the source, and only the
//! beginning of its body is still awaited, to be part of the error.
//!
//! When a body ends, cleanly or not, the unterminated block at its end is dropped, and the last
//! event id stays what the last blank line made it (HTML §9.2.6). That string and the reconnection
//! time are all that a source remembers from one connection to the next.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::{Buf, Bytes};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, response};
use tidings_codec::{Decoder, EventId, EventType};

use crate::error::{ReadError, Refusal};
use crate::given_headers::replace_headers;
use crate::item::{Attempt, Item, Opened, Reconnecting, Resume};
use crate::limits::{
    HEALTHY_AFTER, RECONNECTION_TIME_MAX, RECONNECTION_TIME_MIN, REFUSAL_BODY_BYTES_MAX,
    REFUSAL_BODY_WAIT_MAX,
};
use crate::message_event::{own, refresh};
use crate::redirect::{Hop, strip_credentials};
use crate::renewal::{EXPIRING, Expiring, RenewalOrder};
use crate::response::{Verdict, judge};
use crate::retry_after::retry_after;
use crate::target::Target;
use crate::transport::FinalUrl;
use crate::{Cause, Lost, ReadyState, RememberRedirects, RetryPolicy};

pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Settings that do not change during the life of a source.
pub(crate) struct SessionConfig {
    pub(crate) target: Target,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) one_shot: bool,
    /// Whether the driver has tokens for attempts and renewals.
    pub(crate) renews: bool,
    pub(crate) remember_redirects: RememberRedirects,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) policy: Box<dyn RetryPolicy>,
}

/// What the driver must do now. A command replaces whatever the driver was doing before: it drops
/// the current connection or request, if there is one.
#[derive(Debug)]
pub(crate) enum Command {
    /// Ask the caller's hook for headers, and hand them to [`Session::handle_prepared`].
    Prepare(Attempt),
    /// Send this, and hand the answer to [`Session::handle_head`].
    Send(Box<Request<Bytes>>),
    /// Only drop.
    Drop,
}

/// An event source without its I/O.
///
/// The driver calls `handle_*` with what has happened, and after each such call polls in this
/// order: [`poll_command`](Self::poll_command), so that a finished connection is dropped at once;
/// then [`poll_item`](Self::poll_item), until it yields nothing; then
/// [`poll_renewal`](Self::poll_renewal) and [`poll_timeout`](Self::poll_timeout). More of a body is
/// handed in only when `poll_item` has yielded nothing, so nothing piles up here.
pub(crate) struct Session {
    config: SessionConfig,
    decoder: Decoder,
    phase: Phase,
    /// Received bytes that are not decoded yet.
    input: Bytes,
    /// An item to yield before those in the input.
    notice: Option<Item>,
    command: Option<Command>,
    renewal: Option<RenewalOrder>,
    end: Option<Result<(), ReadError>>,

    /// Next URL to connect to: the one given, unless a redirect is remembered.
    target: Target,
    retries: u32,
    refused: Option<StatusCode>,
    /// Whether the last answer was that the token is not good.
    was_unauthorized: bool,
    /// URL of the running connection.
    open_at: Target,
    /// Time at which bytes last came from the peer, or were last sent to it.
    last_heard: Instant,
    origin: Arc<str>,

    /// The text of these is the decoder's; they are kept because a clone costs less than a string.
    last_event_id: Option<EventId>,
    last_event_type: Option<EventType>,
}

enum Phase {
    Preparing,
    Sending(Box<Hop>),
    Open { since: Instant, had_event: bool },
    Refusing { error: Box<ReadError>, body: Refusing },
    Waiting { until: Instant },
    Closed,
}

struct Refusing {
    bytes: Vec<u8>,
    deadline: Instant,
}

impl Session {
    /// A source that wants to connect.
    pub(crate) fn new(config: SessionConfig, decoder: Decoder, now: Instant) -> Self {
        let last_event_id = EventId::new(decoder.last_event_id()).ok();
        let mut session = Self {
            decoder,
            phase: Phase::Closed,
            input: Bytes::new(),
            notice: None,
            command: None,
            renewal: None,
            end: None,
            target: config.target.clone(),
            retries: 0,
            refused: None,
            was_unauthorized: false,
            open_at: config.target.clone(),
            last_heard: now,
            origin: config.target.origin().clone(),
            last_event_id,
            last_event_type: None,
            config,
        };
        session.start_attempt();
        session
    }

    /// Handles the hook's result: headers that replace the source's own, or an error.
    pub(crate) fn handle_prepared(
        &mut self,
        now: Instant,
        prepared: Result<HeaderMap, Box<dyn std::error::Error + Send + Sync>>,
    ) {
        if !matches!(self.phase, Phase::Preparing) {
            return;
        }
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return self.lose(now, Cause::Unprepared(error), None),
        };
        let mut headers = self.config.headers.clone();
        replace_headers(&mut headers, prepared);
        // The hook's and the caller's headers are for the URL given. A redirect may lead elsewhere.
        if self.target.origin() != self.config.target.origin() {
            strip_credentials(&mut headers);
        }
        match self.resume() {
            Resume::From(id) => {
                let value = header_value(&id).expect("resume() has made this value before");
                headers.insert(LAST_EVENT_ID, value);
            }
            Resume::None | Resume::Impossible(_) => {
                headers.remove(LAST_EVENT_ID);
            }
        }
        let hop = Hop::first(
            self.target.clone(),
            self.config.method.clone(),
            headers,
            self.config.body.clone(),
        );
        self.send(now, hop);
    }

    /// The head of an answer has arrived. The wall clock is for answers that name a date.
    pub(crate) fn handle_head(
        &mut self,
        now: Instant,
        wall_clock: SystemTime,
        mut head: response::Parts,
    ) {
        let Phase::Sending(hop) = std::mem::replace(&mut self.phase, Phase::Closed) else {
            unreachable!("an answer arrives only while a request is under way");
        };
        self.last_heard = now;
        let mut hop = *hop;
        if let Some(FinalUrl(url)) = head.extensions.remove()
            && let Ok((target, _)) = Target::parse(&url)
        {
            hop.target = target;
        }
        match judge(head.status, &head.headers) {
            Verdict::Open => self.open(now, hop, head.headers),
            Verdict::Redirect => match hop.clone().follow(head.status, &head.headers) {
                Ok(hop) => self.send(now, hop),
                Err(problem) => {
                    self.refuse(now, &hop, head, |refusal| ReadError::Redirect { problem, refusal })
                }
            },
            Verdict::NotAnEventStream => self.refuse(now, &hop, head, ReadError::NotAnEventStream),
            Verdict::WrongStatus => {
                // A token may have expired on its way: the provider is asked for another, once.
                let is_unauthorized = head.status == StatusCode::UNAUTHORIZED;
                let may_retoken = self.config.renews && is_unauthorized && !self.was_unauthorized;
                self.was_unauthorized = is_unauthorized;
                let temporary =
                    may_retoken || self.config.policy.is_temporary(head.status, &head.headers);
                if temporary && !self.config.one_shot {
                    self.refused = Some(head.status);
                    let retry_after = retry_after(&head.headers, wall_clock);
                    self.lose(now, Cause::Refused(head.status), retry_after);
                } else {
                    self.refuse(now, &hop, head, ReadError::Status);
                }
            }
        }
    }

    /// More of the body has arrived. May only be called when [`poll_item`](Self::poll_item) has
    /// nothing to yield.
    pub(crate) fn handle_body(&mut self, now: Instant, bytes: Bytes) {
        self.last_heard = now;
        match &mut self.phase {
            Phase::Open { .. } => {
                debug_assert!(self.input.is_empty(), "poll_item still has items");
                self.input = bytes;
            }
            Phase::Refusing { body, .. } => {
                let room = REFUSAL_BODY_BYTES_MAX - body.bytes.len();
                body.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
                if bytes.len() > room {
                    self.finish_refusal(true);
                }
            }
            _ => {}
        }
    }

    /// The body has ended in good order.
    pub(crate) fn handle_body_end(&mut self, now: Instant) {
        match self.phase {
            Phase::Open { .. } => self.lose(now, Cause::Ended, None),
            Phase::Refusing { .. } => self.finish_refusal(false),
            _ => {}
        }
    }

    /// The request could not be sent or answered, or the body broke off.
    pub(crate) fn handle_failure(&mut self, now: Instant, cause: Cause) {
        match (&self.phase, cause) {
            (Phase::Sending(_), Cause::Network(error)) if error.is_malformed() => {
                self.drop_connection();
                self.finish(Err(ReadError::Malformed(error)));
            }
            (Phase::Sending(_) | Phase::Open { .. }, cause) => self.lose(now, cause, None),
            (Phase::Refusing { .. }, _) => self.finish_refusal(true),
            _ => {}
        }
    }

    /// The time that [`poll_timeout`](Self::poll_timeout) named has come.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return;
        }
        match (&self.phase, self.config.idle_timeout) {
            (Phase::Waiting { .. }, _) => self.start_attempt(),
            (Phase::Refusing { .. }, _) => self.finish_refusal(true),
            (_, Some(idle)) => self.lose(now, Cause::Idle(idle), None),
            (_, None) => {}
        }
    }

    /// Connects anew without a wait. What has arrived and was not yielded is dropped, and will be
    /// sent again by a server that resumes. A closed source stays closed.
    pub(crate) fn handle_restart(&mut self) {
        self.restart(Cause::Restarted);
    }

    /// The server does not accept another token for the running connection. One that would be
    /// accepted for another connection costs no more than that.
    pub(crate) fn handle_not_renewed(&mut self, status: StatusCode) {
        if matches!(self.phase, Phase::Open { .. }) && !self.config.one_shot {
            self.restart(Cause::NotRenewed(status));
        }
    }

    /// Closes the source for good. Nothing more will be yielded, not even what has arrived.
    pub(crate) fn handle_close(&mut self) {
        if !matches!(self.phase, Phase::Closed) {
            self.drop_connection();
            self.finish(Ok(()));
        }
        self.notice = None;
        self.end = Some(Ok(()));
    }

    /// The next item for the caller; once the source has ended, its end, once.
    #[inline]
    pub(crate) fn poll_item(&mut self) -> Option<Result<Item, ReadError>> {
        if self.notice.is_some() {
            return self.notice.take().map(Ok);
        }
        if !self.input.is_empty() {
            if let Some(item) = self.decode() {
                return Some(Ok(item));
            }
            self.input = Bytes::new();
        }
        match self.end.take() {
            None | Some(Ok(())) => None,
            Some(Err(error)) => Some(Err(error)),
        }
    }

    /// What to do next on the network.
    pub(crate) fn poll_command(&mut self) -> Option<Command> {
        self.command.take()
    }

    /// A request that gives the running connection another token, once there is one.
    pub(crate) fn poll_renewal(&mut self) -> Option<RenewalOrder> {
        self.renewal.take()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), unless something else happens first.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Waiting { until } => Some(*until),
            Phase::Refusing { body, .. } => Some(body.deadline),
            Phase::Sending(_) | Phase::Open { .. } => {
                let idle = self.config.idle_timeout?;
                self.last_heard.checked_add(idle)
            }
            Phase::Preparing | Phase::Closed => None,
        }
    }

    /// Whether the source has ended, and has yielded everything.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closed) && self.end.as_ref().is_none_or(Result::is_ok)
    }

    pub(crate) fn ready_state(&self) -> ReadyState {
        match self.phase {
            Phase::Preparing | Phase::Sending(_) | Phase::Waiting { .. } => ReadyState::Connecting,
            Phase::Open { .. } => ReadyState::Open,
            Phase::Refusing { .. } | Phase::Closed => ReadyState::Closed,
        }
    }

    /// The last event id as of the items yielded so far; `None` if it is empty.
    pub(crate) fn last_event_id(&mut self) -> Option<&EventId> {
        refresh(&mut self.last_event_id, self.decoder.last_event_id());
        self.last_event_id.as_ref()
    }

    /// The server's last `retry:`, within [bounds](in_bounds).
    pub(crate) fn reconnection_time(&self) -> Option<Duration> {
        self.decoder.reconnection_time().map(in_bounds)
    }

    pub(crate) fn set_idle_timeout(&mut self, timeout: Option<Duration>) {
        self.config.idle_timeout = timeout;
    }

    fn restart(&mut self, cause: Cause) {
        if self.ready_state() == ReadyState::Closed {
            return;
        }
        self.drop_connection();
        self.retries = 0;
        let wait = Duration::ZERO;
        let lost = Reconnecting { cause, wait, retries: 0 };
        self.notice = Some(Item::Reconnecting(Box::new(lost)));
        self.start_attempt();
    }

    fn start_attempt(&mut self) {
        self.phase = Phase::Preparing;
        self.command = Some(Command::Prepare(Attempt {
            retries: self.retries,
            refused: self.refused.take(),
            last_event_id: self.last_event_id().cloned(),
        }));
    }

    fn send(&mut self, now: Instant, hop: Hop) {
        self.last_heard = now;
        self.command = Some(Command::Send(Box::new(hop.request())));
        self.phase = Phase::Sending(Box::new(hop));
    }

    fn open(&mut self, now: Instant, hop: Hop, headers: HeaderMap) {
        self.origin = hop.target.origin().clone();
        self.open_at = hop.target.clone();
        self.was_unauthorized = false;
        self.notice = Some(Item::Open(Box::new(Opened {
            url: hop.target.as_str().to_owned(),
            headers,
            resume: self.resume(),
        })));
        match self.config.remember_redirects {
            RememberRedirects::Never => {}
            RememberRedirects::Permanent => {
                self.target = hop.moved_to.unwrap_or_else(|| self.target.clone());
            }
            RememberRedirects::Always => self.target = hop.target,
        }
        self.phase = Phase::Open { since: now, had_event: false };
    }

    /// Decodes up to the next item.
    #[inline]
    fn decode(&mut self) -> Option<Item> {
        loop {
            let mut rest = &self.input[..];
            let decoded = self.decoder.next(&mut rest);
            let left = rest.len();
            let mut expiring = None;
            let item = match decoded {
                Ok(None) => None,
                Ok(Some(tidings_codec::Item::Event(event))) => {
                    if let Phase::Open { had_event, .. } = &mut self.phase {
                        *had_event = true;
                    }
                    if self.config.renews && event.event_type() == EXPIRING {
                        expiring = Expiring::parse(event.data());
                    }
                    let (id, event_type) = (&mut self.last_event_id, &mut self.last_event_type);
                    Some(Item::Event(own(event, id, event_type, &self.origin)))
                }
                Ok(Some(tidings_codec::Item::Comment(text))) => {
                    Some(Item::Comment(text.to_owned()))
                }
                Ok(Some(_)) => None,
                Err(error) => Some(Item::Skipped(error)),
            };
            self.input.advance(self.input.len() - left);
            match expiring {
                None => return item,
                Some(expiring) => self.renewal = self.order_renewal(&expiring),
            }
        }
    }

    /// The token is for the origin of the source's URL. A redirect may have led elsewhere.
    fn order_renewal(&self, expiring: &Expiring) -> Option<RenewalOrder> {
        if self.open_at.origin() != self.config.target.origin() {
            return None;
        }
        expiring.order(&self.open_at, self.config.headers.clone())
    }

    /// Reestablishes the connection (HTML §9.2.3), or ends a source that may not.
    fn lose(&mut self, now: Instant, cause: Cause, retry_after: Option<Duration>) {
        let was_healthy = match self.phase {
            Phase::Open { since, had_event } => had_event || now - since >= HEALTHY_AFTER,
            _ => false,
        };
        if !matches!(self.phase, Phase::Open { .. }) {
            // A redirect to a place that does not answer is not worth remembering.
            self.target = self.config.target.clone();
        }
        self.drop_connection();
        if self.config.one_shot {
            return self.finish(match cause {
                Cause::Ended => Ok(()),
                cause => Err(ReadError::Broken(cause)),
            });
        }
        if was_healthy {
            self.retries = 0;
        }
        let reconnection_time = self.reconnection_time().max(retry_after.map(in_bounds));
        let retries = self.retries;
        let lost = Lost { cause: &cause, retries, reconnection_time };
        let Some(wait) = self.config.policy.wait(&lost) else {
            return self.finish(Err(ReadError::GaveUp { retries, cause }));
        };
        self.retries = retries.saturating_add(1);
        self.phase = Phase::Waiting { until: now.checked_add(wait).unwrap_or(now + FOR_EVER) };
        self.notice = Some(Item::Reconnecting(Box::new(Reconnecting { cause, wait, retries })));
    }

    fn refuse(
        &mut self,
        now: Instant,
        hop: &Hop,
        head: response::Parts,
        error: impl FnOnce(Box<Refusal>) -> ReadError,
    ) {
        let refusal = Refusal {
            url: hop.target.as_str().to_owned(),
            status: head.status,
            headers: head.headers,
            body: Vec::new(),
            body_is_cut: false,
        };
        self.phase = Phase::Refusing {
            error: Box::new(error(Box::new(refusal))),
            body: Refusing { bytes: Vec::new(), deadline: now + REFUSAL_BODY_WAIT_MAX },
        };
    }

    fn finish_refusal(&mut self, is_cut: bool) {
        let phase = std::mem::replace(&mut self.phase, Phase::Closed);
        let Phase::Refusing { mut error, body } = phase else {
            unreachable!("only called while refusing");
        };
        if let Some(refusal) = error.refusal_mut() {
            refusal.body = body.bytes;
            refusal.body_is_cut = is_cut;
        }
        self.drop_connection();
        self.finish(Err(*error));
    }

    fn finish(&mut self, end: Result<(), ReadError>) {
        self.phase = Phase::Closed;
        self.end = Some(end);
    }

    fn drop_connection(&mut self) {
        self.command = Some(Command::Drop);
        self.renewal = None;
        self.input = Bytes::new();
        self.decoder.end_of_stream();
    }

    fn resume(&mut self) -> Resume {
        match self.last_event_id() {
            None => Resume::None,
            Some(id) if header_value(id).is_some() => Resume::From(id.clone()),
            Some(id) => Resume::Impossible(id.clone()),
        }
    }
}

/// A wait that a server asks for, within the bounds that it may impose.
fn in_bounds(wait: Duration) -> Duration {
    wait.clamp(RECONNECTION_TIME_MIN, RECONNECTION_TIME_MAX)
}

/// The id as UTF-8 bytes in a header (HTML §9.2.3). None if it has characters that no header can
/// carry.
fn header_value(id: &EventId) -> Option<HeaderValue> {
    HeaderValue::from_bytes(id.as_str().as_bytes()).ok()
}

/// Replaces a wait that no clock can represent: a century.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

#[cfg(test)]
mod tests;
