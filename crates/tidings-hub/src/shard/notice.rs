//! Notices: events that are in no log, for current subscribers.
//!
//! A notice goes between two events, as control bytes. A live subscriber that is not in the middle
//! of an event gets it at once; for any other it is kept until then. What is kept is bounded
//! ([`NOTICES_PENDING_MAX`]); a subscriber that would need more is closed, and learns from the id
//! it comes back with what it has missed.

use std::sync::Arc;

use tidings_codec::gzip::Checksum;

use crate::close_reason::CloseReason;
use crate::index::GroupId;
use crate::limits::NOTICES_PENDING_MAX;
use crate::notice::{Notice, Pending};
use crate::subscriber::{Phase, SubscriberId};

use super::Shard;

impl<S> Shard<S> {
    /// Gives `notice` to every subscriber of its audience that wants it and may have it. Returns
    /// how many subscribers had to be looked at.
    pub fn handle_notice(&mut self, notice: &Arc<Notice>) -> usize {
        let mut looked_at = 0;
        let mut found = std::mem::take(&mut self.found);
        for topic in notice.draft.topics() {
            self.index.find(topic, &mut |group| found.push(group));
        }
        found.sort_unstable();
        found.dedup();
        for group in found.drain(..) {
            let key = &self.groups[group as usize].key;
            if key.audience == Some(notice.audience) && key.interest.may_have(&notice.draft) {
                looked_at += self.note_group(group, notice);
            }
        }
        self.found = found;
        looked_at
    }

    /// Gives a new subscriber the notices it has missed.
    pub fn handle_missed_notices(&mut self, id: SubscriberId, notices: Vec<Arc<Notice>>) {
        let Some((subscriber, group)) = self.group_of(id) else { return };
        if !notices.is_empty() {
            group.is_noticed = true;
            subscriber
                .outbox
                .get_or_insert_default()
                .notices
                .extend(notices.into_iter().map(Pending::Notice));
            self.enqueue(id);
        }
    }

    /// Notices were lost on their way here. Subscribers that may have missed one are closed, so
    /// that they reconnect and learn of it.
    pub fn handle_lost_notices(&mut self) {
        let all = self.subscribers.iter();
        let noticed =
            all.filter(|(_, s)| self.groups[self.indexed_group(s.group) as usize].is_noticed);
        let noticed: Vec<_> = noticed.map(|(index, _)| self.id_at(index)).collect();
        for id in noticed {
            self.close(id, CloseReason::NoticesLost);
        }
    }

    fn note_group(&mut self, group_id: GroupId, notice: &Arc<Notice>) -> usize {
        let group = &mut self.groups[group_id as usize];
        group.is_noticed = true;
        let are_listed = group.live.len() == group.members as usize;
        let (live, twin) = (group.live.clone(), group.twin);
        // All members of the twin are live.
        let together = self.together_of(group_id).map_or(&[][..], |twin| &twin.live);
        let members: Vec<u32> = if are_listed {
            [&live, together].concat()
        } else {
            // Members that are not live are in no list; there are rarely any, and then few.
            let is_member = |group| group == group_id || Some(group) == twin;
            let all = self.subscribers.iter();
            all.filter(|(_, s)| is_member(s.group)).map(|(index, _)| index as u32).collect()
        };
        let looked_at = if are_listed { members.len() } else { self.subscribers.len() };
        for index in members {
            let id = self.id_at(index as usize);
            let outbox = self.subscribers[index as usize].outbox.get_or_insert_default();
            if outbox.notices.len() >= NOTICES_PENDING_MAX {
                self.close(id, CloseReason::NoticesLost);
                continue;
            }
            outbox.notices.push(Pending::Notice(Arc::clone(notice)));
            self.enqueue(id);
        }
        looked_at
    }

    /// Turns the notices kept for a subscriber into control bytes, if it is between two events.
    pub(super) fn release_notices(&mut self, id: SubscriberId) {
        let (head, epoch) = (self.head, self.config.epoch);
        let Some((subscriber, group)) = self.group_of(id) else { return };
        if subscriber.phase != Phase::Live || subscriber.blocked {
            return;
        }
        if group.is_together {
            // Between two events that belong together nothing fits.
            let waits = subscriber.outbox.as_ref().is_some_and(|outbox| !outbox.notices.is_empty());
            let has_all = subscriber.offset == group.ring.head();
            if !waits || !has_all || !self.make_room_for_own(id) {
                return;
            }
        }
        let Some((subscriber, group)) = self.group_of(id) else { return };
        let Some(outbox) = subscriber.outbox.as_deref_mut() else { return };
        if outbox.notices.is_empty() || subscriber.offset < group.ring.base() {
            return;
        }
        let mut mark = head;
        if subscriber.offset < group.ring.head() {
            let cursor = group.ring.locate(subscriber.offset);
            if cursor.half.is_some() {
                return;
            }
            mark = cursor.mark;
        }
        let form = group.key.form;
        let mut sum = Checksum::default();
        for notice in std::mem::take(&mut outbox.notices) {
            let block = match notice {
                Pending::Notice(notice) => {
                    let mut control = Vec::with_capacity(256);
                    notice.encode(&mut control, mark, epoch);
                    control
                }
                Pending::Block(block) => block.into(),
            };
            form.wrap(&mut outbox.control, &block);
            sum = sum.then(form.sum(&block));
        }
        self.add_sum(id, sum);
    }
}
