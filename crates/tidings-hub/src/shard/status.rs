//! Answers about a shard: how many subscribers it has, how far they are, and the state of each.
//!
//! # Deliveries, counted by the group
//!
//! A delivery is an event of which a subscriber's sink took the last byte. Counting each one as it
//! happens would cost every write a search in the ring. So a frame counts for all live members of
//! its group when it enters their ring, and when a member leaves the ring, the frames it did not
//! get are subtracted. Joining, leaving and reading history are rare, and there the numbers are at
//! hand. In between, the count runs ahead by what the walk has yet to write: it is exact whenever
//! [`poll_write`](Shard::poll_write) has nothing left.

use crate::close_reason::CloseReason;
use crate::index::GroupId;
use crate::interest::Interest;
use crate::position::Position;
use crate::subscriber::{Phase, SubscriberId};
use crate::topic::Topic;

use super::Shard;

/// A subscriber's position and state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it wants and may have.
    pub interest: Interest,
    /// Position up to which its sink took every event it wants.
    pub position: Position,
    /// How it is served.
    pub state: StandingState,
    /// Position of the newest record that the shard knows of.
    pub head: Position,
}

/// How a subscriber is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandingState {
    /// Events go to it as they come.
    Live,
    /// Its sink is full: the peer, or the network to it, is slow.
    Blocked,
    /// It reads the log.
    CatchingUp,
    /// It is gone.
    Closed(CloseReason),
}

impl StandingState {
    /// The name in API answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Blocked => "blocked",
            Self::CatchingUp => "catching_up",
            Self::Closed(_) => "closed",
        }
    }
}

/// The events that a subscriber missed because retention had dropped them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The subscriber.
    pub id: SubscriberId,
    /// Position up to which it had everything.
    pub after: Position,
    /// Position from which nothing more was missing.
    pub first: Position,
}

/// The subscribers of a shard that are behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Number of subscribers whose sinks are full.
    pub blocked: usize,
    /// Number of subscribers that read the log.
    pub catching_up: usize,
    /// Number of records between the one furthest behind and the newest record.
    pub lag_max: u64,
    /// Bytes that all rings hold.
    pub rings_bytes: usize,
    /// Number of groups.
    pub groups: usize,
}

impl<S> Shard<S> {
    /// Number of events delivered since the shard began; the module's documentation says when it is
    /// exact.
    pub fn deliveries(&self) -> u64 {
        self.delivered
    }

    /// Number of subscribers that an event on `topic` reaches, if only its topic decides. Looks at
    /// each group that wants the topic.
    pub fn subscribers_of(&mut self, topic: &Topic) -> u64 {
        let mut found = std::mem::take(&mut self.found);
        self.index.find(topic, &mut |group| found.push(group));
        found.sort_unstable();
        found.dedup();
        let members = |group: GroupId| {
            let together = self.together_of(group).map_or(0, |twin| u64::from(twin.members));
            let group = &self.groups[group as usize];
            match group.key.interest.may_read(topic) {
                true => u64::from(group.members) + together,
                false => 0,
            }
        };
        let count = found.drain(..).map(members).sum();
        self.found = found;
        count
    }

    /// The subscribers that are behind, and how far. Looks at every subscriber if any is behind.
    pub fn backlog(&self) -> Backlog {
        let mut backlog = Backlog {
            rings_bytes: self.rings_bytes,
            groups: self.groups.len(),
            ..Backlog::default()
        };
        if self.catching_up() == 0 {
            return backlog;
        }
        for (index, subscriber) in &self.subscribers {
            match self.state_of(self.id_at(index)) {
                Some(StandingState::Blocked) => backlog.blocked += 1,
                Some(StandingState::CatchingUp) => backlog.catching_up += 1,
                _ => continue,
            }
            let behind = self.head.position.get().saturating_sub(subscriber.position.get());
            backlog.lag_max = backlog.lag_max.max(behind);
        }
        backlog
    }

    /// The position and state of the subscriber `id`.
    pub fn standing(&self, id: SubscriberId) -> Option<Standing> {
        let subscriber = self.get(id)?;
        let group = &self.groups[subscriber.group as usize];
        let kept = subscriber.outbox.as_ref().and_then(|outbox| outbox.kept);
        let position = match subscriber.phase {
            _ if kept.is_some() => kept.map_or(subscriber.position, |kept| kept.after),
            Phase::Live if subscriber.offset == group.ring.head() => self.head.position,
            Phase::Live if subscriber.offset >= group.ring.base() => {
                group.ring.locate(subscriber.offset).mark.position
            }
            _ => subscriber.position,
        };
        Some(Standing {
            interest: group.key.interest.clone(),
            position,
            state: self.state_of(id)?,
            head: self.head.position,
        })
    }

