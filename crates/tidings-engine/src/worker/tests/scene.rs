//! A worker without a thread, its mail, and its peers.

use std::io;

use tidings_hub::{
    Audience, Checksum, Coding, ControlStyle, Draft, Epoch, EventForm, Frame, Framing, Interest,
    Matcher, MemoryStore, Record, StreamForm, Timestamp, Topic,
};
use tokio::sync::{Semaphore, oneshot};

use super::*;
use crate::connection::{Began, Connection, ConnectionId};
use crate::hook::SubscriberHook;
use crate::message::Question;
use crate::sink::{BodyPipe, Peer, ScriptedSink, Sink, SubscriberBody};
use crate::subscription::ConnectionInfo;
use crate::sys::{Event, FakePoller};

pub(super) const RUN: u32 = 7;

/// The audience of every subscriber.
pub(super) const AUDIENCE: Audience = Audience(1);

/// The heartbeat interval, without its jitter.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) struct Scene {
    pub(super) worker: Worker<FakePoller>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) counters: Arc<Counters>,
    pub(super) closed_connections: Arc<ClosedConnections>,
    /// What the sockets report at the beginning of the next turn.
    pub(super) happened: Vec<Event>,
    /// Number of the next connection.
    pub(super) next_number: u64,
    head: Position,
}

