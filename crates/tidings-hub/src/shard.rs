//! One core's share of the subscribers, and everything that happens to them.
//!
//! The parts: this file has attaching, owners and frames; `seam` joins history to live events;
//! `write` decides whose bytes go out next; `heartbeat` has everything that time triggers; `notice`
//! has the events that bypass the log; `shared_window` compresses events together; `sums` has the
//! checksums of compressed streams; `term` asks for ends of grants that can move; `close` ends
//! subscriptions; `status` answers questions about subscribers.

mod close;
mod erase;
mod heartbeat;
mod notice;
mod seam;
mod shared_window;
mod state;
mod status;
mod sums;
mod term;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use slab::Slab;
use tidings_codec::gzip::{Checksum, Lead};

use crate::coding::Coding;
use crate::epoch::Epoch;
use crate::frame::Frame;
use crate::group::{Group, GroupKey};
use crate::half_sent::HalfSent;
use crate::index::{GroupId, Index};
use crate::interest::Interest;
use crate::limits::{GROUP_BYTES_MAX, GROUP_BYTES_TIGHT};
use crate::mark::Mark;
use crate::notice::Audience;
use crate::position::Position;
use crate::random::Random;
use crate::stream_form::StreamForm;
use crate::subscriber::{Outbox, Phase, Subscriber, SubscriberId};
use crate::timer::{Tick, TimerWheel};
use crate::topic::Topic;

pub use close::{Closing, Farewell};
pub use seam::ReadOrder;
pub use status::{Backlog, Skip, Standing, StandingState};
pub use write::Transmit;

/// A shard's fixed configuration.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// The name of the log.
    pub epoch: Epoch,
    /// The newest record at the start; frames after it will be handed in.
    pub head: Mark,
    /// Heartbeat interval for idle subscribers in milliseconds, ±10 % jitter.
    pub heartbeat_ms: u64,
    /// Age in milliseconds, ±10 %, at which connections are closed so that clients reconnect,
    /// perhaps to another node.
    pub connection_age_max_ms: Option<u64>,
    /// Bytes that all rings may keep together before they are shortened.
    pub ring_bytes_max: usize,
    /// Memory for texts that compressed events refer to, in bytes. At the edge: events are
    /// compressed alone.
    pub window_bytes_max: usize,
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
    /// Position up to which it knows of losses; see [`ReadQuery::told`](crate::ReadQuery::told).
    pub told: Position,
    /// If it begins with the state: how.
    pub state: Option<StateStart>,
    /// Topics of the interest that have ended, each with the position of its end.
    pub ended: Vec<(Topic, Position)>,
    /// Bytes to send first, already framed and coded.
    pub first: Vec<u8>,
    /// What [`StreamForm::begin`] said of these bytes.
    pub began: Checksum,
    /// End of its grant, in the shard's milliseconds.
    pub expires_ms: Option<u64>,
    /// When to ask the driver about its grant ([`Shard::poll_term`]), if its end can move.
    pub term_ms: Option<u64>,
}

/// How a subscriber begins with the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateStart {
    /// Whether it gets removals, because it may have an older state.
    pub has_removals: bool,
    /// Position of the newest record when it asked: it gets the state as of there, or later.
    pub asked_at: Position,
}

/// Frames in log order.
#[derive(Debug)]
pub struct FrameBatch {
    /// The batch begins after this position.
    pub after: Position,
    /// Frames of records that some subscriber may want.
    pub frames: Vec<Arc<Frame>>,
    /// The batch ends with this record.
    pub upto: Mark,
}

/// One core's share of the subscribers.
///
/// # Owners
///
/// With each subscriber the shard keeps an `S`, its *owner*: whatever the driver needs to reach it,
/// such as its socket. The shard never looks into it. It lends the owner with the bytes to write,
/// and gives it back with the [`Closing`]. So a driver keeps no table of its own, and bytes cannot
/// reach the owner of another subscriber: an id finds an owner only while its subscriber is here,
/// although the number in it is used again.
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
/// 3. [`Self::poll_term`]: grants to be looked at, each answered by [`Self::handle_term`] or
///    [`Self::handle_closed`].
/// 4. [`Self::poll_probe`]: peers whose connection should be checked.
/// 5. [`Self::poll_close`]: subscribers that are gone, each with its one reason.
/// 6. [`Self::poll_timeout`]: the latest time to call [`Self::handle_time`].
#[derive(Debug)]
pub struct Shard<S> {
    config: ShardConfig,
    now_ms: u64,
    /// The last record that was handed in.
    head: Mark,
    subscribers: Slab<Subscriber>,
    /// By the subscriber's index, beside the subscribers and not in them: a walk that only compares
    /// places in the ring then touches less memory.
    owners: Vec<Option<S>>,
    /// By the same index: see [`sums`]. Empty while no stream is compressed.
    leads: Vec<Lead>,
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
    terms: VecDeque<SubscriberId>,
    /// When the grants of those are looked at whose ends can move: a table of its own, so that
    /// other subscribers have no room for it.
    term_at: HashMap<SubscriberId, Tick, RandomState>,
    /// Those that do not have the whole state yet.
    states: state::States,
    closing: VecDeque<Closing<S>>,
    heartbeat: heartbeat::Heartbeat,
    rings_bytes: usize,
    ring_bytes_max: usize,
    /// See [`status`].
    delivered: u64,
    skips: VecDeque<Skip>,
    flooded: bool,
    windows: shared_window::Windows,
    random: Random,
    /// Scratch space.
    found: Vec<GroupId>,
    due: Vec<(SubscriberId, Tick)>,
}

