//! One core: mailbox → shard → sinks → sleep.
//!
//! A turn takes what sockets and the mailbox bring, lets the shard say which bytes go where, and
//! writes them, looking at the mailbox again every [`WRITES_PER_TURN`] writes. It sleeps only when
//! the shard has nothing left to write and the mailbox is empty. So a quiet hub delivers at once,
//! and a busy one gathers: whatever came while others were written goes out in one write each. Then
//! it also lets other threads go first (`cpu_yield.rs`).

mod answer;
mod cpu_yield;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings_hub::{
    Attach, CloseReason, Closing, FrameBatch, Log, Position, ReadError, Shard, ShardConfig,
    SubscriberId, Topic, Transmit,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::oneshot::Sender;

use crate::clock::{Clock, wall_clock};
use crate::connection::{ClosedConnections, ConnectionId};
use crate::counters::Counters;
use crate::frames::next_batch;
use crate::limits::{
    ATTACH_WORK, CLOSES_PER_TURN_MAX, DOOMED_MAX, ERASED_TURNS_MAX, MAIL_WORK_PER_TURN,
    WRITES_PER_TURN, WRITES_PER_YIELD,
};
use crate::mailbox::Mailbox;
use crate::message::Message;
use crate::replay::Replay;
use crate::sink::Heard;
use crate::subscription::Subscription;
use crate::sys::{Event, Poller, SocketEvents};
use crate::term::Look;

use cpu_yield::CpuYield;

/// What a worker shares with the rest of the engine.
pub(crate) struct WorkerContext {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) replay: Arc<Replay>,
    pub(crate) store: Arc<dyn Log>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) closed_connections: Arc<ClosedConnections>,
    /// First part of every connection id.
    pub(crate) run: u32,
    pub(crate) clock: Clock,
    pub(crate) peer_patience: Duration,
}

/// Records that were erased from the store.
struct ErasedRecords {
    topics: Option<Arc<BTreeSet<Topic>>>,
    upto: Position,
    /// Turns since the worker heard of them.
    turns: u32,
    done: Sender<()>,
    _permit: Arc<OwnedSemaphorePermit>,
}

pub(crate) struct Worker<P: SocketEvents = Poller> {
    context: WorkerContext,
    poller: P,
    shard: Shard<Subscription>,
    /// The events that subscribers last missed because of retention; rarely any.
    skips: HashMap<SubscriberId, (Position, Position)>,
    /// Number of deliveries reported to the counters.
    delivered: u64,
    cpu_yield: CpuYield,
    /// Time at which the oldest frame that is not yet written to everybody was published.
    oldest_came: Option<Instant>,
    /// Connections to be closed when they arrive, by their numbers.
    doomed: BTreeMap<u64, CloseReason>,
    /// Records that were erased, and whose frames are perhaps not here yet.
    erased: Vec<ErasedRecords>,
    messages: VecDeque<Message>,
    batches: VecDeque<Arc<FrameBatch>>,
    stopping: bool,
    /// The sleep failed the last time; logged once.
    has_sleep_failed: bool,
    /// The last read of frames that were left out failed; logged once.
    has_read_failed: bool,
}

impl<P: SocketEvents> Worker<P> {
    pub(crate) fn new(context: WorkerContext, poller: P, config: ShardConfig) -> Self {
        let shard = Shard::new(config, context.clock.now_ms());
        Self {
            context,
            poller,
            shard,
            skips: HashMap::new(),
            delivered: 0,
            cpu_yield: CpuYield::new(),
            oldest_came: None,
            doomed: BTreeMap::new(),
            erased: Vec::new(),
            messages: VecDeque::new(),
            batches: VecDeque::new(),
            stopping: false,
            has_sleep_failed: false,
            has_read_failed: false,
        }
    }