/// A subscriber that was posted, and its peer.
pub(super) struct Posted {
    pub(super) number: u64,
    pub(super) peer: Peer,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::with_sleep(|_, _| Ok(()))
    }

    /// A scene whose worker sleeps as `sleep` says.
    pub(super) fn with_sleep(
        sleep: impl FnMut(Option<Duration>, &mut Vec<Event>) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let bell = crate::sys::Poller::new().unwrap().bell();
        let mailbox = Arc::new(Mailbox::new(bell));
        let epoch = Epoch::parse("k7q2ma").unwrap();
        let store: Arc<dyn Log> = Arc::new(MemoryStore::new(epoch, usize::MAX, Duration::MAX));
        let context = WorkerContext {
            mailbox: Arc::clone(&mailbox),
            replay: Arc::default(),
            store,
            counters: Arc::default(),
            closed_connections: Arc::default(),
            run: RUN,
            clock: Clock::start(),
            peer_patience: Duration::from_secs(60),
        };
        let config = ShardConfig {
            epoch,
            head: Position::ZERO.into(),
            heartbeat_ms: HEARTBEAT.as_millis() as u64,
            connection_age_max_ms: None,
            ring_bytes_max: 1 << 20,
            window_bytes_max: 0,
            seed: 7,
        };
        let (counters, closed_connections) =
            (Arc::clone(&context.counters), Arc::clone(&context.closed_connections));
        let worker = Worker::new(context, FakePoller::new(sleep), config);
        Self {
            worker,
            mailbox,
            counters,
            closed_connections,
            happened: Vec::new(),
            next_number: 0,
            head: Position::ZERO,
        }
    }

    /// Posts a subscriber of the topic `a` with a scripted sink.
    pub(super) fn post(&mut self, preface: &str) -> Posted {
        self.post_with_hook(preface, None)
    }

    pub(super) fn post_with_hook(
        &mut self,
        preface: &str,
        hook: Option<Box<dyn SubscriberHook>>,
    ) -> Posted {
        let (sink, peer) = ScriptedSink::new();
        let number = self.post_sink(preface, Sink::Scripted(sink), hook);
        Posted { number, peer }
    }

    /// Posts a subscriber that is served through a body; returns its number.
    pub(super) fn post_body(&mut self, preface: &str) -> (u64, SubscriberBody) {
        let (pipe, body) = BodyPipe::new(Arc::<Mailbox>::clone(&self.mailbox), true);
        (self.post_sink(preface, Sink::Body(pipe), None), body)
    }

    pub(super) fn post_sink(
        &mut self,
        preface: &str,
        sink: Sink,
        hook: Option<Box<dyn SubscriberHook>>,
    ) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let attach = Attach {
            interest: Interest::new(vec![Matcher::parse("a").unwrap()], Vec::new()),
            form: StreamForm {
                framing: Framing::Plain,
                control_style: ControlStyle::Native,
                event_form: EventForm::AsPublished,
                coding: Coding::Identity,
            },
            audience: Some(AUDIENCE),
            position: self.head,
            told: self.head,
            state: None,
            ended: Vec::new(),
            first: preface.into(),
            began: Checksum::default(),
            expires_ms: None,
            term_ms: None,
        };
        let info = ConnectionInfo { number, started: self.head, since_s: 0, began: Began::Live };
        let permit = self.counters.admit(usize::MAX).unwrap();
        let subscription = Subscription { sink, info, permit, hook };
        self.mailbox.post(Message::Attach(Box::new((attach, subscription))));
        number
    }

    /// Posts a subscriber and takes turns until it has its preface.
    pub(super) fn attach(&mut self) -> Posted {
        let posted = self.post(": hi\n\n");
        self.settle();
        assert_eq!(posted.peer.read(), ": hi\n\n");
        posted
    }

    /// Hands the worker an event of the topic `a`.
    pub(super) fn publish(&mut self, data: &str) {
        let (after, upto) = (self.head, self.head.next());
        self.head = upto;
        let draft = Draft::new(Topic::new("a").unwrap(), data);
        let record = Record::new(draft, upto, Timestamp::default());
        let frame = Frame::encode(Arc::new(record), Epoch::parse("k7q2ma").unwrap());
        let batch =
            Arc::new(FrameBatch { after, frames: vec![Arc::new(frame)], upto: upto.into() });
        assert!(self.mailbox.post_frames(&batch, 0, Duration::ZERO));
    }

    /// What a socket reports, in the next turn.
    pub(super) fn report(&mut self, id: SubscriberId, change: impl FnOnce(&mut Event)) {
        let mut event =
            Event { token: id.to_u64(), readable: false, writable: false, broken: false };
        change(&mut event);
        self.happened.push(event);
    }

    /// The worker's time goes on by `duration`.
    pub(super) fn pass(&mut self, duration: Duration) {
        self.worker.context.clock.advance(duration);
    }

    pub(super) fn turn(&mut self) -> bool {
        self.worker.turn(&mut self.happened)
    }

    /// The part of a turn before subscribers are closed.
    pub(super) fn turn_without_closing(&mut self) {
        self.worker.take_mail();
        self.worker.write();
    }

    /// Takes turns until there is nothing more to do.
    pub(super) fn settle(&mut self) {
        loop {
            let idle = self.turn();
            let Worker { messages, batches, .. } = &self.worker;
            if idle && messages.is_empty() && batches.is_empty() && !self.mailbox.is_waiting() {
                return;
            }
        }
    }

    /// The worker's answer about a connection.
    pub(super) fn ask(&mut self, number: u64) -> Option<Connection> {
        let (answer, mut answered) = oneshot::channel();
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let question = Question::Connection(ConnectionId { run: RUN, number }, answer);
        self.mailbox.post(Message::Ask(question, Arc::new(permit)));
        self.turn_without_closing();
        answered.try_recv().unwrap()
    }

    /// Numbers of subscribers that are served through sockets, and through bodies.
    pub(super) fn sinks(&self) -> [usize; 2] {
        self.counters.sinks()
    }

    /// The connection, if it has ended.
    pub(super) fn closed(&self, number: u64) -> Option<Connection> {
        self.closed_connections.find(ConnectionId { run: RUN, number })
    }

    /// Number of closed subscribers, whatever the reason.
    pub(super) fn closes(&self) -> u64 {
        self.counters.closes().into_iter().map(|(_, count)| count).sum()
    }

    /// Number of subscribers closed for `reason`.
    pub(super) fn closes_for(&self, reason: CloseReason) -> u64 {
        let mut closes = self.counters.closes().into_iter();
        closes.find(|(one, _)| *one == reason).map_or(0, |(_, count)| count)
    }
}

/// The text of event `number` of the scene.
pub(super) fn event(number: u64, data: &str) -> String {
    format!("id: k7q2ma:{number}\ndata: {data}\n\n")
}