impl<S> Shard<S> {
    /// A shard without subscribers, at time `now_ms`.
    pub fn new(config: ShardConfig, now_ms: u64) -> Self {
        Self {
            now_ms,
            head: config.head,
            subscribers: Slab::new(),
            owners: Vec::new(),
            leads: Vec::new(),
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
            windows: shared_window::Windows::default(),
            reading: 0,
            probes: VecDeque::new(),
            terms: VecDeque::new(),
            term_at: HashMap::default(),
            states: HashMap::default(),
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

    /// Takes a subscriber for life, and its owner. It is registered before its history is read:
    /// from here on no frame passes it unseen.
    pub fn attach(&mut self, attach: Attach, owner: S) -> SubscriberId {
        let key =
            GroupKey { interest: attach.interest, form: attach.form, audience: attach.audience };
        let group = self.group_for(key);
        // The store may be ahead of this shard: an end that is yet to be handed in comes with its
        // frame, and behind the events before it.
        for (topic, _) in attach.ended.iter().filter(|(_, at)| *at <= self.head.position) {
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
            half: HalfSent::default(),
            told: attach.told,
            outbox: (!outbox.control.is_empty()).then(|| Box::new(outbox)),
            last_sent: self.now(),
            timer: 0,
            closes_at,
            closes_for,
        });
        match self.owners.get_mut(index) {
            Some(place) => *place = Some(owner),
            None => self.owners.push(Some(owner)),
        }
        let id = self.id_at(index);
        self.begin_sum(id, attach.began);
        self.term_at.extend(attach.term_ms.map(|at_ms| (id, heartbeat::ticks(at_ms))));
        if let Some(start) = attach.state {
            let reading = state::Reading::new(attach.position, start);
            self.states.insert(id, reading);
        }
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
        assert_eq!(batch.after, self.head.position, "frames come in log order, without gaps");
        for frame in &batch.frames {
            self.offer(frame);
        }
        self.head = batch.upto;
        self.admit_ahead();
    }

    /// Records up to `upto` were dropped by retention before they could be handed in. Every
    /// subscriber reads the log from its own position, and so learns whether it missed anything.
    pub fn handle_gap(&mut self, upto: Mark) {
        let live: Vec<_> = self.groups.iter().flat_map(|(_, group)| group.live.clone()).collect();
        for index in live {
            let subscriber = &mut self.subscribers[index as usize];
            let cursor = self.groups[subscriber.group as usize].ring.locate(subscriber.offset);
            subscriber.stand_at(cursor);
            let id = self.id_at(index as usize);
            self.leave_phase(id);
            self.stand_alone(id);
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

    /// The owner of the subscriber `id`, unless it is closed.
    pub fn owner_mut(&mut self, id: SubscriberId) -> Option<&mut S> {
        self.get(id)?;
        self.owners[id.index()].as_mut()
    }

    /// All subscribers with their owners. Those that are closed are in [`Self::closings`].
    pub fn owners(&self) -> impl Iterator<Item = (SubscriberId, &S)> {
        self.subscribers.iter().filter_map(|(index, _)| {
            let owner = self.owners[index].as_ref()?;
            Some((self.id_at(index), owner))
        })
    }

    /// Gives all owners back, also those of closed subscribers that were not polled.
    pub fn into_owners(self) -> impl Iterator<Item = S> {
        let closed = self.closing.into_iter().map(|closing| closing.owner);
        closed.chain(self.owners.into_iter().flatten())
    }

    /// The last record that was handed in.
    pub fn head(&self) -> Position {
        self.head.position
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
            if group.key.form.coding.is_gzip() {
                self.offer_together(id, frame);
            }
            let group = &mut self.groups[id as usize];
            if !group.has_readers() {
                self.rings_bytes -= group.ring.len();
                group.ring.pass(frame.mark());
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
            let (form, is_steady) = (group.key.form, frame.is_steady(group.key.form));
            match form.coding {
                Coding::Identity => group.ring.push(frame.mark(), &bytes, is_steady),
                Coding::Gzip(_) => {
                    let last = is_last.then(|| frame.last_text(form));
                    let sum = Checksum::of(last.as_deref().unwrap_or_else(|| frame.text(form)));
                    group.ring.push_summed(frame.mark(), &bytes, is_steady, sum);
                }
            }
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
                subscriber.stand_at(cursor);
                let id = self.id_at(index as usize);
                self.leave_phase(id);
                self.stand_alone(id);
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
