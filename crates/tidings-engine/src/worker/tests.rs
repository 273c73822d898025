//! Scenarios: a worker that is turned by hand, with mail and sinks as the engine gives them.

#![allow(clippy::unwrap_used)]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http_body::Body;
use tidings_hub::{
    ControlStyle, Draft, Epoch, EventForm, Frame, Framing, Interest, Matcher, MemoryStore, Record,
    StandingState, StreamForm, Timestamp, Topic,
};

use super::*;
use crate::connection::Began;
use crate::connection::{Connection, ConnectionId};
use crate::sink::{BodyPipe, BrokenOff, Sink, SubscriberBody};
use crate::subscription::ConnectionInfo;

const RUN: u32 = 7;

/// A worker without a thread.
struct Scene {
    worker: Worker,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    past: Arc<ClosedConnections>,
    next_number: u64,
}

impl Scene {
    fn new() -> Self {
        let poller = Poller::new().unwrap();
        let mailbox = Arc::new(Mailbox::new(poller.bell()));
        let epoch = Epoch::parse("k7q2ma").unwrap();
        let store: Arc<dyn Log> = Arc::new(MemoryStore::new(epoch, usize::MAX, Duration::MAX));
        let context = WorkerContext {
            mailbox: Arc::clone(&mailbox),
            replay: Arc::default(),
            store,
            counters: Arc::default(),
            past: Arc::default(),
            run: RUN,
            clock: Clock::start(),
            peer_patience: Duration::from_secs(60),
        };
        let config = ShardConfig {
            epoch,
            head: Position::ZERO,
            heartbeat_ms: 15_000,
            connection_age_max_ms: None,
            ring_bytes_max: 1 << 20,
            seed: 7,
        };
        let (counters, past) = (Arc::clone(&context.counters), Arc::clone(&context.past));
        let worker = Worker::new(context, poller, config);
        Self { worker, mailbox, counters, past, next_number: 0 }
    }

    /// Posts a subscriber that is served through a body; returns its number.
    fn post_body(&mut self, preface: &str) -> (u64, SubscriberBody) {
        let (pipe, body) = BodyPipe::new(Arc::<Mailbox>::clone(&self.mailbox));
        let number = self.next_number;
        self.next_number += 1;
        let attach = Attach {
            interest: Interest::new(vec![Matcher::parse("a").unwrap()], Vec::new()),
            form: StreamForm {
                framing: Framing::Plain,
                control_style: ControlStyle::Native,
                event_form: EventForm::AsPublished,
            },
            audience: None,
            position: Position::ZERO,
            ended: Vec::new(),
            first: preface.into(),
            expires_ms: None,
        };
        let info =
            ConnectionInfo { number, started: Position::ZERO, since_s: 0, began: Began::Live };
        let subscription = Subscription {
            sink: Sink::Body(pipe),
            info,
            _permit: self.counters.admit(usize::MAX).unwrap(),
            hook: None,
        };
        self.mailbox.post(Message::Attach(Box::new((attach, subscription))));
        (number, body)
    }

    fn turn(&mut self) -> bool {
        self.worker.turn(&mut Vec::new())
    }

    /// The part of a turn before subscribers are closed.
    fn turn_without_closing(&mut self) {
        self.worker.take_mail();
        self.worker.write();
    }

    fn bodies(&self) -> usize {
        self.counters.sinks()[1]
    }

    fn closed(&self, number: u64) -> Option<Connection> {
        self.past.find(ConnectionId { run: RUN, number })
    }
}

/// In place of what a body holds that was cut.
const CUT: &str = "[cut]";

/// What a body holds now; `None` if it has ended.
fn read(body: &mut SubscriberBody) -> Option<String> {
    match pin!(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => {
            let bytes = frame.into_data().unwrap();
            Some(String::from_utf8(bytes.into()).unwrap())
        }
        Poll::Ready(Some(Err(BrokenOff))) => Some(CUT.to_owned()),
        Poll::Ready(None) => None,
        Poll::Pending => Some(String::new()),
    }
}

#[test]
fn a_close_and_an_attach_in_one_turn_are_two_connections() {
    let mut scene = Scene::new();
    let (first, body) = scene.post_body(": 1\n\n");
    scene.turn();
    assert_eq!(scene.bodies(), 1);
    // Both are in the mailbox when the next turn begins: the second may get the first one's number.
    drop(body);
    let (second, mut body) = scene.post_body(": 2\n\n");
    scene.turn();
    assert_eq!((scene.bodies(), scene.counters.subscribers()), (1, 1));
    let closed = scene.closed(first).expect("the first is remembered");
    assert_eq!(closed.standing.state, StandingState::Closed(CloseReason::PeerClosed));
    assert_eq!(read(&mut body).unwrap(), ": 2\n\n");
    assert!(scene.closed(second).is_none());
    drop(body);
    scene.turn();
    assert_eq!((scene.bodies(), scene.counters.subscribers()), (0, 0));
    assert!(scene.closed(second).is_some());
}

