//! One core: mailbox → shard → sinks → sleep.
//!
//! A turn takes what sockets and the mailbox bring, lets the shard say which bytes go where, and
//! writes them, looking at the mailbox again every [`WRITES_PER_LOOK`] writes. It sleeps only when
//! the shard has nothing left to write and the mailbox is empty. So a quiet hub delivers at once,
//! and a busy one gathers: whatever came while others were written goes out in one write each. Then
//! it also lets other threads go first (`cpu_yield.rs`).

mod answer;
mod cpu_yield;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings_hub::{
    CloseReason, Closing, FrameBatch, Log, Position, ReadError, Shard, ShardConfig, SubscriberId,
};

use crate::clock::{Clock, wall_clock};
use crate::connection::ClosedConnections;
use crate::counters::Counters;
use crate::frames::next_batch;
use crate::limits::{
    ATTACH_WORK, CLOSES_PER_TURN_MAX, MAIL_WORK_PER_TURN, WRITES_PER_LOOK, WRITES_PER_PAUSE,
};
use crate::mailbox::Mailbox;
use crate::message::{Message, Newcomer, WayOut};
use crate::replay::Replay;
use crate::seat::Seat;
use crate::sink::{Heard, Sink, SocketSink, TlsSink};
use crate::sys::{Event, Poller};

use cpu_yield::CpuYield;

/// What a worker shares with the rest of the engine.
pub(crate) struct WorkerContext {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) replay: Arc<Replay>,
    pub(crate) store: Arc<dyn Log>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) past: Arc<ClosedConnections>,
    /// Of every connection id.
    pub(crate) run: u32,
    pub(crate) clock: Clock,
    pub(crate) peer_patience: Duration,
}

pub(crate) struct Worker {
    context: WorkerContext,
    poller: Poller,
    shard: Shard,
    /// By the subscriber's index.
    seats: Vec<Option<Seat>>,
    /// Seats whose number was given away before their subscriber was closed here.
    displaced: HashMap<SubscriberId, Seat>,
    /// Subscribers that last missed events because of retention, and which; rarely any.
    skips: HashMap<SubscriberId, (Position, Position)>,
    /// Deliveries that were reported.
    delivered: u64,
    cpu_yield: CpuYield,
    /// When the oldest frame was published that is yet to be written to somebody.
    oldest_came: Option<Instant>,
    messages: VecDeque<Message>,
    batches: VecDeque<Arc<FrameBatch>>,
    stopping: bool,
    /// The sleep failed the last time; logged once.
    is_deaf: bool,
    /// The last read of frames that were left out failed; logged once.
    is_blind: bool,
}

