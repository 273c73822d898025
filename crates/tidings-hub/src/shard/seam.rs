//! Joining history to live events, without gap or repeat.
//!
//! # The argument
//!
//! A subscriber starts somewhere in the log and must end up in its group's ring. Let `p` be the
//! last record that it has in full, `h` the last record handed to this shard, `f` the floor of its
//! group's ring.
//!
//! *Nothing is missed.* The subscriber is in its group before any of its history is read, and a
//! group sees every frame it wants from the moment it exists. So every wanted frame after `f` is in
//! the ring, whatever else happens.
//!
//! *Nothing comes twice.* History is read only up to `h`, never beyond, although the log may
//! already hold more: what is after `h` will come through the ring. A read that reaches `r ≤ h`
//! moves `p` to `r`.
//!
//! *Joining.* When `p ≥ f`, the ring holds every wanted frame after `p`: the subscriber continues
//! at the ring's offset after `p` ([`Ring::offset_after`](crate::ring::Ring::offset_after)), and is
//! live. When `p < f`, the ring has already forgotten something it needs: another page is read.
//!
//! *It catches up.* While a page is being read or written for any member, the ring forgets nothing
//! it has room for. So unless more than a whole ring of frames came during one page, `f` is still
//! where it was when the page was ordered, the page reached at least that far, and the subscriber
//! joins.
//!
//! *Leaving again.* A live subscriber whose sink is full keeps its offset, and with it the place in
//! the log that the offset stands for, to the byte. If the ring forgets that offset meanwhile, the
//! subscriber continues from that place: history, minus the bytes of the first record that it
//! already has. The same holds for a page that its sink did not take to the end: the page is
//! dropped and the place kept. Catching up after a stall, after a reconnect and after being
//! overtaken all work the same way.
//!
//! *Two halves fit.* The place names the record that was half sent ([`HalfSent`]). Its rest is sent
//! only if the history, or the ring, continues with that same record, and if the record is *steady*
//! ([`Frame::is_steady`](crate::Frame::is_steady)): encoding is the same everywhere, so its bytes
//! are the same. Otherwise the rest is nowhere: what is kept of a log may have gaps, so the next
//! record can be any other.
//!
//! *When retention was faster*, the read says so, if it dropped anything that the subscriber may
//! have wanted. Between two events the subscriber gets a `tidings.reset` and continues with what
//! there is; its `told` keeps the same loss from being announced again. In the middle of an event
//! nothing can be inserted: the connection is closed, and the client learns of the loss when it
//! reconnects.
//!
//! [`HalfSent`]: crate::half_sent::HalfSent

use std::collections::VecDeque;

use crate::close_reason::CloseReason;
use crate::encoded_page::EncodedPage;
use crate::error::ReadError;
use crate::half_sent::HalfSent;
use crate::interest::Interest;
use crate::limits::{
    CATCH_UP_FIRST_PAGE_RECORDS, CATCH_UP_FIRST_READS_MAX, CATCH_UP_PAGE_RECORDS_MAX,
    CATCH_UP_READS_MAX,
};
use crate::position::Position;
use crate::reset::Reset;
use crate::start::ResetReason;
use crate::store::StateRead;
use crate::stream_form::{ControlStyle, StreamForm};
use crate::subscriber::{Kept, Phase, SubscriberId};

use super::{Shard, Skip};

/// History to be read for one subscriber.
#[derive(Clone, Debug)]
pub struct ReadOrder {
    /// The subscriber the page is for.
    pub id: SubscriberId,
    /// What the subscriber wants and may have.
    pub interest: Interest,
    /// The form of the stream.
    pub form: StreamForm,
    /// Position after which to begin.
    pub after: Position,
    /// Position to end with.
    pub upto: Position,
    /// Position up to which the subscriber knows of losses.
    pub told: Position,
    /// If it is a page of the state: how to read it.
    pub state: Option<StateRead>,
    /// Maximum number of records to read.
    pub records_max: usize,
    /// Whether the subscriber has received nothing since it arrived or fell behind: then it should
    /// not wait for the long pages of others.
    pub is_first: bool,
}

/// Subscribers that need a page of history and wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Behind {
    for_first_page: VecDeque<SubscriberId>,
    for_further_page: VecDeque<SubscriberId>,
}