#[test]
fn an_event_does_not_wait_until_a_crowd_has_arrived() {
    let mut scene = Scene::new();
    let (_, mut live) = scene.post_body("");
    scene.turn();
    let crowd: Vec<_> = (0..1000).map(|_| scene.post_body(": hi\n\n")).collect();
    let record = Record::new(
        Draft::new(Topic::new("a").unwrap(), "x"),
        Position::new(1),
        Timestamp::default(),
    );
    let frame = Frame::encode(Arc::new(record), Epoch::parse("k7q2ma").unwrap());
    let (after, upto) = (Position::ZERO, Position::new(1));
    let batch = Arc::new(FrameBatch { after, frames: vec![Arc::new(frame)], upto });
    assert!(scene.mailbox.post_frames(&batch, Duration::ZERO));
    // A turn ends after some writes; the first ones are enough.
    for _ in 0..3 {
        scene.turn();
    }
    assert_eq!(read(&mut live).unwrap(), "id: k7q2ma:1\ndata: x\n\n");
    assert!(scene.bodies() < crowd.len(), "most of the crowd is yet to come");
    for _ in 0..crowd.len() {
        scene.turn();
    }
    assert_eq!(scene.bodies(), 1 + crowd.len(), "all have arrived");
}

#[test]
fn many_that_come_and_go_in_one_turn_are_all_counted_out() {
    let mut scene = Scene::new();
    for _ in 0..20 {
        let posted: Vec<_> = (0..50).map(|_| scene.post_body(": hi\n\n")).collect();
        // Every other one goes before it has its seat, the rest in the same turn as others come.
        for (number, body) in posted {
            if number % 2 == 1 {
                scene.turn();
            }
            drop(body);
        }
    }
    scene.turn();
    assert_eq!((scene.bodies(), scene.counters.subscribers()), (0, 0));
    let unknown = (0..scene.next_number).filter(|number| scene.closed(*number).is_none());
    assert_eq!(unknown.count(), 0, "every closed connection is remembered");
    let closes = scene.counters.closes().into_iter().map(|(_, count)| count).sum::<u64>();
    assert_eq!(closes, scene.next_number, "each with one reason");
}

#[test]
fn those_who_are_there_when_the_worker_stops_are_counted_out_too() {
    let mut scene = Scene::new();
    let (number, mut body) = scene.post_body(": hi\n\n");
    scene.mailbox.post(Message::Stop);
    let Scene { worker, counters, past, .. } = scene;
    worker.run();
    assert_eq!((counters.sinks()[1], counters.subscribers()), (0, 0));
    let closed = past.find(ConnectionId { run: RUN, number }).unwrap();
    assert_eq!(closed.standing.state, StandingState::Closed(CloseReason::Draining));
    let text = read(&mut body).unwrap();
    assert!(text.starts_with(": hi\n\nevent: tidings.open\nretry: "), "it is asked to come back");
    assert_eq!(read(&mut body).unwrap(), "", "what was said can be written");
    assert_eq!(read(&mut body).unwrap(), CUT);
}

#[test]
fn a_crowd_that_leaves_at_once_keeps_no_event_from_the_others() {
    let mut scene = Scene::new();
    let count = 3 * CLOSES_PER_TURN_MAX + 1;
    let bodies: Vec<_> = (0..count).map(|_| scene.post_body("").1).collect();
    while scene.bodies() < count {
        scene.turn();
    }
    drop(bodies);
    for turn in 1..=3 {
        assert!(!scene.turn(), "there is more to close");
        // Newcomers have come since, one in each turn before.
        assert_eq!(scene.bodies(), count + turn - 1 - turn * CLOSES_PER_TURN_MAX);
        // A newcomer gets the number of a subscriber that is yet to be closed here.
        let (_, mut body) = scene.post_body(": hi\n\n");
        scene.turn_without_closing();
        assert_eq!(read(&mut body).unwrap(), ": hi\n\n");
        drop(body);
    }
    while scene.bodies() > 0 {
        scene.turn();
    }
    let closes = scene.counters.closes().into_iter().map(|(_, count)| count).sum::<u64>();
    assert_eq!(closes, scene.next_number, "each with one reason");
    assert_eq!(scene.worker.shard.closings().count(), 0);
}