    /// The thread: turns until the engine stops.
    pub(crate) fn run(mut self) {
        let mut happened = Vec::new();
        loop {
            let idle = self.turn(&mut happened);
            if self.stopping {
                break;
            }
            match self.sleep(idle, &mut happened) {
                Ok(()) => self.has_sleep_failed = false,
                Err(error) => {
                    if !std::mem::replace(&mut self.has_sleep_failed, true) {
                        tracing::error!(%error, "a worker cannot wait for its sockets");
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
        self.close_all();
    }

    /// Handles what `happened` and what came by mail, and writes. Returns whether nothing is left
    /// to be written or closed.
    fn turn(&mut self, happened: &mut Vec<Event>) -> bool {
        self.shard.handle_time(self.context.clock.now_ms());
        self.look_at_terms();
        for event in happened.drain(..) {
            self.handle_event(event);
        }
        self.take_mail();
        let idle = self.write();
        self.forget_erased(idle);
        self.report(idle);
        self.order_reads();
        self.probe();
        let is_left = self.close(CLOSES_PER_TURN_MAX);
        idle && !is_left
    }

    fn handle_event(&mut self, event: Event) {
        let id = SubscriberId::from_u64(event.token);
        let Some(subscription) = self.shard.owner_mut(id) else { return };
        match subscription.sink.handle_event(event) {
            Ok(Heard::Nothing) => {}
            Ok(Heard::End) => self.shard.handle_end(id),
            Err(reason) => {
                self.shard.handle_closed(id, reason);
                return;
            }
        }
        if event.writable {
            self.shard.handle_writable(id);
        }
    }

    fn take_mail(&mut self) {
        let is_left = !self.batches.is_empty() || !self.messages.is_empty();
        if !is_left && !self.context.mailbox.is_waiting() {
            return;
        }
        let frames = !self.shard.is_backlogged() && self.batches.is_empty();
        let gap = self.context.mailbox.take(&mut self.messages, &mut self.batches, frames);
        if let Some(upto) = gap
            && self.shard.head() < upto.position
        {
            self.shard.handle_gap(upto);
        }
        let mut work = 0;
        while work < MAIL_WORK_PER_TURN
            && let Some(message) = self.messages.pop_front()
        {
            work += self.handle_message(message);
        }
        while !self.shard.is_backlogged()
            && let Some(batch) = self.batches.pop_front()
        {
            let before = self.shard.deliveries();
            self.handle_batch(&batch);
            if self.oldest_came.is_none() && self.shard.deliveries() > before {
                self.oldest_came = self.context.counters.timings.came(batch.after.next());
            }
        }
    }

    /// Forgets erased records, once their frames are here, and, unless there is always something to
    /// write, once everybody has them whose sink takes them.
    fn forget_erased(&mut self, idle: bool) {
        let head = self.shard.head();
        let is_due = |erased: &mut ErasedRecords| {
            erased.turns += 1;
            erased.upto <= head && (idle || erased.turns > ERASED_TURNS_MAX)
        };
        for erased in self.erased.extract_if(.., is_due) {
            self.shard.handle_erasure(erased.topics.as_deref(), erased.upto);
            let _ = erased.done.send(());
        }
    }

    /// Returns how much work it was; see [`MAIL_WORK_PER_TURN`].
    fn handle_message(&mut self, message: Message) -> usize {
        match message {
            Message::Attach(new) => {
                let (attach, subscription) = *new;
                self.attach(attach, subscription);
                return ATTACH_WORK;
            }
            Message::Page(id, page) => self.shard.handle_page(id, page),
            Message::Writable(id) => self.shard.handle_writable(id),
            Message::Closed(id, reason) => self.shard.handle_closed(id, reason),
            Message::Notice(notice) => return 1 + self.shard.handle_notice(&notice),
            Message::NoticesLost => self.shard.handle_lost_notices(),
            Message::Ask(question, _permit) => self.answer(question),
            Message::Close(numbers, reason, done, _permit) => {
                self.close_numbered(numbers, reason);
                let _ = done.send(());
            }
            Message::Erased { topics, upto, done, permit } => {
                self.erased.push(ErasedRecords { topics, upto, turns: 0, done, _permit: permit });
            }
            Message::Drain { window_ms } => self.shard.drain(window_ms),
            Message::Stop => self.stopping = true,
        }
        1
    }

    /// The order matters: first the shard knows the subscriber, so that no event passes it; then it
    /// is counted and its hook called; only then may its client learn that it is subscribed.
    fn attach(&mut self, attach: Attach, subscription: Subscription) {
        let is_direct = subscription.sink.is_direct();
        let doom = self.doomed.remove(&subscription.info.number);
        let id = self.shard.attach(attach, subscription);
        self.context.counters.attached(is_direct);
        let Some(subscription) = self.shard.owner_mut(id) else { return };
        let missed = subscription.hook.as_mut().map(|hook| hook.arrived());
        // From here the client may know that it is subscribed.
        let ready = subscription.sink.attached(id, &self.poller);
        if let Some(missed) = missed {
            self.shard.handle_missed_notices(id, missed);
        }
        if let Err(reason) = ready {
            self.shard.handle_closed(id, reason);
        } else if let Some(reason) = doom {
            self.shard.handle_closed(id, reason);
        }
    }

    /// Closes the connections with these numbers. One that is not here is on its way, or gone
    /// already; of those that never come, the oldest are forgotten.
    fn close_numbered(&mut self, mut numbers: BTreeSet<u64>, reason: CloseReason) {
        let owners = self.shard.owners();
        let here = owners.filter(|(_, subscription)| numbers.remove(&subscription.info.number));
        let here: Vec<_> = here.map(|(id, _)| id).collect();
        for id in here {
            self.shard.handle_closed(id, reason);
        }
        self.doomed.extend(numbers.into_iter().map(|number| (number, reason)));
        while self.doomed.len() > DOOMED_MAX {
            self.doomed.pop_first();
        }
    }

    /// Hands frames to the shard. If some were left out before them, because this worker was too
    /// slow or retention too fast, it reads them from the log first.
    fn handle_batch(&mut self, batch: &FrameBatch) {
        while self.shard.head() < batch.after {
            match next_batch(&*self.context.store, self.shard.head(), batch.after) {
                Ok(missed) => {
                    self.has_read_failed = false;
                    self.shard.handle_frames(&missed);
                }
                Err(ReadError::Expired { lost, .. }) => {
                    self.shard.handle_gap(lost.into());
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.has_read_failed, true) {
                        tracing::error!(%error, "frames that were left out cannot be read");
                    }
                    self.shard.handle_gap(batch.after.into());
                }
            }
        }
        // It may have read further than the batch begins, if retention made it jump.
        if self.shard.head() == batch.after {
            self.shard.handle_frames(batch);
        } else if self.shard.head() < batch.upto.position {
            let rest = batch.frames.iter().filter(|frame| frame.position() > self.shard.head());
            self.shard.handle_frames(&FrameBatch {
                after: self.shard.head(),
                frames: rest.cloned().collect(),
                upto: batch.upto,
            });
        }
    }

    /// Writes until nothing is left (then it returns true), or the turn has had its writes.
    fn write(&mut self) -> bool {
        for number in 1..=WRITES_PER_TURN {
            if number.is_multiple_of(WRITES_PER_YIELD) && self.shard.has_newer_frames() {
                self.cpu_yield.maybe_yield();
            }
            let Some(Transmit { id, owner, bytes }) = self.shard.poll_write() else { return true };
            match owner.sink.write(bytes) {
                Ok(written) => {
                    self.context.counters.wrote(written);
                    self.shard.handle_written(written);
                }
                Err(reason) => self.shard.handle_closed(id, reason),
            }
        }
        false
    }

    /// Tells the counters what the shard has done; once a turn, whatever the turn wrote.
    fn report(&mut self, idle: bool) {
        // While something is yet to be written, the shard's count runs ahead, and may come back.
        let delivered = self.shard.deliveries();
        if delivered > self.delivered {
            self.context.counters.delivered(delivered - self.delivered);
            self.delivered = delivered;
        }
        if idle && let Some(came) = self.oldest_came.take() {
            self.context.counters.timings.deliveries.observe(came.elapsed());
        }
    }

    fn order_reads(&mut self) {
        while let Some(order) = self.shard.poll_read() {
            self.context.replay.order(&self.context.mailbox, order);
        }
    }

    /// Asks whether grants whose ends can move are still good.
    fn look_at_terms(&mut self) {
        let run = self.context.run;
        while let Some((id, subscription)) = self.shard.poll_term() {
            // Asked for only here: this runs in every turn, and few turns have a grant to look at.
            let now = wall_clock();
            let connection = ConnectionId { run, number: subscription.info.number };
            let label = subscription.permit.label();
            let term = label.and_then(|label| label.term());
            match term.map_or(Look::Ended, |term| term.look(connection, now)) {
                Look::Ended => self.shard.handle_closed(id, CloseReason::GrantExpired),
                Look::Good { next, block } => {
                    self.shard.handle_term(id, self.context.clock.at(next), block);
                }
            }
        }
    }

    fn probe(&mut self) {
        let patience = self.context.peer_patience;
        while let Some((id, subscription)) = self.shard.poll_probe() {
            if subscription.sink.has_vanished(patience) {
                self.shard.handle_closed(id, CloseReason::PeerVanished);
            }
        }
    }

    /// Closes at most `closes_max` subscribers; returns whether more may be left.
    fn close(&mut self, closes_max: usize) -> bool {
        self.note_skips();
        for _ in 0..closes_max {
            let Some(closing) = self.shard.poll_close() else { return false };
            let Closing { id, owner: subscription, reason, standing, farewell } = closing;
            self.context.counters.closed(reason);
            if let Some(label) = subscription.permit.label() {
                label.ended(reason);
            }
            let mut connection = self.describe(id, &subscription, standing);
            connection.closed = Some(wall_clock());
            tracing::debug!(
                connection = %connection.id,
                reason = reason.name(),
                position = %connection.standing.position,
                "subscriber closed"
            );
            self.skips.remove(&id);
            self.context.counters.left(connection.direct);
            self.context.closed_connections.remember(connection);
            subscription.sink.finish(farewell.as_ref());
        }
        true
    }

    /// Closes the subscribers that are left when the worker stops: like all others, with a reason.
    fn close_all(&mut self) {
        let all: Vec<_> = self.shard.owners().map(|(id, _)| id).collect();
        for id in all {
            self.shard.handle_closed(id, CloseReason::Draining);
        }
        self.close(usize::MAX);
    }

    fn sleep(&mut self, idle: bool, happened: &mut Vec<Event>) -> io::Result<()> {
        let is_left = !self.batches.is_empty() || !self.messages.is_empty();
        if !idle || is_left || !self.context.mailbox.fall_asleep() {
            return self.poller.wait(Some(Duration::ZERO), happened);
        }
        let now_ms = self.context.clock.now_ms();
        let timeout = self.shard.poll_timeout();
        let timeout = timeout.map(|at_ms| Duration::from_millis(at_ms.saturating_sub(now_ms)));
        let result = self.poller.wait(timeout, happened);
        self.context.mailbox.wake_up();
        result
    }
}

impl<P: SocketEvents> Drop for Worker<P> {
    /// However the worker ends, also by a panic: nobody waits for it.
    fn drop(&mut self) {
        self.context.mailbox.close();
    }
}
