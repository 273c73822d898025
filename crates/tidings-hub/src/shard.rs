//! One core's share of the subscribers, and everything that happens to them.
//!
//! The parts: this file has attaching, frames and closing; `seam` joins history to live events;
//! `write` decides whose bytes go out next; `heartbeat` has everything that time triggers; `notice`
//! has the events that bypass the log; `status` answers questions about subscribers.

mod heartbeat;
mod notice;
mod seam;
mod status;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use slab::Slab;

use crate::close_reason::CloseReason;
use crate::epoch::Epoch;
use crate::frame::Frame;
use crate::group::{Group, GroupKey};
use crate::index::{GroupId, Index};
use crate::interest::Interest;
use crate::limits::{GROUP_BYTES_MAX, GROUP_BYTES_TIGHT};
use crate::notice::Audience;
use crate::opening_block::opening_block;
use crate::position::Position;
use crate::random::Random;
use crate::stream_form::{ControlStyle, StreamForm};
use crate::subscriber::{Outbox, Phase, Subscriber, SubscriberId};
use crate::timer::{Tick, TimerWheel};
use crate::topic::Topic;

pub use seam::ReadOrder;
pub use status::{Backlog, Skip, Standing, StandingState};
pub use write::Transmit;

/// A shard's fixed configuration.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// The name of the log.
    pub epoch: Epoch,
    /// Position of the newest record at the start; frames after it will be handed in.
    pub head: Position,
    /// Heartbeat interval for idle subscribers in milliseconds, ±10 % jitter.
    pub heartbeat_ms: u64,
    /// Age in milliseconds, ±10 %, at which connections are closed so that clients reconnect,
    /// perhaps to another node.
    pub connection_age_max_ms: Option<u64>,
    /// Bytes that all rings may keep together before they are shortened.
    pub ring_bytes_max: usize,
    /// Seed of the jitter; the same seed and the same inputs give the same outputs.
    pub seed: u64,
}

/// A new subscriber.
#[derive(Debug)]
pub struct Attach {
    /// What it wants and may have.
    pub interest: Interest,
    /// The form of its stream.
    pub form: StreamForm,
    /// Audience whose notices it gets, if any.
    pub audience: Option<Audience>,
    /// Position after which it starts.
    pub position: Position,
    /// Topics of the interest that have ended, each with the position of its end.
    pub ended: Vec<(Topic, Position)>,
    /// Bytes to send first, already framed.
    pub first: Vec<u8>,
    /// End of its grant, in the shard's milliseconds.
    pub expires_ms: Option<u64>,
}

/// A subscriber that is gone.
#[derive(Debug, PartialEq, Eq)]
pub struct Closing {
    /// Its id, which the shard no longer knows.
    pub id: SubscriberId,
    /// Why it was closed.
    pub reason: CloseReason,
    /// Its position and state when it was closed.
    pub standing: Standing,
    /// `None` if the stream is in the middle of an event, or the peer is gone: then just close.
    pub farewell: Option<Farewell>,
}

/// How a stream ends between two events.
#[derive(Debug, PartialEq, Eq)]
pub struct Farewell {
    /// Bytes to send before closing, if the sink takes them at once.
    pub bytes: Vec<u8>,
    /// Whether the body is complete: every topic of the stream has ended. Otherwise the connection
    /// is cut, so that the client comes back.
    pub is_end: bool,
}

/// Frames in log order.
#[derive(Debug)]
pub struct FrameBatch {
    /// The batch begins after this position.
    pub after: Position,
    /// Frames of records that some subscriber may want.
    pub frames: Vec<Arc<Frame>>,
    /// The batch ends with this position.
    pub upto: Position,
}

