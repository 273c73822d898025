use std::collections::BTreeMap;
use std::time::Instant;

use crate::limits::{HUBS_MAX, SILENCE_MAX};

/// The other hubs that were heard.
#[derive(Debug, Default)]
pub(super) struct Known {
    hubs: BTreeMap<u32, Hub>,
    /// `None` while the others cannot be reached.
    connected: Option<Instant>,
}

#[derive(Debug)]
struct Hub {
    /// Time of its last message.
    heard: Instant,
    /// Whether it counts as gone. It stays known until it would have been heard.
    is_silent: bool,
}

impl Known {
    /// Notes a message of `run`. Returns whether this hub is new, or was gone.
    pub(super) fn heard(&mut self, run: u32, now: Instant) -> bool {
        if let Some(hub) = self.hubs.get_mut(&run) {
            hub.heard = now;
            return std::mem::take(&mut hub.is_silent);
        }
        let has_room = self.hubs.len() < HUBS_MAX;
        if has_room {
            self.hubs.insert(run, Hub { heard: now, is_silent: false });
        }
        has_room
    }

    /// The hubs that have become silent. While the others cannot be reached, silent hubs stay
    /// known: it is not they that are missing.
    pub(super) fn expire(&mut self, now: Instant, is_connected: bool) -> Vec<u32> {
        self.connected = is_connected.then(|| self.connected.unwrap_or(now));
        let connected = self.connected;
        let is_over = |since: Instant| now.saturating_duration_since(since) > SILENCE_MAX;
        let mut silent = Vec::new();
        self.hubs.retain(|run, hub| {
            if !hub.is_silent && is_over(hub.heard) {
                hub.is_silent = true;
                silent.push(*run);
            }
            let is_missing = connected.is_some_and(|since| is_over(since.max(hub.heard)));
            !(hub.is_silent && is_missing)
        });
        silent
    }

    /// Forgets a hub that has left. Returns whether it was there.
    pub(super) fn remove(&mut self, run: u32) -> bool {
        self.hubs.remove(&run).is_some_and(|hub| !hub.is_silent)
    }

    pub(super) fn runs(&self) -> Vec<u32> {
        self.hubs.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_hub_is_gone_after_its_time_and_forgotten_if_it_could_have_been_heard() {
        let start = Instant::now();
        let later = start + SILENCE_MAX * 3;
        let mut known = Known::default();
        assert!(known.heard(7, start));
        assert!(!known.heard(7, start));
        assert!(known.expire(start + SILENCE_MAX, true).is_empty());
        assert_eq!(known.expire(later, true), [7]);
        assert!(known.runs().is_empty());
        assert!(known.heard(7, later), "it is new again");
    }

    #[test]
    fn hubs_stay_known_while_this_one_is_cut_off() {
        let start = Instant::now();
        let mut known = Known::default();
        known.heard(7, start);
        let cut = start + SILENCE_MAX * 5;
        assert_eq!(known.expire(cut, false), [7], "what it said does not outlive its silence");
        assert_eq!(known.runs(), [7], "a sum without it is not one of all");
        assert!(known.expire(cut, true).is_empty());
        assert_eq!(known.runs(), [7], "it has its time to be heard");
        assert!(known.expire(cut + SILENCE_MAX * 2, true).is_empty(), "it is gone only once");
        assert!(known.runs().is_empty());
    }

    #[test]
    fn there_is_room_for_a_bounded_number_of_hubs() {
        let now = Instant::now();
        let mut known = Known::default();
        let taken = (0..).take_while(|run| known.heard(*run, now)).count();
        assert_eq!(taken, HUBS_MAX);
    }
}