impl Behind {
    /// The next subscriber to read for, given that `reading` pages are being read.
    fn next(&mut self, reading: usize) -> Option<SubscriberId> {
        if reading >= CATCH_UP_READS_MAX + CATCH_UP_FIRST_READS_MAX {
            return None;
        }
        let first = self.for_first_page.pop_front();
        first.or_else(|| {
            if reading < CATCH_UP_READS_MAX { self.for_further_page.pop_front() } else { None }
        })
    }
}

impl<S> Shard<S> {
    /// The next page of history to be read.
    pub fn poll_read(&mut self) -> Option<ReadOrder> {
        loop {
            let id = self.behind.next(self.reading)?;
            let state = self.state_order(id);
            let upto = state.map_or(self.head.position, |(_, upto)| upto);
            // The queue may name a subscriber that has left, has joined, or waits for its sink.
            let Some((subscriber, group)) = self.group_of(id) else { continue };
            if subscriber.phase != Phase::Behind || subscriber.blocked {
                continue;
            }
            subscriber.phase = Phase::Reading;
            // From here on the ring keeps its frames for the moment at which the page is done.
            group.chasing += 1;
            // Pages grow eightfold: the first is soon there, and a long way takes few reads.
            let is_first = subscriber.pages == 0;
            let records_max =
                CATCH_UP_FIRST_PAGE_RECORDS << (3 * u32::from(subscriber.pages)).min(16);
            subscriber.pages = subscriber.pages.saturating_add(1);
            let order = ReadOrder {
                id,
                interest: group.key.interest.clone(),
                form: group.key.form,
                after: subscriber.position,
                upto,
                told: subscriber.told,
                state: state.map(|(read, _)| read),
                records_max: records_max.min(CATCH_UP_PAGE_RECORDS_MAX),
                is_first,
            };
            self.reading += 1;
            return Some(order);
        }
    }

    /// Queues a subscriber that is behind for a page.
    pub(super) fn queue_for_page(&mut self, id: SubscriberId) {
        let Some(subscriber) = self.get(id) else { return };
        match subscriber.pages {
            0 => self.behind.for_first_page.push_back(id),
            _ => self.behind.for_further_page.push_back(id),
        }
    }

    /// Takes the result of a [`ReadOrder`].
    pub fn handle_page(&mut self, id: SubscriberId, mut page: Result<EncodedPage, ReadError>) {
        self.reading -= 1;
        if let Ok(page) = &mut page {
            self.note_state_page(id, page);
        }
        let Some((subscriber, group)) = self.group_of(id) else { return };
        if subscriber.blocked {
            // Nothing may be queued for a full sink: the page is dropped, and read again once the
            // sink takes bytes.
            self.rejoin(id);
            return;
        }
        let half = subscriber.half;
        let half_sent = half.record(subscriber.position);
        match page {
            Ok(page) if page.bytes.is_empty() => {
                // The half-sent record may be further on, but not behind: then it is gone.
                if half.is_some() && half_sent.is_none_or(|record| record <= page.reached) {
                    self.close(id, CloseReason::Overtaken);
                    return;
                }
                subscriber.half = HalfSent::new(half.bytes(), page.reached, half_sent);
                subscriber.position = page.reached;
                group.note_history(&page);
                self.finish_state(id);
                self.rejoin(id);
                // Even with nothing to write there may be something to do: the topic may have
                // ended.
                self.enqueue(id);
            }
            // The page begins with another record, or with other bytes of the same one.
            Ok(page) if !half.fits(subscriber.position, page.begins_with()) => {
                self.close(id, CloseReason::Overtaken);
            }
            Ok(page) => {
                group.note_history(&page);
                // The bytes that the subscriber has of the first record are not sent again.
                subscriber.half = HalfSent::default();
                let outbox = subscriber.outbox.get_or_insert_default();
                outbox.page = Some(page);
                outbox.page_sent = half.bytes();
                subscriber.phase = Phase::Page;
                self.enqueue(id);
            }
            Err(ReadError::Expired { .. }) if half.is_some() => {
                self.close(id, CloseReason::Overtaken);
            }
            Err(ReadError::Expired { first, lost }) => self.announce_loss(id, first, lost),
            Err(ReadError::Away { .. } | ReadError::Damaged { .. }) => {
                self.close(id, CloseReason::StoreFailed);
            }
        }
    }

