//! All timers of a shard: a wheel of ticks.
//!
//! A subscriber has one entry at a time: the earliest moment at which something is due for it. What
//! is due is decided when the entry fires. So setting a timer is one push; sending an event touches
//! no timer at all (a heartbeat that turns out to be unnecessary sets the next timer); and an entry
//! that was replaced by an earlier one is recognised by its tick and dropped.

use crate::limits::{TICK_MS, TIMER_SLOTS};

/// Time in ticks of [`TICK_MS`] since the shard began.
pub(crate) type Tick = u32;

#[derive(Debug)]
pub(crate) struct TimerWheel<K> {
    /// Slot `t % TIMER_SLOTS` holds what is due at tick `t`, for the ticks within one turn.
    slots: Vec<Vec<(K, Tick)>>,
    /// The next tick to be processed.
    next: Tick,
    entries: usize,
}

impl<K: Copy> TimerWheel<K> {
    /// An empty wheel at `now`.
    pub(crate) fn new(now: Tick) -> Self {
        let slots = std::iter::repeat_with(Vec::new).take(TIMER_SLOTS).collect();
        Self { slots, next: now, entries: 0 }
    }

    /// The tick that contains a moment given in milliseconds.
    pub(crate) fn tick(now_ms: u64) -> Tick {
        Tick::try_from(now_ms / TICK_MS).unwrap_or(Tick::MAX)
    }

    /// Sets a timer for `key` at `due`, or earlier if that is further away than one turn. Returns
    /// the tick it is set for.
    pub(crate) fn set(&mut self, key: K, due: Tick) -> Tick {
        let due = due.clamp(self.next, self.next.saturating_add(TIMER_SLOTS as Tick - 1));
        self.slots[due as usize % TIMER_SLOTS].push((key, due));
        self.entries += 1;
        due
    }

    /// Takes out the entries that are due at or before `now`, in any order.
    pub(crate) fn expire(&mut self, now: Tick, due: &mut Vec<(K, Tick)>) {
        while self.next <= now {
            if self.entries == 0 {
                self.next = now + 1;
                return;
            }
            let slot = &mut self.slots[self.next as usize % TIMER_SLOTS];
            self.entries -= slot.len();
            due.append(slot);
            if slot.capacity() > SLOT_KEPT_MAX {
                *slot = Vec::new();
            }
            self.next += 1;
        }
    }

    /// The moment, in milliseconds, at which [`expire`](Self::expire) next has something to do.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        if self.entries == 0 {
            return None;
        }
        let ahead = (0..TIMER_SLOTS as Tick)
            .find(|ahead| !self.slots[(self.next + ahead) as usize % TIMER_SLOTS].is_empty())?;
        Some(u64::from(self.next + ahead) * TICK_MS)
    }
}

/// Entries for which an emptied slot keeps its memory.
const SLOT_KEPT_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_fires_once_at_its_tick() {
        let mut wheel = TimerWheel::new(100);
        assert_eq!(wheel.next_ms(), None);
        wheel.set('b', 105);
        wheel.set('a', 103);
        wheel.set('p', 50); // already past: as soon as possible
        assert_eq!(wheel.next_ms(), Some(100 * TICK_MS));
        let mut due = Vec::new();
        wheel.expire(102, &mut due);
        assert_eq!(due, [('p', 100)]);
        assert_eq!(wheel.next_ms(), Some(103 * TICK_MS));
        due.clear();
        wheel.expire(104, &mut due);
        assert_eq!(due, [('a', 103)]);
        due.clear();
        wheel.expire(1_000_000, &mut due);
        assert_eq!(due, [('b', 105)]);
        assert_eq!(wheel.next_ms(), None);
    }

    #[test]
    fn a_timer_far_away_fires_early_to_be_set_again() {
        let mut wheel = TimerWheel::new(0);
        let due_at = wheel.set('x', Tick::MAX);
        assert_eq!(due_at as usize, TIMER_SLOTS - 1);
        let mut due = Vec::new();
        wheel.expire(due_at - 1, &mut due);
        assert!(due.is_empty());
        wheel.expire(due_at, &mut due);
        assert_eq!(due, [('x', due_at)]);
    }
}
