//! What subscribers may still get of records that were erased from the log: nothing.
//!
//! A frame is in the rings of the groups that want it until all their members have it, and a page
//! of history is with its subscriber. So when records were erased, rings forget them, and a
//! subscriber that has yet to get to the newest of them is closed: it comes back at its place, and
//! reads what is left. If it keeps a state, it learns that way that a key is gone although the
//! record that removed it is gone, too ([`Slots::erased`](crate::Slots::erased)).

use std::collections::BTreeSet;

use crate::close_reason::CloseReason;
use crate::index::GroupId;
use crate::position::Position;
use crate::subscriber::{Phase, SubscriberId};
use crate::topic::Topic;

use super::Shard;

impl<S> Shard<S> {
    /// Records up to `upto` were erased; they were on `topics`, or, without these, on any. Call it
    /// when the frames up to there were handed in.
    pub fn handle_erasure(&mut self, topics: Option<&BTreeSet<Topic>>, upto: Position) {
        let mut found = Vec::new();
        match topics {
            None => found.extend(self.groups.iter().map(|(id, _)| id as GroupId)),
            Some(topics) => {
                topics.iter().for_each(|topic| self.index.find(topic, &mut |id| found.push(id)));
                let twins: Vec<_> =
                    found.iter().filter_map(|id| self.groups[*id as usize].twin).collect();
                found.extend(twins);
            }
        }
        let found = BTreeSet::from_iter(found);
        let late: Vec<_> = self
            .subscribers
            .iter()
            .filter(|(_, subscriber)| found.contains(&subscriber.group))
            .map(|(index, _)| self.id_at(index))
            .filter(|id| !self.is_behind_all(*id, upto))
            .collect();
        for id in late {
            self.close(id, CloseReason::Overtaken);
        }
        for id in found {
            // It may have gone with its last member.
            if self.groups.contains(id as usize) {
                self.forget_upto(id, upto);
            }
        }
    }

    /// Whether everything that the subscriber has yet to get is after `upto`.
    fn is_behind_all(&self, id: SubscriberId, upto: Position) -> bool {
        let Some(subscriber) = self.get(id) else { return true };
        let has_own = subscriber.outbox.as_ref().is_some_and(|outbox| outbox.kept.is_some());
        let ring = &self.groups[subscriber.group as usize].ring;
        match subscriber.phase {
            _ if has_own => false,
            Phase::Live if subscriber.offset == ring.head() => true,
            Phase::Live if subscriber.offset < ring.base() => false,
            Phase::Live => ring.offset_after(upto).is_none_or(|behind| subscriber.offset >= behind),
            Phase::Behind | Phase::Reading | Phase::Page => subscriber.position >= upto,
        }
    }

    fn forget_upto(&mut self, id: GroupId, upto: Position) {
        if self.is_together(id) {
            // What comes next must not refer to what was erased.
            self.close_window(id);
        }
        let group = &mut self.groups[id as usize];
        let before = group.ring.len();
        group.ring.forget_upto(upto);
        group.low = group.low.max(group.ring.base());
        self.rings_bytes -= before - group.ring.len();
    }
}
