//! Events that are compressed with what the same subscribers got before them.
//!
//! A small event compressed alone saves nothing: what it repeats is in the events before it. To
//! refer to these, its readers must all have the same text behind them, the *window*. So the
//! compressed members of an interest stand in two groups, twins: those in the *alone* group get
//! every event compressed alone, and those in the *together* group get events that refer to the
//! window.
//!
//! From time to time an event in the together group refers to nothing: a *key point*, after
//! [`WINDOW_EVENTS_MAX`] events or [`WINDOW_MS_MAX`], where the topic changes, and for every event
//! that may not be shared. Its bytes are those of the alone group. There the window begins anew, so
//! whoever stands between the same two events may come over, whatever it has read before: members
//! of the alone group that have everything move to the together group. A newcomer thus costs the
//! others nothing.
//!
//! A member of the together group is always live, and between two events. As soon as its sink is
//! full, or it must get bytes that the others do not get, it goes back to the alone group: at its
//! place in the log, which does not depend on how events are compressed. If it was cut in the
//! middle of an event that refers to others, the rest of it, which cannot be made again, is kept
//! for it ([`Kept`]).

use std::sync::Arc;

use tidings_codec::gzip::{Checksum, Deflater};

use crate::coding::{Coding, Sharing};
use crate::encoded_page::BLOCK_BYTES_KEPT_MAX;
use crate::frame::Frame;
use crate::group::Group;
use crate::index::GroupId;
use crate::limits::{BLOCK_TEXT_BYTES_MAX, GROUP_BYTES_TIGHT, WINDOW_MS_MAX};
use crate::subscriber::{Kept, Phase, SubscriberId};
use crate::window::Window;

use super::Shard;

/// All windows of a shard.
#[derive(Debug, Default)]
pub(super) struct Windows {
    /// Number of them.
    open: usize,
    /// When those that are over were last looked for.
    swept_ms: u64,
}

impl<S> Shard<S> {
    /// Puts `frame` into the ring of the twin of `alone`, if it has one or is to have one: a group
    /// to which events come in quick succession.
    pub(super) fn offer_together(&mut self, alone: GroupId, frame: &Frame) {
        let now_ms = self.now_ms;
        let group = &mut self.groups[alone as usize];
        let Coding::Gzip(sharing) = group.key.form.coding else { return };
        let before_ms = group.offered_ms.replace(now_ms);
        let together = match group.twin {
            Some(together) => together,
            None => {
                let is_quick = before_ms.is_some_and(|at_ms| now_ms < at_ms + WINDOW_MS_MAX);
                if !is_quick || group.live.is_empty() || self.windows.open >= self.windows_max() {
                    return;
                }
                self.make_twin(alone)
            }
        };
        self.groups[together as usize].note(frame);
        let group = &self.groups[together as usize];
        let form = group.key.form;
        let is_last = group.is_over();
        let text = match is_last {
            true => frame.last_text(form),
            false => frame.text(form).into(),
        };
        if text.is_empty() {
            // Nothing to write, but perhaps subscribers to close.
            self.mark_dirty(together);
            return;
        }
        let is_shared =
            !is_last && text.len() <= BLOCK_TEXT_BYTES_MAX && Sharing::admits(frame.record());
        let goes_on = is_shared
            && !group.live.is_empty()
            && group.window.as_ref().is_some_and(|window| {
                window.is_open(now_ms) && sharing.joins(window.last(), frame.record())
            });
        if !goes_on {
            self.move_together(alone, together);
        }
        if self.groups[together as usize].live.is_empty() {
            self.close_window(together);
            let group = &mut self.groups[together as usize];
            self.rings_bytes -= group.ring.len();
            group.ring.pass(frame.mark());
            return;
        }
        let mut bytes = Vec::new();
        if goes_on {
            self.compress_together(together, frame, &text, &mut bytes);
        } else {
            match is_last {
                true => bytes.extend_from_slice(&frame.last_bytes(form)),
                false => bytes.extend_from_slice(frame.bytes(form)),
            }
            match is_shared {
                true => self.open_window(together, frame, &text),
                false => self.close_window(together),
            }
        }
        let group = &mut self.groups[together as usize];
        if is_last {
            group.ends_at = Some(group.ring.head() + bytes.len() as u64);
        }
        // What refers to other events can be made nowhere else.
        let is_steady = !goes_on && frame.is_steady(form);
        group.ring.push_summed(frame.mark(), &bytes, is_steady, Checksum::of(&text));
        self.rings_bytes += bytes.len();
        self.delivered += group.live.len() as u64;
        if group.ring.len() > self.group_bytes_max().min(GROUP_BYTES_TIGHT) {
            self.trim(together);
        }
        if !self.groups[together as usize].live.is_empty() {
            self.mark_dirty(together);
        }
    }

    /// Whether `group` is a together group.
    pub(super) fn is_together(&self, group: GroupId) -> bool {
        self.groups[group as usize].is_together
    }

    /// The group that the index knows: `group`, or the twin of a together group.
    pub(super) fn indexed_group(&self, group: GroupId) -> GroupId {
        let this = &self.groups[group as usize];
        if this.is_together { this.twin.unwrap_or(group) } else { group }
    }

    /// The together group of `group`, which the index knows.
    pub(super) fn together_of(&self, group: GroupId) -> Option<&Group> {
        self.groups[group as usize].twin.map(|twin| &self.groups[twin as usize])
    }