/// One core's share of the subscribers.
///
/// # The order of polling
///
/// The driver of a shard reports what happened (`handle_*`, [`Self::attach`]) and then polls until
/// there is nothing more:
///
/// 1. [`Self::poll_write`], each answered by [`Self::handle_written`] before the next: bytes for
///    sinks. Between two of them anything else may be handled; bytes that arrive meanwhile go out
///    with the same walk.
/// 2. [`Self::poll_read`]: history to be read, answered later by [`Self::handle_page`].
/// 3. [`Self::poll_probe`]: peers whose connection should be checked.
/// 4. [`Self::poll_close`]: subscribers that are gone, each with its one reason.
/// 5. [`Self::poll_timeout`]: the latest time to call [`Self::handle_time`].
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    now_ms: u64,
    /// The last record that was handed in.
    head: Position,
    subscribers: Slab<Subscriber>,
    /// Generation of the next subscriber.
    generation: u32,
    groups: Slab<Group>,
    by_key: HashMap<Arc<GroupKey>, GroupId, RandomState>,
    index: Index,
    timers: TimerWheel<SubscriberId>,
    /// Subscribers with something of their own to write.
    ready: VecDeque<SubscriberId>,
    /// Groups with frames to write.
    dirty: VecDeque<GroupId>,
    /// Number of writes from `ready` since groups last had a slice of writes, and from `dirty` in
    /// that slice.
    own_in_a_row: usize,
    walked_in_a_row: usize,
    /// The write that the last `poll_write` returned.
    writing: Option<(SubscriberId, write::Source, usize)>,
    behind: seam::Behind,
    /// Subscribers that start after a record that this shard has yet to see.
    ahead: Vec<SubscriberId>,
    /// Number of pages being read.
    reading: usize,
    probes: VecDeque<SubscriberId>,
    closing: VecDeque<Closing>,
    heartbeat: heartbeat::Heartbeat,
    rings_bytes: usize,
    ring_bytes_max: usize,
    /// See [`status`].
    delivered: u64,
    skips: VecDeque<Skip>,
    flooded: bool,
    random: Random,
    /// Scratch space.
    found: Vec<GroupId>,
    due: Vec<(SubscriberId, Tick)>,
}

impl Shard {
    /// A shard without subscribers, at time `now_ms`.
    pub fn new(config: ShardConfig, now_ms: u64) -> Self {
        Self {
            now_ms,
            head: config.head,
            subscribers: Slab::new(),
            generation: 0,
            groups: Slab::new(),
            by_key: HashMap::default(),
            index: Index::default(),
            timers: TimerWheel::new(TimerWheel::<SubscriberId>::tick(now_ms)),
            ready: VecDeque::new(),
            dirty: VecDeque::new(),
            own_in_a_row: 0,
            walked_in_a_row: 0,
            writing: None,
            behind: seam::Behind::default(),
            ahead: Vec::new(),
            flooded: false,
            reading: 0,
            probes: VecDeque::new(),
            closing: VecDeque::new(),
            heartbeat: heartbeat::Heartbeat::default(),
            rings_bytes: 0,
            ring_bytes_max: config.ring_bytes_max,
            delivered: 0,
            skips: VecDeque::new(),
            random: Random::new(config.seed),
            found: Vec::new(),
            due: Vec::new(),
            config,
        }
    }

    /// Takes a subscriber for life. It is registered before its history is read: from here on no
    /// frame passes it unseen.
    pub fn attach(&mut self, attach: Attach) -> SubscriberId {
        let key =
            GroupKey { interest: attach.interest, form: attach.form, audience: attach.audience };
        let group = self.group_for(key);
        // The store may be ahead of this shard: an end that is yet to be handed in comes with its
        // frame, and behind the events before it.
        for (topic, _) in attach.ended.iter().filter(|(_, at)| *at <= self.head) {
            self.groups[group as usize].note_topic(topic, true);
        }
        self.groups[group as usize].members += 1;
        self.generation = self.generation.wrapping_add(1);
        let (closes_at, closes_for) = self.first_deadline(attach.expires_ms);
        let outbox = Outbox { control: attach.first, ..Outbox::default() };
        let index = self.subscribers.insert(Subscriber {
            generation: self.generation,
            group,
            slot: 0,
            phase: Phase::Behind,
            blocked: false,
            queued: false,
            heartbeat_due: false,
            pages: 0,
            offset: 0,
            position: attach.position,
            skip: 0,
            outbox: (!outbox.control.is_empty()).then(|| Box::new(outbox)),
            last_sent: self.now(),
            timer: 0,
            closes_at,
            closes_for,
        });
        let id = self.id_at(index);
        self.catch_up(id);
        self.set_timer(id);
        self.enqueue(id);
        id
    }

    /// Takes the next frames of the log.
    ///
    /// # Panics
    ///
    /// If they do not begin where the last ones ended: a subscriber would miss what lies between.
    pub fn handle_frames(&mut self, batch: &FrameBatch) {
        assert_eq!(batch.after, self.head, "frames come in log order, without gaps");
        for frame in &batch.frames {
            self.offer(frame);
        }
        self.head = batch.upto;
        self.admit_ahead();
    }

    /// Records up to `upto` were dropped by retention before they could be handed in. Every
    /// subscriber reads the log from its own position, and so learns whether it missed anything.
    pub fn handle_gap(&mut self, upto: Position) {
        let live: Vec<_> = self.groups.iter().flat_map(|(_, group)| group.live.clone()).collect();
        for index in live {
            let subscriber = &mut self.subscribers[index as usize];
            let cursor = self.groups[subscriber.group as usize].ring.locate(subscriber.offset);
            subscriber.position = cursor.position;
            subscriber.skip = cursor.skip as u32;
            let id = self.id_at(index as usize);
            self.leave_phase(id);
            self.queue_for_page(id);
        }
        self.head = upto;
        for (_, group) in &mut self.groups {
            self.rings_bytes -= group.ring.len();
            group.ring.break_off(upto);
            group.low = group.ring.head();
        }
        self.admit_ahead();
    }