    /// Retention dropped events up to `lost` that the subscriber may have needed: announce it, and
    /// continue with what there is. The log's oldest record is at `first`.
    fn announce_loss(&mut self, id: SubscriberId, first: Position, lost: Position) {
        let epoch = self.config.epoch;
        let Some((subscriber, group)) = self.group_of(id) else { return };
        if group.key.form.control_style == ControlStyle::Nothing {
            // Nothing can be announced: the reconnection of the client learns of the loss.
            self.close(id, CloseReason::Overtaken);
            return;
        }
        let after = subscriber.position;
        let requested = after.event_id(epoch);
        // Other events after its position can still be there, but none before the oldest record.
        // Retention may report a place that the subscriber has passed: it never moves back.
        subscriber.position = first.previous().max(subscriber.position);
        subscriber.told = lost.max(subscriber.told);
        let whole_from = lost.next();
        if group.key.form.control_style == ControlStyle::Native {
            let mut control = Vec::new();
            Reset {
                reason: ResetReason::Expired,
                requested: requested.as_str(),
                first: &whole_from.event_id(epoch),
                id: &subscriber.position.event_id(epoch),
                topic: None,
            }
            .encode(&mut control);
            let form = group.key.form;
            form.wrap(&mut subscriber.outbox.get_or_insert_default().control, &control);
            self.add_sum(id, form.sum(&control));
        }
        self.note_skip(Skip { id, after, first: whole_from });
        self.restart_state(id, first);
        self.rejoin(id);
        self.enqueue(id);
    }

    /// Joins the ring if it holds everything that the subscriber still needs; otherwise asks for a
    /// page of history. The subscriber is in no list when this is called.
    pub(super) fn catch_up(&mut self, id: SubscriberId) {
        let head = self.head.position;
        let Some(subscriber) = self.get_mut(id) else { return };
        subscriber.phase = Phase::Behind;
        if subscriber.blocked {
            return; // once its sink takes bytes again
        }
        // It starts after records that this shard has not been handed yet: wait for them, or they
        // would be delivered as new.
        if subscriber.position > head {
            self.ahead.push(id);
            return;
        }
        let position = subscriber.position;
        if self.is_reading_state(id, position) {
            return;
        }
        let Some((subscriber, group)) = self.group_of(id) else { return };
        // Below the floor the ring has forgotten something that it needs.
        let Some(offset) = group.ring.offset_after(subscriber.position) else {
            self.queue_for_page(id);
            return;
        };
        // If it has a part of a record, the ring's next frame must be that record, as the rest of
        // any other would not fit.
        let half = subscriber.half;
        if half.is_some() && !half.fits(subscriber.position, group.ring.begins_with(offset)) {
            self.close(id, CloseReason::Overtaken);
            return;
        }
        subscriber.half = HalfSent::default();
        subscriber.offset = offset + half.bytes() as u64;
        subscriber.phase = Phase::Live;
        subscriber.pages = 0;
        subscriber.slot = group.push_live(id.index, subscriber.offset);
        let coming = group.ring.frames_after(subscriber.offset);
        if coming > 0 {
            let group = subscriber.group;
            self.delivered += coming;
            self.mark_dirty(group);
        }
        self.sum_enters_ring(id);
    }

    /// The shard's head has moved, perhaps far enough for a subscriber that starts ahead of it.
    pub(super) fn admit_ahead(&mut self) {
        for id in std::mem::take(&mut self.ahead) {
            // It may have moved on by itself, or be in this list twice.
            if self.get(id).is_some_and(|subscriber| subscriber.phase == Phase::Behind) {
                self.catch_up(id);
                self.enqueue(id);
            }
        }
    }

    /// The sink of `id` takes bytes again.
    pub fn handle_writable(&mut self, id: SubscriberId) {
        let Some((subscriber, group)) = self.group_of(id) else { return };
        if !std::mem::take(&mut subscriber.blocked) {
            return;
        }
        match subscriber.phase {
            Phase::Live => {
                group.blocked -= 1;
                // The ring trims regardless of blocked members, so it may have forgotten the
                // offset. `block` noted the place in the log that the offset stands for.
                let overtaken = subscriber.offset < group.ring.base();
                let group_id = subscriber.group;
                if overtaken {
                    subscriber.phase = Phase::Behind;
                    self.rejoin(id);
                } else {
                    subscriber.slot = group.push_live(id.index, subscriber.offset);
                    self.delivered += group.ring.frames_after(subscriber.offset);
                    self.sum_enters_ring(id);
                    self.mark_dirty(group_id);
                    self.settle(group_id);
                }
            }
            Phase::Behind => self.catch_up(id),
            // A page on its way finds the sink ready when it comes.
            Phase::Reading | Phase::Page => {}
        }
        self.enqueue(id);
    }

