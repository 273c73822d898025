//! A subscriber that begins with the state.
//!
//! Its history up to a place `c`, the shard's head when its first page is ordered, or the log's
//! when the subscriber asked if that is later, is read without what is superseded. If something
//! was passed over whose successor is beyond `c`, everything up to that successor is read as well,
//! with nothing passed over. Then `event: tidings.state` says that what the subscriber has is the
//! state, and from there on it is a subscriber like others. Until then it does not join the ring.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use tidings_codec::{EventType, encode};

use crate::coding::Coding;
use crate::encoded_page::EncodedPage;
use crate::group::Group;
use crate::half_sent::HalfSent;
use crate::limits::STATE_REST_BYTES_MAX;
use crate::position::Position;
use crate::store::StateRead;
use crate::stream_form::ControlStyle;
use crate::subscriber::SubscriberId;

use super::{Shard, StateStart};

/// Subscribers that do not have the whole state yet: a table of its own, so that others have no
/// room for it.
pub(super) type States = HashMap<SubscriberId, Reading, RandomState>;

/// How far one of them is.
#[derive(Debug)]
pub(super) struct Reading {
    read: StateRead,
    /// Position of the newest record when the subscriber asked.
    asked_at: Position,
    /// Position as of which the state is complete; `None` before the first page.
    upto: Option<Position>,
    /// Position of the newest successor of what was passed over.
    successor: Position,
    /// Number of events sent.
    count: u64,
    /// The ends of topics that follow.
    ends: Vec<u8>,
}

impl Reading {
    pub(super) fn new(from: Position, start: StateStart) -> Self {
        let StateStart { has_removals, asked_at } = start;
        let read = StateRead { from, has_removals, has_superseded: false, half: None };
        Self { read, asked_at, upto: None, successor: Position::ZERO, count: 0, ends: Vec::new() }
    }
}

impl<S> Shard<S> {
    /// How, and up to where, the next page is to be read; `None` if it is no page of a state.
    pub(super) fn state_order(&mut self, id: SubscriberId) -> Option<(StateRead, Position)> {
        let head = self.head.position;
        let reading = self.states.get(&id)?;
        let upto = reading.upto.unwrap_or(head.max(reading.asked_at));
        let half = self.get(id).and_then(|subscriber| subscriber.half.record(subscriber.position));
        let reading = self.states.get_mut(&id)?;
        reading.upto = Some(upto);
        Some((StateRead { half, ..reading.read }, upto.min(head)))
    }

    /// Whether the subscriber must not join the ring: it reads on, or waits for the records up to
    /// which it is to read.
    pub(super) fn is_reading_state(&mut self, id: SubscriberId, position: Position) -> bool {
        let head = self.head.position;
        let Some(reading) = self.states.get(&id) else { return false };
        match reading.upto {
            Some(upto) if position >= head && upto > head => self.ahead.push(id),
            _ => self.queue_for_page(id),
        }
        true
    }

    /// Takes from a page what is not sent with it.
    pub(super) fn note_state_page(&mut self, id: SubscriberId, page: &mut EncodedPage) {
        if let Some(reading) = self.states.get_mut(&id) {
            reading.successor = reading.successor.max(page.successor);
            reading.ends = std::mem::take(&mut page.after_state);
        }
    }

    /// Counts events that were sent.
    pub(super) fn count_of_state(&mut self, id: SubscriberId, count: usize) {
        if let Some(reading) = self.states.get_mut(&id) {
            reading.count += count as u64;
        }
    }

    /// The subscriber, which is between two events, has everything up to its position: if that is
    /// all of the state, says so.
    pub(super) fn finish_state(&mut self, id: SubscriberId) {
        let Some(position) = self.get(id).map(|subscriber| subscriber.position) else { return };
        let Some(reading) = self.states.get_mut(&id) else { return };
        let Some(upto) = reading.upto.filter(|upto| *upto <= position) else { return };
        if reading.successor > upto {
            reading.read.has_superseded = true;
            reading.read.has_removals = true;
            reading.upto = Some(reading.successor);
            return;
        }
        let Some(reading) = self.states.remove(&id) else { return };
        let mark = match upto == self.head.position {
            true => self.head,
            false => upto.into(),
        };
        let id_of_end = mark.event_id(self.config.epoch);
        let Some((subscriber, group)) = self.group_of(id) else { return };
        subscriber.told = subscriber.told.max(upto);
        if group.key.form.control_style != ControlStyle::Native {
            return;
        }
        let event_type = EventType::new(STATE_TYPE).expect("a word and a dot");
        let data = format!("{{\"count\":{},\"upto\":\"{id_of_end}\"}}", reading.count);
        let mut block = Vec::new();
        encode::event(&mut block, Some(&id_of_end), Some(&event_type), None, &data);
        let outbox = subscriber.outbox.get_or_insert_default();
        block.extend_from_slice(&reading.ends);
        let form = group.key.form;
        form.wrap(&mut outbox.control, &block);
        self.add_sum(id, form.sum(&block));
    }

    /// A page was not sent to the end. The next one may have another record in place of a half-sent
    /// one, as a key can change at any time; so the rest of that one is kept, if it is short.
    pub(super) fn keep_rest_of_state(
        &mut self,
        id: SubscriberId,
        page: &EncodedPage,
        whole: usize,
        sent: usize,
    ) {
        self.count_of_state(id, whole);
        let is_plain = |group: &&mut Group| group.key.form.coding == Coding::Identity;
        let has_plain = self.group_of(id).is_some_and(|(_, group)| is_plain(&group));
        if !has_plain || !self.states.contains_key(&id) {
            return;
        }
        let Some(subscriber) = self.get_mut(id) else { return };
        let rest = page.rest_of(whole, sent);
        if subscriber.half.is_some() && rest.len() <= STATE_REST_BYTES_MAX {
            let outbox = subscriber.outbox.get_or_insert_default();
            outbox.control = rest.to_vec();
            outbox.control_sent = 0;
            subscriber.position = page.ends[whole].0;
            subscriber.half = HalfSent::default();
            self.count_of_state(id, 1);
        }
    }

    /// Begins again, after a reset.
    pub(super) fn restart_state(&mut self, id: SubscriberId, first: Position) {
        let head = self.head.position;
        let Some(reading) = self.states.get_mut(&id) else { return };
        let start = StateStart { has_removals: false, asked_at: head };
        *reading = Reading::new(first.previous(), start);
        if let Some(subscriber) = self.get_mut(id) {
            subscriber.position = first.previous();
            subscriber.told = head.max(subscriber.told);
        }
    }
}

/// The type of the event that says that the state is complete.
const STATE_TYPE: &str = "tidings.state";