    /// The sink of `id` is gone, for `reason`.
    pub fn handle_closed(&mut self, id: SubscriberId, reason: CloseReason) {
        self.close(id, reason);
    }

    /// The last record that was handed in.
    pub fn head(&self) -> Position {
        self.head
    }

    /// Number of subscribers.
    pub fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Whether there are no subscribers.
    pub fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// Number of subscribers that read the log instead of the ring.
    pub fn catching_up(&self) -> usize {
        self.groups.iter().map(|(_, g)| g.members as usize - g.live.len()).sum()
    }

    /// Bytes that all rings hold.
    pub fn rings_bytes(&self) -> usize {
        self.rings_bytes
    }

    /// The next closed subscriber, with its reason.
    pub fn poll_close(&mut self) -> Option<Closing> {
        self.closing.pop_front()
    }

    /// Puts `frame` into the rings of the groups that want it.
    fn offer(&mut self, frame: &Frame) {
        let mut found = std::mem::take(&mut self.found);
        for topic in frame.record().topics() {
            self.index.find(topic, &mut |group| found.push(group));
        }
        for id in found.drain(..) {
            let group = &mut self.groups[id as usize];
            if group.offered == frame.position() || !group.key.interest.may_have(frame.record()) {
                continue;
            }
            group.offered = frame.position();
            group.note(frame);
            if !group.has_readers() {
                self.rings_bytes -= group.ring.len();
                group.ring.pass(frame.position());
                continue;
            }
            let is_last = group.is_over();
            let bytes = match is_last {
                true => frame.last_bytes(group.key.form),
                false => frame.bytes(group.key.form).into(),
            };
            if is_last {
                group.ends_at = Some(group.ring.head() + bytes.len() as u64);
            }
            if bytes.is_empty() {
                // Nothing to write, but perhaps subscribers to close.
                self.mark_dirty(id);
                continue;
            }
            group.ring.push(frame.position(), &bytes);
            self.rings_bytes += bytes.len();
            self.delivered += group.live.len() as u64;
            if group.ring.len() > self.group_bytes_max().min(GROUP_BYTES_TIGHT) {
                self.trim(id);
            }
            if !self.groups[id as usize].live.is_empty() {
                self.mark_dirty(id);
            }
        }
        self.found = found;
    }

    /// Keeps the group's ring within its bound. Live members that waited too long for a turn, and
    /// so lose their place, continue from the log.
    fn trim(&mut self, id: GroupId) {
        let max = self.group_bytes_max();
        let group = &mut self.groups[id as usize];
        // Bytes kept for stalled members say nothing about those that keep up.
        let unwritten = group.ring.head() - group.low;
        self.flooded |= unwritten > max as u64 / 2 && !group.live.is_empty();
        let point = group.ring.trim_point(max);
        if point == group.ring.base() {
            return;
        }
        if group.low < point {
            group.low = group.ring.head();
            for slot in (0..group.live.len()).rev() {
                let group = &mut self.groups[id as usize];
                let index = group.live[slot];
                let subscriber = &mut self.subscribers[index as usize];
                if subscriber.offset >= point {
                    group.low = group.low.min(subscriber.offset);
                    continue;
                }
                let cursor = group.ring.locate(subscriber.offset);
                subscriber.position = cursor.position;
                subscriber.skip = cursor.skip as u32;
                let id = self.id_at(index as usize);
                self.leave_phase(id);
                self.queue_for_page(id);
            }
        }
        let group = &mut self.groups[id as usize];
        let before = group.ring.len();
        group.ring.trim(max);
        self.rings_bytes -= before - group.ring.len();
    }

    /// Bytes that one ring may keep now, besides its newest frame.
    fn group_bytes_max(&self) -> usize {
        match self.rings_bytes {
            all if all <= self.ring_bytes_max => GROUP_BYTES_MAX,
            all if all / 2 <= self.ring_bytes_max => GROUP_BYTES_TIGHT,
            _ => 0,
        }
    }

    /// Whether frames come faster than they are written: hand in no more until
    /// [`poll_write`](Self::poll_write) has nothing left, so that no subscriber that can keep up is
    /// overtaken.
    pub fn is_backlogged(&self) -> bool {
        self.flooded
    }

