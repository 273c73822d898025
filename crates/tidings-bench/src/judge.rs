use crate::limits::GAPS_MAX;
use crate::payload::Header;

/// Compares the events one subscriber should get with those it got, lane by lane.
#[derive(Debug)]
pub(crate) struct Judge {
    lanes: Box<[Lane]>,
}

#[derive(Debug, Default)]
struct Lane {
    /// One past the greatest number seen.
    next: u64,
    /// Ranges of numbers below `next` that did not come, ascending.
    gaps: Vec<std::ops::Range<u64>>,
    /// Number of events in gaps that were forgotten because there were too many gaps.
    forgotten: u64,
}

/// The kind of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It arrives for the first time, in order or after a gap.
    First,
    /// It arrives for the first time, but after one that was published later.
    Late,
    /// It has arrived before.
    Duplicate,
    /// It is on a lane that this subscriber does not follow: the server routed it wrongly.
    Stray,
}

impl Judge {
    pub(crate) fn new(lanes: usize) -> Self {
        Self { lanes: (0..lanes).map(|_| Lane::default()).collect() }
    }

    pub(crate) fn judge(&mut self, header: Header) -> Verdict {
        let Some(lane) = self.lanes.get_mut(header.lane as usize) else { return Verdict::Stray };
        let number = header.number;
        if number == lane.next {
            lane.next += 1;
            return Verdict::First;
        }
        if number > lane.next {
            if lane.gaps.len() == GAPS_MAX {
                let oldest = lane.gaps.remove(0);
                lane.forgotten += oldest.end - oldest.start;
            }
            lane.gaps.push(lane.next..number);
            lane.next = number + 1;
            return Verdict::First;
        }
        let Some(at) = lane.gaps.iter().position(|gap| gap.contains(&number)) else {
            return Verdict::Duplicate;
        };
        let gap = lane.gaps[at].clone();
        let halves = [gap.start..number, number + 1..gap.end];
        lane.gaps.splice(at..=at, halves.into_iter().filter(|half| !half.is_empty()));
        Verdict::Late
    }

    /// Number of a lane's first `published` events that never came, not counting those in `unknown`
    /// (ascending).
    pub(crate) fn losses(&self, lane: usize, published: u64, unknown: &[u64]) -> u64 {
        let Some(lane) = self.lanes.get(lane) else { return published };
        let missing = |range: &std::ops::Range<u64>| {
            let from = unknown.partition_point(|&number| number < range.start);
            let to = unknown.partition_point(|&number| number < range.end);
            range.end.saturating_sub(range.start) - (to - from) as u64
        };
        let tail = lane.next.min(published)..published;
        lane.forgotten + lane.gaps.iter().map(missing).sum::<u64>() + missing(&tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(judge: &mut Judge, number: u64) -> Verdict {
        judge.judge(Header { run: 1, lane: 0, number, intended_ns: 0 })
    }

    #[test]
    fn events_in_order_are_firsts_and_nothing_is_lost() {
        let mut judge = Judge::new(1);
        assert!((0..5).all(|number| arrive(&mut judge, number) == Verdict::First));
        assert_eq!(judge.losses(0, 5, &[]), 0);
        assert_eq!(judge.losses(0, 7, &[]), 2, "the end did not come");
    }

    #[test]
    fn late_events_fill_their_gap_and_the_second_time_are_duplicates() {
        let mut judge = Judge::new(1);
        for number in [0, 5] {
            assert_eq!(arrive(&mut judge, number), Verdict::First);
        }
        assert_eq!(judge.losses(0, 6, &[]), 4);
        assert_eq!(arrive(&mut judge, 3), Verdict::Late);
        assert_eq!(arrive(&mut judge, 3), Verdict::Duplicate);
        assert_eq!(arrive(&mut judge, 0), Verdict::Duplicate);
        assert_eq!(judge.losses(0, 6, &[]), 3);
    }

    #[test]
    fn events_of_unknown_fate_are_not_losses() {
        let mut judge = Judge::new(1);
        arrive(&mut judge, 0);
        arrive(&mut judge, 3);
        assert_eq!(judge.losses(0, 6, &[2, 5]), 2, "1 and 4 are missing");
    }

    #[test]
    fn an_event_of_another_topic_is_stray() {
        let mut judge = Judge::new(1);
        assert_eq!(
            judge.judge(Header { run: 1, lane: 1, number: 0, intended_ns: 0 }),
            Verdict::Stray
        );
    }
}
