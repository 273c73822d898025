//! Everything that time triggers: heartbeats, the ends of grants and of connections, and probes of
//! silent peers.

use tidings_codec::encode;

use crate::close_reason::CloseReason;
use crate::coding::{Coding, Sharing};
use crate::framing::Framing;
use crate::limits::{END_LOOK_MS, TICK_MS};
use crate::mark::Mark;
use crate::stream_form::{ControlStyle, StreamForm};
use crate::subscriber::{Phase, SubscriberId};
use crate::timer::{Tick, TimerWheel};

use super::Shard;

/// A heartbeat's bytes, encoded once for all its recipients.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    mark: Option<Mark>,
    id: Vec<u8>,
    /// The id and the comment, in each framing and coding.
    ids: Wrapped,
    comments: Wrapped,
}

/// A heartbeat without an id: a comment, which every client ignores.
const COMMENT: &[u8] = b":\n";

/// One text in every form that a stream can have.
#[derive(Debug, Default)]
struct Wrapped([[Vec<u8>; 2]; 2]);

impl Wrapped {
    fn new(text: &[u8]) -> Self {
        let in_form = |framing, coding: Coding| {
            let mut bytes = Vec::new();
            coding.wrap(framing, &mut bytes, text);
            bytes
        };
        let in_framing = |framing| {
            // The hub's own blocks refer to nothing, whatever events do.
            [Coding::Identity, Coding::Gzip(Sharing::Topic)].map(|coding| in_form(framing, coding))
        };
        Self([Framing::Chunked, Framing::Plain].map(in_framing))
    }

    fn of(&self, form: StreamForm) -> &[u8] {
        let framing = match form.framing {
            Framing::Chunked => 0,
            Framing::Plain => 1,
        };
        &self.0[framing][usize::from(form.coding.is_gzip())]
    }
}

impl Heartbeat {
    pub(super) fn of(&self, form: StreamForm) -> &[u8] {
        match form.control_style {
            ControlStyle::Native => self.ids.of(form),
            ControlStyle::Comments | ControlStyle::Nothing => self.comments.of(form),
        }
    }

    fn text(&self, form: StreamForm) -> &[u8] {
        match form.control_style {
            ControlStyle::Native => &self.id,
            ControlStyle::Comments | ControlStyle::Nothing => COMMENT,
        }
    }
}

impl<S> Shard<S> {
    /// Moves the shard's time to `now_ms`, which never goes back. Call it at the beginning of a
    /// turn.
    pub fn handle_time(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.sweep_windows();
        let mut due = std::mem::take(&mut self.due);
        self.timers.expire(self.now(), &mut due);
        for (id, tick) in due.drain(..) {
            if self.get(id).is_some_and(|subscriber| subscriber.timer == tick) {
                self.fire(id);
            }
        }
        self.due = due;
    }

    /// The latest time to call [`handle_time`](Self::handle_time).
    pub fn poll_timeout(&self) -> Option<u64> {
        self.timers.next_ms()
    }

    /// The next silent peer whose connection should be checked.
    pub fn poll_probe(&mut self) -> Option<(SubscriberId, &S)> {
        loop {
            let id = self.probes.pop_front()?;
            if self.get(id).is_some() {
                return Some((id, self.owners[id.index()].as_ref()?));
            }
        }
    }

    /// The peer of `id` has sent its last byte. It may have closed only its sending side and still
    /// listen, or be gone: the next write to it will show which, so it gets a heartbeat at once, or
    /// soon if it has other things to read first.
    pub fn handle_end(&mut self, id: SubscriberId) {
        if self.is_idle(id) {
            self.send_heartbeat(id);
            return;
        }
        let now = self.now();
        let quiet_after = ticks(self.config.heartbeat_ms * 9 / 10);
        let term_at = self.term_of(id);
        let Some(subscriber) = self.get_mut(id) else { return };
        let due = (now + ticks(END_LOOK_MS)).min(subscriber.closes_at).min(term_at);
        // It then counts as quiet at `due`, unless it is sent something meanwhile.
        subscriber.last_sent = subscriber.last_sent.min(due.saturating_sub(quiet_after));
        let set = self.timers.set(id, due);
        if let Some(subscriber) = self.get_mut(id) {
            subscriber.timer = set;
        }
    }

    /// Closes all subscribers within `window_ms`, each at its own moment.
    pub fn drain(&mut self, window_ms: u64) {
        let now = self.now();
        let ids: Vec<_> = self.subscribers.iter().map(|(index, _)| self.id_at(index)).collect();
        for id in ids {
            let wait = self.random.below(window_ms + 1);
            let Some(subscriber) = self.get_mut(id) else { continue };
            subscriber.closes_at = subscriber.closes_at.min(now + ticks(wait));
            subscriber.closes_for = CloseReason::Draining;
            self.set_timer(id);
        }
    }