    fn group_for(&mut self, key: GroupKey) -> GroupId {
        if let Some(id) = self.by_key.get(&key) {
            return *id;
        }
        let key = Arc::new(key);
        let group = Group::new(Arc::clone(&key), self.head);
        let id = self.groups.insert(group) as GroupId;
        self.index.insert(id, &key.interest);
        self.by_key.insert(key, id);
        id
    }

    /// Removes the subscriber from everything and queues its [`Closing`].
    fn close(&mut self, id: SubscriberId, reason: CloseReason) {
        let Some(mut standing) = self.standing(id) else { return };
        standing.state = StandingState::Closed(reason);
        let farewell = self.farewell(id, reason);
        self.leave_phase(id);
        let subscriber = self.subscribers.remove(id.index());
        if self.writing.as_ref().is_some_and(|(writing, ..)| *writing == id) {
            self.writing = None;
        }
        let group = &mut self.groups[subscriber.group as usize];
        group.members -= 1;
        if group.members == 0 {
            self.rings_bytes -= group.ring.len();
            // If it is in the queue of dirty groups, the walk passes over it.
            let group = self.groups.remove(subscriber.group as usize);
            self.index.remove(subscriber.group, &group.key.interest);
            self.by_key.remove(&group.key);
        } else {
            self.settle(subscriber.group);
        }
        self.closing.push_back(Closing { id, reason, standing, farewell });
    }

    /// How the stream of a subscriber ends that is closed for `reason`; `None` if it breaks off.
    fn farewell(&mut self, id: SubscriberId, reason: CloseReason) -> Option<Farewell> {
        let subscriber = self.get(id)?;
        let group = &self.groups[subscriber.group as usize];
        let at_boundary = subscriber.outbox.as_ref().is_none_or(|outbox| outbox.is_written())
            && match subscriber.phase {
                Phase::Live => {
                    subscriber.offset >= group.ring.base()
                        && group.ring.locate(subscriber.offset).skip == 0
                }
                _ => subscriber.skip == 0,
            };
        if reason.is_peer() || !at_boundary {
            return None;
        }
        let StreamForm { framing, control_style, .. } = group.key.form;
        if reason == CloseReason::TopicEnded {
            return Some(Farewell { bytes: framing.end().to_vec(), is_end: true });
        }
        let mut control = Vec::new();
        match (reason, control_style) {
            (CloseReason::Draining, ControlStyle::Native) => {
                opening_block(&mut control, None, 500 + self.random.below(2 * DRAIN_RETRY_MS));
            }
            (CloseReason::Draining, ControlStyle::Nothing) => {
                let retry_ms = 500 + self.random.below(2 * DRAIN_RETRY_MS);
                control = format!("retry: {retry_ms}\n").into_bytes();
            }
            (CloseReason::GrantExpired, ControlStyle::Native | ControlStyle::Comments) => {
                control = format!(": {}\n", reason.sentence()).into_bytes();
            }
            _ => {}
        }
        let mut bytes = Vec::new();
        if !control.is_empty() {
            framing.wrap(&mut bytes, &control);
        }
        Some(Farewell { bytes, is_end: false })
    }

    /// Queues the subscriber for a write of its own.
    fn enqueue(&mut self, id: SubscriberId) {
        if let Some(subscriber) = self.get_mut(id)
            && !subscriber.queued
        {
            subscriber.queued = true;
            self.ready.push_back(id);
        }
    }

    /// Empties the group's ring if every member has everything.
    fn settle(&mut self, group: GroupId) {
        let group = &mut self.groups[group as usize];
        if !group.dirty && group.is_settled() && group.ring.len() > 0 {
            self.rings_bytes -= group.ring.len();
            group.ring.forget_all();
            group.low = group.ring.head();
        }
    }

    /// The id of the subscriber that is at `index` now.
    fn id_at(&self, index: usize) -> SubscriberId {
        let generation = self.subscribers[index].generation;
        SubscriberId { index: index as u32, generation }
    }

    fn get(&self, id: SubscriberId) -> Option<&Subscriber> {
        self.subscribers.get(id.index()).filter(|s| s.generation == id.generation)
    }

    fn get_mut(&mut self, id: SubscriberId) -> Option<&mut Subscriber> {
        self.subscribers.get_mut(id.index()).filter(|s| s.generation == id.generation)
    }

    fn group_of(&mut self, id: SubscriberId) -> Option<(&mut Subscriber, &mut Group)> {
        let subscriber = self.subscribers.get_mut(id.index());
        let subscriber = subscriber.filter(|s| s.generation == id.generation)?;
        let group = &mut self.groups[subscriber.group as usize];
        Some((subscriber, group))
    }
}

/// Subscribers of a hub that shuts down reconnect after half a second to twice this time, so that
/// they do not all arrive at once.
const DRAIN_RETRY_MS: u64 = 2000;
