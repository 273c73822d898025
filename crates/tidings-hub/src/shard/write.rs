//! Whose bytes go out next.
//!
//! There are two queues: subscribers with something of their own (control bytes, a page of history,
//! a heartbeat), and groups with new frames. A group is walked: each live member gets, in one
//! write, everything between its place and the ring's head. Frames that arrive during a walk go out
//! with it; members visited before that are visited again. Big groups are walked in slices, so that
//! a small one need not wait for them. The two queues take turns in slices too: neither a crowd of
//! new subscribers nor a flood of frames keeps the other waiting.

use crate::close_reason::CloseReason;
use crate::index::GroupId;
use crate::limits::{OWN_WRITES_IN_A_ROW_MAX, WALK_SLICE};
use crate::subscriber::{Phase, SubscriberId};

use super::Shard;

/// Bytes for one sink.
#[derive(Debug)]
pub struct Transmit<'a, S> {
    /// The subscriber whose sink gets them.
    pub id: SubscriberId,
    /// Its owner.
    pub owner: &'a mut S,
    /// The bytes to write; never empty.
    pub bytes: &'a [u8],
}

/// The origin of a write's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Control,
    Page,
    Ring,
    Heartbeat,
}

impl<S> Shard<S> {
    /// The next bytes to write. Answer with [`handle_written`](Self::handle_written) (or
    /// [`handle_closed`](Self::handle_closed)) before asking again.
    pub fn poll_write(&mut self) -> Option<Transmit<'_, S>> {
        debug_assert!(self.writing.is_none(), "the last write was answered");
        let (id, source) = self.next_write()?;
        let subscriber = &self.subscribers[id.index()];
        let group = &self.groups[subscriber.group as usize];
        let bytes = match (source, subscriber.outbox.as_deref()) {
            (Source::Control, Some(outbox)) => outbox.control_left(),
            (Source::Page, Some(outbox)) => {
                outbox.page.as_ref().map_or(&[][..], |page| &page.bytes[outbox.page_sent..])
            }
            (Source::Heartbeat, _) => self.heartbeat.of(group.key.form),
            (Source::Ring, _) => {
                let bytes = group.ring.since(subscriber.offset).unwrap_or(&[]);
                &bytes[..group.bytes_to_end(subscriber.offset).unwrap_or(bytes.len())]
            }
            (Source::Control | Source::Page, None) => &[],
        };
        debug_assert!(!bytes.is_empty());
        self.writing = Some((id, source, bytes.len()));
        let owner = self.owners[id.index()].as_mut().expect("every subscriber has an owner");
        Some(Transmit { id, owner, bytes })
    }

    /// Whether frames have arrived, since its walk began, for the group that is being walked: then
    /// a slightly later write takes more with it.
    pub fn has_newer_frames(&self) -> bool {
        let walked = self.dirty.front().and_then(|group| self.groups.get(*group as usize));
        walked.is_some_and(|group| group.walk_goal.is_some_and(|goal| goal < group.ring.head()))
    }

    /// The sink took the first `written` bytes of what [`poll_write`](Self::poll_write) gave. If
    /// that is not all of them, it takes no more until [`handle_writable`](Self::handle_writable).
    pub fn handle_written(&mut self, written: usize) {
        let Some((id, source, offered)) = self.writing.take() else { return };
        let now = self.now();
        let Some((subscriber, group)) = self.group_of(id) else { return };
        if written > 0 {
            subscriber.last_sent = now;
        }
        // Whether it has just got the last event of its topics.
        let mut is_at_end = false;
        match (source, subscriber.outbox.as_deref_mut()) {
            (Source::Ring, _) => {
                subscriber.offset += written as u64;
                subscriber.heartbeat_due = false;
                is_at_end = group.ends_at == Some(subscriber.offset);
            }
            (Source::Control, Some(outbox)) => outbox.control_sent += written,
            (Source::Page, Some(outbox)) => outbox.page_sent += written,
            (Source::Control | Source::Page, None) => {}
            (Source::Heartbeat, _) => self.finish_heartbeat(id, written),
        }
        if written < offered {
            self.block(id);
        } else if is_at_end {
            self.close(id, CloseReason::TopicEnded);
        } else if source == Source::Ring {
            // Notices may have waited for the end of an event.
            if self.get(id).is_some_and(|subscriber| subscriber.outbox.is_some()) {
                self.enqueue(id);
            }
        } else {
            self.finish_source(id, source);
        }
    }

    fn finish_source(&mut self, id: SubscriberId, source: Source) {
        let Some(subscriber) = self.get_mut(id) else { return };
        if source == Source::Control {
            let outbox = subscriber.outbox.as_deref_mut();
            let kept = outbox.and_then(|outbox| outbox.kept.take());
            self.delivered += kept.map_or(0, |kept| kept.events);
        } else if source == Source::Page {
            let page = subscriber.outbox.as_deref_mut().and_then(|outbox| outbox.page.take());
            if let Some(page) = page {
                subscriber.position = page.reached;
                self.delivered += page.ends.len() as u64;
                self.add_sum(id, page.sum_at(page.bytes.len()));
                self.count_of_state(id, page.ends.len());
                self.finish_state(id);
                self.rejoin(id);
                if page.is_last {
                    self.close(id, CloseReason::TopicEnded);
                    return;
                }
            }
        }
        self.drop_empty_outbox(id);
    }

    fn next_write(&mut self) -> Option<(SubscriberId, Source)> {
        if self.own_in_a_row < OWN_WRITES_IN_A_ROW_MAX
            && let Some(next) = self.next_own()
        {
            self.own_in_a_row += 1;
            return Some(next);
        }
        if let Some(next) = self.next_of_walk() {
            self.walked_in_a_row += 1;
            if self.walked_in_a_row >= WALK_SLICE {
                (self.own_in_a_row, self.walked_in_a_row) = (0, 0);
            }
            return Some(next);
        }
        (self.own_in_a_row, self.walked_in_a_row) = (0, 0);
        self.next_own()
    }

    /// The next write to a subscriber with something of its own.
    fn next_own(&mut self) -> Option<(SubscriberId, Source)> {
        while let Some(id) = self.ready.front().copied() {
            self.release_notices(id);
            // Frames are left to the walk, where groups take turns.
            if let Some(source) = self.source_of(id).filter(|source| *source != Source::Ring) {
                return Some((id, source));
            }
            self.ready.pop_front();
            if let Some(subscriber) = self.get_mut(id) {
                subscriber.queued = false;
            }
            self.close_if_over(id);
        }
        None
    }

    /// The next write of the groups that are walked.
    fn next_of_walk(&mut self) -> Option<(SubscriberId, Source)> {
        loop {
            let Some(group_id) = self.dirty.front().copied() else {
                self.flooded = false;
                return None;
            };
            let group = self.groups.get(group_id as usize).filter(|group| group.dirty);
            let Some(group) = group else {
                // The group is gone, and perhaps another one has its number.
                self.dirty.pop_front();
                continue;
            };
            let Some(index) = group.live.get(group.walk).copied() else {
                self.finish_walk(group_id);
                continue;
            };
            let id = self.id_at(index as usize);
            match self.source_of(id) {
                Some(source) => return Some((id, source)),
                None => {
                    let group = &mut self.groups[group_id as usize];
                    group.walk += 1;
                    if group.walk.is_multiple_of(WALK_SLICE) {
                        // The next group gets its turn; this one continues afterwards.
                        self.dirty.rotate_left(1);
                    }
                    self.close_if_over(id);
                }
            }
        }
    }

    /// The group's last member was visited.
    fn finish_walk(&mut self, group_id: GroupId) {
        let group = &mut self.groups[group_id as usize];
        group.walk = 0;
        let head = group.ring.head();
        if group.walk_goal == Some(head) || group.live.is_empty() {
            group.low = head;
            group.dirty = false;
            self.dirty.pop_front();
            self.settle(group_id);
        } else {
            group.low = group.walk_goal.unwrap_or(group.low);
            group.walk_goal = Some(head);
            self.dirty.rotate_left(1);
        }
    }

    /// Puts the group into the queue of those to be walked.
    pub(super) fn mark_dirty(&mut self, group_id: GroupId) {
        let group = &mut self.groups[group_id as usize];
        if !group.dirty {
            group.dirty = true;
            group.walk = 0;
            group.walk_goal = Some(group.ring.head());
            self.dirty.push_back(group_id);
        }
    }

    /// The source of the subscriber's next write.
    fn source_of(&self, id: SubscriberId) -> Option<Source> {
        let subscriber = self.get(id).filter(|subscriber| !subscriber.blocked)?;
        if let Some(outbox) = subscriber.outbox.as_deref() {
            if !outbox.control_left().is_empty() {
                return Some(Source::Control);
            }
            if outbox.page.is_some() {
                return Some(Source::Page);
            }
        }
        if subscriber.phase != Phase::Live {
            return None;
        }
        if subscriber.offset < self.groups[subscriber.group as usize].ring.head() {
            return Some(Source::Ring);
        }
        subscriber.heartbeat_due.then_some(Source::Heartbeat)
    }

    /// Closes a subscriber that has everything from topics that have all ended.
    fn close_if_over(&mut self, id: SubscriberId) {
        let Some((subscriber, group)) = self.group_of(id) else { return };
        if subscriber.phase == Phase::Live
            && !subscriber.blocked
            && group.is_over()
            && subscriber.offset == group.ring.head()
        {
            self.close(id, CloseReason::TopicEnded);
        }
    }
}
