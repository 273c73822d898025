//! What time brings: heartbeats, the ends of grants and of connections, and looks at silent peers.

use tidings_codec::encode;

use crate::close_reason::CloseReason;
use crate::frame::Framing;
use crate::group::Voice;
use crate::limits::{END_LOOK_MS, TICK_MS};
use crate::position::Position;
use crate::subscriber::{Phase, SubscriberId};
use crate::timer::{Tick, TimerWheel};

use super::Shard;

/// A heartbeat's bytes, made once for all who get it.
#[derive(Debug, Default)]
pub(super) struct Beat {
    position: Option<Position>,
    chunked: Vec<u8>,
    plain: Vec<u8>,
    comment_chunked: Vec<u8>,
}

/// A heartbeat without an id: a comment, which every client ignores.
const COMMENT: &[u8] = b":\n";

impl Beat {
    pub(super) fn of(&self, framing: Framing, voice: Voice) -> &[u8] {
        match (voice, framing) {
            (Voice::Native, Framing::Chunked) => &self.chunked,
            (Voice::Native, Framing::Plain) => &self.plain,
            (Voice::Plain, Framing::Chunked) => &self.comment_chunked,
            (Voice::Plain, Framing::Plain) => COMMENT,
        }
    }
}

impl Shard {
    /// It is `now_ms`, in milliseconds that only grow. Call it at the beginning of a turn.
    pub fn handle_time(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        let mut due = std::mem::take(&mut self.due);
        self.timers.expire(self.now(), &mut due);
        for (id, tick) in due.drain(..) {
            if self.get(id).is_some_and(|subscriber| subscriber.timer == tick) {
                self.fire(id);
            }
        }
        self.due = due;
    }

    /// When to call [`handle_time`](Self::handle_time) at the latest.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.timers.next_ms()
    }

    /// The next silent peer to probe: is it still there?
    pub fn poll_probe(&mut self) -> Option<SubscriberId> {
        loop {
            let id = self.probes.pop_front()?;
            if self.get(id).is_some() {
                return Some(id);
            }
        }
    }

    /// The peer of `id` has sent its last byte. It may have closed only its own side and still
    /// listen, or be gone: whatever is sent to it now tells, so it is sent a heartbeat at once, or
    /// in a moment if it has other things to read first.
    pub fn handle_end(&mut self, id: SubscriberId) {
        if self.is_idle(id) {
            self.send_beat(id);
            return;
        }
        let now = self.now();
        let quiet_after = ticks(self.config.heartbeat_ms * 9 / 10);
        let Some(subscriber) = self.get_mut(id) else { return };
        let due = (now + ticks(END_LOOK_MS)).min(subscriber.closes_at);
        // So that it counts as quiet by then, unless it was sent something meanwhile.
        subscriber.last_sent = subscriber.last_sent.min(due.saturating_sub(quiet_after));
        let set = self.timers.set(id, due);
        if let Some(subscriber) = self.get_mut(id) {
            subscriber.timer = set;
        }
    }

    /// Closes everybody within `window_ms`, each at a moment of its own.
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

    /// When and why a new subscriber will be closed, if nothing happens before.
    pub(super) fn first_deadline(&mut self, expires_ms: Option<u64>) -> (Tick, CloseReason) {
        // Not before its end: the tick in which it lies may have begun long ago.
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
        let now = self.now();
        let Some(subscriber) = self.get_mut(id) else { return };
        // While bytes flow, the next heartbeat is due a heartbeat after the last of them.
        let beat = match subscriber.last_sent.saturating_add(heartbeat) {
            beat if beat > now => beat,
            _ => now.saturating_add(heartbeat),
        };
        let due = beat.min(subscriber.closes_at);
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
        if quiet {
            if self.is_idle(id) {
                self.send_beat(id);
            }
            self.probes.push_back(id);
        }
        self.set_timer(id);
    }

    /// Whether it has every frame there is for it, and nothing of its own to read.
    fn is_idle(&mut self, id: SubscriberId) -> bool {
        self.group_of(id).is_some_and(|(subscriber, group)| {
            subscriber.phase == Phase::Live
                && !subscriber.blocked
                && subscriber.outbox.is_none()
                && subscriber.offset == group.ring.head()
        })
    }

    /// To one who is idle: the newest position is its cursor too.
    fn send_beat(&mut self, id: SubscriberId) {
        if let Some(subscriber) = self.get_mut(id) {
            subscriber.beat_due = true;
            self.make_beat();
            self.enqueue(id);
        }
    }

    fn make_beat(&mut self) {
        if self.beat.position == Some(self.head) {
            return;
        }
        let beat = &mut self.beat;
        beat.position = Some(self.head);
        beat.plain.clear();
        encode::id_only(&mut beat.plain, &self.head.event_id(self.config.epoch));
        beat.chunked.clear();
        Framing::Chunked.wrap(&mut beat.chunked, &beat.plain);
        beat.comment_chunked.clear();
        Framing::Chunked.wrap(&mut beat.comment_chunked, COMMENT);
    }

    /// The sink took `written` bytes of a heartbeat; the rest becomes the subscriber's own.
    pub(super) fn finish_beat(&mut self, id: SubscriberId, written: usize) {
        let Some(subscriber) = self.subscribers.get_mut(id.index()) else { return };
        let key = &self.groups[subscriber.group as usize].key;
        let bytes = self.beat.of(key.framing, key.voice);
        subscriber.beat_due = false;
        if written > 0 && written < bytes.len() {
            let outbox = subscriber.outbox.get_or_insert_default();
            outbox.words.extend_from_slice(&bytes[written..]);
        }
    }

    pub(super) fn now(&self) -> Tick {
        TimerWheel::<SubscriberId>::tick(self.now_ms)
    }
}

fn ticks(ms: u64) -> Tick {
    Tick::try_from(ms.div_ceil(TICK_MS)).unwrap_or(Tick::MAX)
}
