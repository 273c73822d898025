/// The assignment of topics to publishers, and the numbering of events.
///
/// Where there are at least as many topics as publishers, each topic belongs to one publisher,
/// which goes round its topics. Otherwise each publisher has one topic, and a topic has several
/// publishers: its *lanes*. Either way the place of a publisher's `k`-th event can be calculated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes {
    publishers: usize,
    topics: usize,
    /// Number of consecutive events on one topic: as many as one request carries, if its URL names
    /// the topic.
    run: u64,
}

/// The place of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) topic: usize,
    pub(crate) lane: usize,
    pub(crate) number: u64,
}

impl Lanes {
    pub(crate) fn new(publishers: usize, topics: usize, run: u64) -> Self {
        Self { publishers: publishers.max(1), topics: topics.max(1), run: run.max(1) }
    }

    /// Number of lanes of a topic; some may stay empty.
    pub(crate) fn per_topic(self) -> usize {
        self.publishers.div_ceil(self.topics)
    }

    /// The place of a publisher's `k`-th event.
    pub(crate) fn place(self, publisher: usize, k: u64) -> Place {
        if self.topics < self.publishers {
            let (topic, lane) = (publisher % self.topics, publisher / self.topics);
            return Place { topic, lane, number: k };
        }
        let slots = self.slots(publisher);
        let (round, within) = (k / self.run, k % self.run);
        let slot = usize::try_from(round % slots).expect("less than the topics");
        let topic = publisher + slot * self.publishers;
        Place { topic, lane: 0, number: round / slots * self.run + within }
    }

    /// Number of events on a lane, once each publisher has made its first `total(publisher)`
    /// events.
    pub(crate) fn published(self, topic: usize, lane: usize, total: impl Fn(usize) -> u64) -> u64 {
        if topic >= self.topics {
            return 0;
        }
        if self.topics < self.publishers {
            let publisher = topic + lane * self.topics;
            return if publisher < self.publishers { total(publisher) } else { 0 };
        }
        let (publisher, slot) = (topic % self.publishers, (topic / self.publishers) as u64);
        let (total, slots) = (total(publisher), self.slots(publisher));
        let (rounds, within) = (total / self.run, total % self.run);
        let own = rounds / slots + u64::from(slot < rounds % slots);
        own * self.run + if rounds % slots == slot { within } else { 0 }
    }

    /// Number of topics that a publisher goes round.
    fn slots(self, publisher: usize) -> u64 {
        (self.topics - publisher).div_ceil(self.publishers) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_lane_is_numbered_without_gaps_and_counted_right() {
        for (publishers, topics, run) in
            [(1, 1, 1), (1, 7, 1), (3, 7, 1), (2, 5, 4), (8, 3, 1), (8, 8, 2)]
        {
            let lanes = Lanes::new(publishers, topics, run);
            let total = |publisher: usize| 23 + publisher as u64;
            let mut counted: HashMap<(usize, usize), u64> = HashMap::new();
            for publisher in 0..publishers {
                for k in 0..total(publisher) {
                    let place = lanes.place(publisher, k);
                    let next = counted.entry((place.topic, place.lane)).or_default();
                    assert_eq!(place.number, *next, "{publishers} {topics} {run} {place:?}");
                    *next += 1;
                }
            }
            for topic in 0..topics + 1 {
                for lane in 0..lanes.per_topic() {
                    let expected = counted.get(&(topic, lane)).copied().unwrap_or_default();
                    assert_eq!(lanes.published(topic, lane, total), expected);
                }
            }
        }
    }
}