impl Worker {
    pub(crate) fn new(context: WorkerContext, poller: Poller, config: ShardConfig) -> Self {
        let shard = Shard::new(config, context.clock.now_ms());
        Self {
            context,
            poller,
            shard,
            seats: Vec::new(),
            displaced: HashMap::new(),
            skips: HashMap::new(),
            delivered: 0,
            cpu_yield: CpuYield::new(),
            oldest_came: None,
            messages: VecDeque::new(),
            batches: VecDeque::new(),
            stopping: false,
            is_deaf: false,
            is_blind: false,
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
                Ok(()) => self.is_deaf = false,
                Err(error) => {
                    if !std::mem::replace(&mut self.is_deaf, true) {
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
        for event in happened.drain(..) {
            self.handle_event(event);
        }
        self.take_mail();
        let idle = self.write();
        self.report(idle);
        self.order_reads();
        self.probe();
        let is_left = self.close(CLOSES_PER_TURN_MAX);
        idle && !is_left
    }

    fn handle_event(&mut self, event: Event) {
        let id = SubscriberId::from_u64(event.token);
        let Some(seat) = self.seats.get_mut(id.index()).and_then(Option::as_mut) else { return };
        if seat.id != id {
            return; // the seat was given to somebody else meanwhile
        }
        match look(&mut seat.sink, event) {
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
            && self.shard.head() < upto
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

    /// Returns how much work it was; see [`MAIL_WORK_PER_TURN`].
    fn handle_message(&mut self, message: Message) -> usize {
        match message {
            Message::Attach(newcomer) => {
                self.attach(*newcomer);
                return ATTACH_WORK;
            }
            Message::Page(id, page) => self.shard.handle_page(id, page),
            Message::Writable(id) => self.shard.handle_writable(id),
            Message::Closed(id, reason) => self.shard.handle_closed(id, reason),
            Message::Notice(notice) => return 1 + self.shard.handle_notice(&notice),
            Message::NoticesLost => self.shard.handle_lost_notices(),
            Message::Ask(question, _permit) => self.answer(question),
            Message::Drain { window_ms } => self.shard.drain(window_ms),
            Message::Stop => self.stopping = true,
        }
        1
    }

    fn attach(&mut self, newcomer: Newcomer) {
        let Newcomer { attach, way_out, info, permit, mut hook } = newcomer;
        let sink = match way_out {
            WayOut::Body(body) => Ok(Sink::Body(body)),
            WayOut::Socket(socket) => SocketSink::new(socket).map(Sink::Socket),
            WayOut::Tls(socket, tls) => TlsSink::new(socket, *tls).map(Sink::Tls),
        };
        let sink = match sink {
            Ok(sink) => sink,
            Err(error) => {
                tracing::debug!(%error, "a connection broke before it could be served");
                return;
            }
        };
        let id = self.shard.attach(attach);
        self.context.counters.seated(!matches!(sink, Sink::Body(_)));
        let missed = hook.as_mut().map(|hook| hook.arrived());
        // From here the client may know that it is subscribed.
        let ready = match &sink {
            Sink::Body(body) => body.seated(id),
            Sink::Socket(socket) => self.listen(socket.socket(), id),
            Sink::Tls(socket) => self.listen(socket.socket(), id),
        };
        if self.seats.len() <= id.index() {
            self.seats.resize_with(id.index() + 1, || None);
        }
        let seat = Seat { id, sink, info, _permit: permit, _hook: hook };
        // The shard gives a new subscriber a number that is free. The subscriber that had it may be
        // yet to be closed here.
        if let Some(closing) = self.seats[id.index()].replace(seat) {
            self.displaced.insert(closing.id, closing);
        }
        if let Some(missed) = missed {
            self.shard.handle_missed_notices(id, missed);
        }
        if let Err(reason) = ready {
            self.shard.handle_closed(id, reason);
        }
    }

    fn listen(&self, socket: &TcpStream, id: SubscriberId) -> Result<(), CloseReason> {
        self.poller.add(socket, id.to_u64()).map_err(|_| CloseReason::PeerReset)
    }

    /// Hands frames to the shard. If some were left out before them, because this worker was too
    /// slow or retention too fast, it reads them from the log first.
    fn handle_batch(&mut self, batch: &FrameBatch) {
        while self.shard.head() < batch.after {
            match next_batch(&*self.context.store, self.shard.head(), batch.after) {
                Ok(missed) => {
                    self.is_blind = false;
                    self.shard.handle_frames(&missed);
                }
                Err(ReadError::Expired { first }) => {
                    self.shard.handle_gap(first.previous());
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.is_blind, true) {
                        tracing::error!(%error, "frames that were left out cannot be read");
                    }
                    self.shard.handle_gap(batch.after);
                }
            }
        }
        // It may have read further than the batch begins, if retention made it jump.
        if self.shard.head() == batch.after {
            self.shard.handle_frames(batch);
        } else if self.shard.head() < batch.upto {
            let rest = batch.frames.iter().filter(|frame| frame.position() > self.shard.head());
            self.shard.handle_frames(&FrameBatch {
                after: self.shard.head(),
                frames: rest.cloned().collect(),
                upto: batch.upto,
            });
        }
    }

    /// Writes until nothing is left (then it returns true), or it is time to look around.
    fn write(&mut self) -> bool {
        for number in 1..=WRITES_PER_LOOK {
            if number.is_multiple_of(WRITES_PER_PAUSE) && self.shard.has_newer_frames() {
                self.cpu_yield.maybe_yield();
            }
            let Some(transmit) = self.shard.poll_write() else { return true };
            let id = transmit.id;
            let seat = self.seats[id.index()].as_mut().expect("every subscriber has a seat");
            match seat.sink.write(transmit.bytes) {
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

    fn probe(&mut self) {
        let patience = self.context.peer_patience;
        while let Some(id) = self.shard.poll_probe() {
            let seat = self.seats.get(id.index()).and_then(Option::as_ref);
            if seat.is_some_and(|seat| seat.id == id && seat.sink.has_vanished(patience)) {
                self.shard.handle_closed(id, CloseReason::PeerVanished);
            }
        }
    }

    /// Closes at most `closes_max` subscribers; returns whether more may be left.
    fn close(&mut self, closes_max: usize) -> bool {
        self.note_skips();
        for _ in 0..closes_max {
            let Some(Closing { id, reason, standing, farewell }) = self.shard.poll_close() else {
                return false;
            };
            self.context.counters.closed(reason);
            let seat = self.seats.get_mut(id.index());
            let seat = seat.and_then(|seat| seat.take_if(|seat| seat.id == id));
            let Some(seat) = seat.or_else(|| self.displaced.remove(&id)) else { continue };
            let mut connection = self.describe(&seat, standing);
            connection.closed = Some(wall_clock());
            tracing::debug!(
                connection = %connection.id,
                reason = reason.name(),
                position = %connection.standing.position,
                "subscriber closed"
            );
            self.skips.remove(&id);
            self.context.counters.left(connection.direct);
            self.context.past.remember(connection);
            seat.sink.finish(farewell.as_ref());
        }
        true
    }

    /// Closes those who are still here when the worker stops: like all others, with a reason.
    fn close_all(&mut self) {
        for id in self.seats.iter().flatten().map(|seat| seat.id) {
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

/// Reads and sends what `event` says can be.
fn look(sink: &mut Sink, event: Event) -> Result<Heard, CloseReason> {
    let heard = if event.readable { sink.drain()? } else { Heard::Nothing };
    if event.broken {
        return Err(sink.broken());
    }
    if event.writable {
        sink.flush()?;
    }
    Ok(heard)
}

impl Drop for Worker {
    /// However the worker ends, also by a panic: nobody waits for it.
    fn drop(&mut self) {
        self.context.mailbox.close();
    }
}