    /// The next subscriber that was sent a reset because retention had dropped events it needed.
    /// Only the last thousand are kept until they are polled.
    pub fn poll_skip(&mut self) -> Option<Skip> {
        self.skips.pop_front()
    }

    pub(super) fn note_skip(&mut self, skip: Skip) {
        if self.skips.len() == SKIPS_MAX {
            self.skips.pop_front();
        }
        self.skips.push_back(skip);
    }

    fn state_of(&self, id: SubscriberId) -> Option<StandingState> {
        let subscriber = self.get(id)?;
        Some(match subscriber.phase {
            _ if subscriber.blocked => StandingState::Blocked,
            Phase::Live => StandingState::Live,
            Phase::Behind | Phase::Reading | Phase::Page => StandingState::CatchingUp,
        })
    }
}

/// Skips kept until they are polled; at the edge the oldest is forgotten.
const SKIPS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::tests::Scene;
    use super::*;

    #[test]
    fn a_delivery_is_counted_when_the_last_byte_of_the_event_was_taken() {
        let mut scene = Scene::new();
        let fast = scene.attach("a");
        let slow = scene.attach("a");
        scene.attach("b");
        scene.room.insert(slow, 30);
        for n in 0..3 {
            scene.publish("a", &n.to_string());
        }
        scene.turn();
        let one = "id: k7q2ma:1\ndata: 0\n\n".len();
        assert!(one <= 30 && 30 < 2 * one, "the second event is cut in two");
        assert_eq!(scene.shard.deliveries(), 3 + 1);

        scene.room.remove(&slow);
        scene.shard.handle_writable(slow);
        scene.turn();
        assert_eq!(scene.shard.deliveries(), 3 + 3);

        // A subscriber closed in the middle of an event did not get it.
        scene.room.insert(slow, 5);
        scene.publish("a", "3");
        scene.turn();
        scene.shard.handle_closed(slow, CloseReason::PeerReset);
        scene.turn();
        assert_eq!(scene.shard.deliveries(), 4 + 3);

        // History counts like live events.
        scene.attach_as("a", |attach| attach.position = Position::new(1));
        scene.turn();
        assert_eq!(scene.shard.deliveries(), 4 + 3 + 3);
        assert_eq!(scene.take(fast).matches("data:").count(), 4);
    }

    #[test]
    fn subscribers_of_a_topic_are_those_that_an_event_on_it_would_reach() {
        let mut scene = Scene::new();
        for topics in ["a", "a", "a/*", "**", "b"] {
            scene.attach(topics);
        }
        let gone = scene.attach("a");
        scene.shard.handle_closed(gone, CloseReason::PeerClosed);
        let mut count = |topic: &str| scene.shard.subscribers_of(&Topic::new(topic).unwrap());
        assert_eq!([count("a"), count("a/x"), count("b"), count("c")], [3, 2, 2, 1]);
    }

    #[test]
    fn a_subscribers_position_is_where_its_sink_stopped() {
        let mut scene = Scene::new();
        let id = scene.attach("a");
        scene.room.insert(id, 30);
        scene.publish("a", "0");
        scene.publish("other", "x");
        let standing = |scene: &Scene| {
            let standing = scene.shard.standing(id).unwrap();
            (standing.position.get(), standing.state)
        };
        scene.turn();
        assert_eq!(standing(&scene), (2, StandingState::Live), "nothing more concerns it");
        scene.publish("a", "1");
        scene.publish("a", "2");
        scene.turn();
        assert_eq!(standing(&scene), (1, StandingState::Blocked));
        let backlog = scene.shard.backlog();
        assert_eq!((backlog.blocked, backlog.catching_up, backlog.lag_max), (1, 0, 3));
        scene.room.remove(&id);
        scene.shard.handle_writable(id);
        scene.turn();
        assert_eq!(standing(&scene), (4, StandingState::Live));
        assert_eq!(scene.shard.backlog(), Backlog { groups: 1, ..Backlog::default() });
    }
}