    /// The sink is full. The bytes it did not take are found again later.
    pub(super) fn block(&mut self, id: SubscriberId) {
        let Some(subscriber) = self.get(id).filter(|subscriber| !subscriber.blocked) else {
            return;
        };
        if self.is_together(subscriber.group) {
            self.leave_together(id);
        }
        let Some((subscriber, group)) = self.group_of(id) else { return };
        subscriber.blocked = true;
        match subscriber.phase {
            Phase::Live => {
                // The ring holds the offset now and may forget it later, so note its place in the
                // log while it is known.
                subscriber.stand_at(group.ring.locate(subscriber.offset));
                group.blocked += 1;
                self.leave_live(id);
            }
            Phase::Page => {
                let outbox = subscriber.outbox.as_deref_mut();
                let rest = outbox.and_then(|outbox| Some((outbox.page.take()?, outbox.page_sent)));
                if let Some((page, mut sent)) = rest {
                    // Several events that were compressed together cannot be found again from the
                    // middle: the rest of them is kept, and is sent before anything else.
                    let mut kept = 0;
                    if let Some(rest) = page.rest_of_block(sent) {
                        let (whole, after, _) = page.place_after(sent, subscriber.position);
                        kept = page.place_after(rest, subscriber.position).0 - whole;
                        let outbox = subscriber.outbox.get_or_insert_default();
                        outbox.control.extend_from_slice(&page.bytes[sent..rest]);
                        outbox.kept = Some(Kept { after, events: kept as u64 });
                        sent = rest;
                    }
                    // The page is dropped: keep the last record that was sent in full, and which
                    // part of the next one was.
                    let (whole, position, half) = page.place_after(sent, subscriber.position);
                    subscriber.position = position;
                    subscriber.half = half;
                    self.delivered += (whole - kept) as u64;
                    self.add_sum(id, page.sum_at(sent));
                    self.keep_rest_of_state(id, &page, whole, sent);
                }
                self.rejoin(id);
            }
            Phase::Behind | Phase::Reading => {}
        }
        self.drop_empty_outbox(id);
    }

    /// A page is finished, written or dropped: join the ring if possible, before the ring may
    /// forget the frames it kept for this moment.
    pub(super) fn rejoin(&mut self, id: SubscriberId) {
        self.leave_phase(id);
        self.catch_up(id);
        if let Some(subscriber) = self.get(id) {
            self.settle(subscriber.group);
        }
    }

    /// Removes the subscriber from the list or count of its phase; it is then behind.
    pub(super) fn leave_phase(&mut self, id: SubscriberId) {
        let Some((subscriber, group)) = self.group_of(id) else { return };
        let phase = std::mem::replace(&mut subscriber.phase, Phase::Behind);
        match phase {
            Phase::Live if subscriber.blocked => group.blocked -= 1,
            Phase::Live => self.leave_live(id),
            Phase::Reading | Phase::Page => group.chasing -= 1,
            Phase::Behind => {}
        }
    }

    fn leave_live(&mut self, id: SubscriberId) {
        self.sum_leaves_ring(id);
        let Some((subscriber, group)) = self.group_of(id) else { return };
        let slot = subscriber.slot;
        // What it has not received yet was counted as delivered when it came; it is counted again
        // when it is sent from history or after rejoining.
        let missing = group.ring.frames_after(subscriber.offset);
        // `swap_remove` moved another member into the free slot.
        if let Some(moved) = group.remove_live(slot) {
            self.subscribers[moved as usize].slot = slot;
        }
        self.delivered -= missing;
    }

    pub(super) fn drop_empty_outbox(&mut self, id: SubscriberId) {
        if let Some(subscriber) = self.get_mut(id) {
            subscriber.outbox.take_if(|outbox| outbox.is_empty());
        }
    }
}