    /// Bytes that only `id` gets are about to be sent to it, which has everything. Returns whether
    /// it is live afterwards.
    pub(super) fn make_room_for_own(&mut self, id: SubscriberId) -> bool {
        let Some(subscriber) = self.get(id) else { return false };
        let group = subscriber.group;
        if self.is_together(group) {
            // Once the window is over, the next event is a key point for everybody.
            let window = self.groups[group as usize].window.as_ref();
            if window.is_none_or(|window| !window.is_open(self.now_ms)) {
                return true;
            }
            self.move_alone(id);
        }
        self.get(id).is_some_and(|subscriber| subscriber.phase == Phase::Live)
    }

    /// The sink of `id` is full: it leaves the together group. If it is in the middle of an event
    /// that cannot be made again, it keeps the rest.
    pub(super) fn leave_together(&mut self, id: SubscriberId) {
        let Some((subscriber, group)) = self.group_of(id) else { return };
        if let Some((end, position)) = group.ring.unsteady_rest(subscriber.offset) {
            let rest = group.ring.since(subscriber.offset).unwrap_or(&[]);
            let rest = &rest[..(end - subscriber.offset) as usize];
            if rest.len() <= BLOCK_BYTES_KEPT_MAX {
                let outbox = subscriber.outbox.get_or_insert_default();
                outbox.control.extend_from_slice(rest);
                outbox.kept = Some(Kept { after: position, events: 1 });
                subscriber.offset = end;
                // It was counted when it entered the ring, and counts again when it is written.
                self.delivered -= 1;
            }
        }
        self.move_alone(id);
    }

    /// Moves a live member of the together group to the alone group, at its place in the log.
    fn move_alone(&mut self, id: SubscriberId) {
        let Some((subscriber, group)) = self.group_of(id) else { return };
        subscriber.stand_at(group.ring.locate(subscriber.offset));
        let together = subscriber.group;
        self.leave_phase(id);
        self.stand_alone(id);
        self.catch_up(id);
        self.settle(together);
    }

    /// A subscriber that is behind belongs to the alone group.
    pub(super) fn stand_alone(&mut self, id: SubscriberId) {
        let Some((subscriber, group)) = self.group_of(id) else { return };
        if let (true, Some(alone)) = (group.is_together, group.twin) {
            group.members -= 1;
            subscriber.group = alone;
            self.groups[alone as usize].members += 1;
        }
    }

    /// A key point: members of the alone group that have everything come over.
    fn move_together(&mut self, alone: GroupId, together: GroupId) {
        let writing = self.writing.as_ref().map(|(id, ..)| id.index);
        for slot in (0..self.groups[alone as usize].live.len()).rev() {
            let group = &self.groups[alone as usize];
            let index = group.live[slot];
            let subscriber = &self.subscribers[index as usize];
            let has_own = subscriber.outbox.is_some() || writing == Some(index);
            if has_own || subscriber.offset != group.ring.head() {
                continue;
            }
            let id = self.id_at(index as usize);
            self.leave_phase(id);
            let ended = self.groups[alone as usize].ended().map(Into::into);
            let group = &mut self.groups[alone as usize];
            group.members -= 1;
            let group = &mut self.groups[together as usize];
            group.members += 1;
            group.set_ended(ended);
            let offset = group.ring.head();
            let subscriber = &mut self.subscribers[index as usize];
            subscriber.group = together;
            subscriber.offset = offset;
            subscriber.phase = Phase::Live;
            subscriber.slot = group.push_live(index, offset);
            self.sum_enters_ring(id);
        }
        self.settle(alone);
    }

    fn make_twin(&mut self, alone: GroupId) -> GroupId {
        let group = &self.groups[alone as usize];
        let mut twin = Group::new(Arc::clone(&group.key), group.ring.last_mark());
        twin.is_together = true;
        twin.twin = Some(alone);
        let together = self.groups.insert(twin) as GroupId;
        self.groups[alone as usize].twin = Some(together);
        together
    }

    fn compress_together(&mut self, id: GroupId, frame: &Frame, text: &[u8], bytes: &mut Vec<u8>) {
        let group = &mut self.groups[id as usize];
        let Some(window) = &mut group.window else { return };
        let block = window.block(frame.record(), text);
        group.key.form.framing.wrap(bytes, &block);
    }

    /// The window of the group `id` begins with the event in `frame`, if there is memory for it.
    fn open_window(&mut self, id: GroupId, frame: &Frame, text: &[u8]) {
        let has_room = self.windows.open < self.windows_max();
        let (record, now_ms) = (frame.record(), self.now_ms);
        let window = &mut self.groups[id as usize].window;
        match window {
            Some(window) => window.restart(record, text, now_ms),
            None if has_room => {
                *window = Some(Box::new(Window::new(record, text, now_ms)));
                self.windows.open += 1;
            }
            None => {}
        }
    }

    pub(super) fn close_window(&mut self, id: GroupId) {
        if self.groups[id as usize].window.take().is_some() {
            self.windows.open -= 1;
        }
    }

    /// Frees the memory of windows that are over: those of groups that have become quiet.
    pub(super) fn sweep_windows(&mut self) {
        let now_ms = self.now_ms;
        if self.windows.open == 0 || now_ms < self.windows.swept_ms + WINDOW_MS_MAX {
            return;
        }
        self.windows.swept_ms = now_ms;
        for (_, group) in &mut self.groups {
            if group.window.take_if(|window| !window.is_open(now_ms)).is_some() {
                self.windows.open -= 1;
            }
        }
    }

    fn windows_max(&self) -> usize {
        self.config.window_bytes_max / Deflater::BYTES
    }
}