    /// When and why a new subscriber will be closed, if nothing closes it earlier.
    pub(super) fn first_deadline(&mut self, expires_ms: Option<u64>) -> (Tick, CloseReason) {
        // Not before the grant ends: the tick that contains its end may have begun long before.
        let expires = expires_ms.map_or(Tick::MAX, ticks);
        let aged = self.config.connection_age_max_ms.map_or(Tick::MAX, |age_max_ms| {
            TimerWheel::<SubscriberId>::tick(self.now_ms + self.random.around(age_max_ms, 10))
        });
        if expires <= aged {
            (expires, CloseReason::GrantExpired)
        } else {
            (aged, CloseReason::AgeReached)
        }
    }

    /// Sets the subscriber's one timer to the next moment at which something can be due.
    pub(super) fn set_timer(&mut self, id: SubscriberId) {
        let heartbeat = ticks(self.random.around(self.config.heartbeat_ms, 10)).max(1);
        let (now, term_at) = (self.now(), self.term_of(id));
        let Some(subscriber) = self.get_mut(id) else { return };
        // While bytes flow, the next heartbeat is due one interval after the last of them.
        let next = match subscriber.last_sent.saturating_add(heartbeat) {
            next if next > now => next,
            _ => now.saturating_add(heartbeat),
        };
        let due = next.min(subscriber.closes_at).min(term_at);
        let set = self.timers.set(id, due);
        if let Some(subscriber) = self.get_mut(id) {
            subscriber.timer = set;
        }
    }

    fn fire(&mut self, id: SubscriberId) {
        let now = self.now();
        let quiet_after = ticks(self.config.heartbeat_ms * 9 / 10);
        let Some(subscriber) = self.get(id) else { return };
        if subscriber.closes_at <= now {
            let reason = subscriber.closes_for;
            self.close(id, reason);
            return;
        }
        let quiet = now.saturating_sub(subscriber.last_sent) >= quiet_after;
        self.ask_for_term(id);
        if quiet {
            if self.is_idle(id) {
                self.send_heartbeat(id);
            }
            self.probes.push_back(id);
        }
        self.set_timer(id);
    }

    /// Whether it has every frame it wants, and nothing of its own to read.
    fn is_idle(&mut self, id: SubscriberId) -> bool {
        self.group_of(id).is_some_and(|(subscriber, group)| {
            subscriber.phase == Phase::Live
                && !subscriber.blocked
                && subscriber.outbox.is_none()
                && subscriber.offset == group.ring.head()
        })
    }

    /// Sends a heartbeat to an idle subscriber, for which the newest position is its cursor too.
    fn send_heartbeat(&mut self, id: SubscriberId) {
        if self.make_room_for_own(id)
            && let Some(subscriber) = self.get_mut(id)
        {
            subscriber.heartbeat_due = true;
            self.make_heartbeat();
            self.enqueue(id);
        }
    }

    fn make_heartbeat(&mut self) {
        if self.heartbeat.mark == Some(self.head) {
            return;
        }
        let heartbeat = &mut self.heartbeat;
        if heartbeat.mark.is_none() {
            heartbeat.comments = Wrapped::new(COMMENT);
        }
        heartbeat.mark = Some(self.head);
        heartbeat.id.clear();
        encode::id_only(&mut heartbeat.id, &self.head.event_id(self.config.epoch));
        heartbeat.ids = Wrapped::new(&heartbeat.id);
    }

    /// The sink took `written` bytes of a heartbeat; the rest goes into the subscriber's outbox.
    pub(super) fn finish_heartbeat(&mut self, id: SubscriberId, written: usize) {
        let Some(subscriber) = self.subscribers.get_mut(id.index()) else { return };
        let form = self.groups[subscriber.group as usize].key.form;
        let bytes = self.heartbeat.of(form);
        subscriber.heartbeat_due = false;
        if written > 0 && written < bytes.len() {
            let outbox = subscriber.outbox.get_or_insert_default();
            outbox.control.extend_from_slice(&bytes[written..]);
        }
        if written > 0 {
            self.add_sum(id, form.sum(self.heartbeat.text(form)));
        }
    }

    pub(super) fn now(&self) -> Tick {
        TimerWheel::<SubscriberId>::tick(self.now_ms)
    }
}

pub(super) fn ticks(ms: u64) -> Tick {
    Tick::try_from(ms.div_ceil(TICK_MS)).unwrap_or(Tick::MAX)
}
