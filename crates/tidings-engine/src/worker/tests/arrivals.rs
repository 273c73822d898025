//! Subscribers that come, and numbers that are given away again.

use std::net::TcpListener;
use std::sync::Mutex;

use tidings_hub::{Draft, Notice, StandingState, Topic};

use super::scene::{AUDIENCE, Scene, event};
use super::*;
use crate::hook::SubscriberHook;
use crate::sink::{Peer, Sink, SocketSink};

/// Records what was true when its subscriber arrived, and whether it is there.
#[derive(Debug)]
struct Witness {
    counters: Arc<Counters>,
    peer: Arc<Mutex<Option<Peer>>>,
    seen: Arc<Mutex<Vec<&'static str>>>,
}

impl SubscriberHook for Witness {
    fn arrived(&mut self) -> Vec<Arc<Notice>> {
        assert_eq!(self.counters.sinks(), [0, 1], "it is counted");
        let peer = self.peer.lock().unwrap();
        assert_eq!(peer.as_ref().unwrap().script().id, None, "its peer does not know yet");
        self.seen.lock().unwrap().push("arrived");
        let draft = Draft::new(Topic::new("a").unwrap(), "missed");
        vec![Arc::new(Notice { draft, audience: AUDIENCE, tag: "n".into() })]
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.seen.lock().unwrap().push("dropped");
    }
}

#[test]
fn a_subscriber_is_counted_then_announced_then_attached_and_misses_no_notice() {
    let mut scene = Scene::new();
    let (peer, seen) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Vec::new())));
    let (counters, seen_by_hook) = (Arc::clone(&scene.counters), Arc::clone(&seen));
    let hook = Witness { counters, peer: Arc::clone(&peer), seen: seen_by_hook };
    let posted = scene.post_with_hook(": hi\n\n", Some(Box::new(hook)));
    *peer.lock().unwrap() = Some(posted.peer.clone());
    scene.settle();
    assert_eq!(*seen.lock().unwrap(), ["arrived"]);
    assert_eq!(posted.peer.read(), ": hi\n\nid: k7q2ma:0+n\ndata: missed\n\n");
    scene.worker.shard.handle_closed(posted.peer.id(), CloseReason::AgeReached);
    scene.settle();
    assert_eq!(*seen.lock().unwrap(), ["arrived", "dropped"]);
}

#[test]
fn an_event_that_comes_with_a_subscriber_reaches_it() {
    let mut scene = Scene::new();
    let posted = scene.post(": hi\n\n");
    scene.publish("x");
    scene.settle();
    assert_eq!(posted.peer.read(), format!(": hi\n\n{}", event(1, "x")));
}

#[test]
fn a_socket_that_cannot_be_watched_is_closed_and_gives_its_place_back() {
    let mut scene = Scene::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let socket = listener.accept().unwrap().0;
    // Where workers own no sockets, there is none to be watched.
    let Ok(sink) = SocketSink::new(socket) else { return };
    let number = scene.post_sink(": hi\n\n", Sink::Socket(sink), None);
    scene.settle();
    assert_eq!((scene.sinks(), scene.counters.subscribers()), ([0, 0], 0));
    let closed = scene.closed(number).expect("it is remembered");
    assert_eq!(closed.standing.state, StandingState::Closed(CloseReason::PeerReset));
}

#[test]
fn a_sink_that_is_dead_when_it_arrives_is_closed_by_its_reason() {
    let mut scene = Scene::new();
    let posted = scene.post(": hi\n\n");
    posted.peer.script().broken = Some(CloseReason::PeerClosed);
    scene.settle();
    assert_eq!(scene.closes_for(CloseReason::PeerClosed), 1);
    assert_eq!(posted.peer.script().finished, [None], "nothing can be said to it");
    assert_eq!((scene.sinks(), scene.counters.subscribers()), ([0, 0], 0));
}

#[test]
fn a_close_and_an_attach_in_one_turn_are_two_connections() {
    let mut scene = Scene::new();
    let old = scene.attach();
    // Both are there when the turn begins: the second gets the first one's number.
    scene.report(old.peer.id(), |event| event.broken = true);
    let new = scene.post(": new\n\n");
    scene.publish("x");
    scene.settle();
    assert_eq!(old.peer.id().index(), new.peer.id().index(), "the number is used again");
    assert_ne!(old.peer.id(), new.peer.id());
    assert_eq!(old.peer.read(), "");
    assert_eq!(new.peer.read(), format!(": new\n\n{}", event(1, "x")));
    assert!(old.peer.script().is_dropped && !new.peer.script().is_dropped);
    assert!(scene.closed(old.number).is_some() && scene.closed(new.number).is_none());
    assert_eq!((scene.sinks(), scene.closes()), ([0, 1], 1));
}

#[test]
fn what_a_socket_reports_late_does_not_touch_the_next_subscriber_at_its_number() {
    let mut scene = Scene::new();
    let old = scene.attach();
    scene.worker.shard.handle_closed(old.peer.id(), CloseReason::AgeReached);
    // It is posted before the close is handled, and has the number when the event comes.
    let new = scene.post("");
    scene.turn_without_closing();
    assert_eq!(old.peer.id().index(), new.peer.id().index(), "the number is used again");
    new.peer.script().has_ended = true;
    for _ in 0..2 {
        scene.report(old.peer.id(), |event| (event.readable, event.broken) = (true, true));
        scene.mailbox.post(Message::Writable(old.peer.id()));
        scene.mailbox.post(Message::Closed(old.peer.id(), CloseReason::PeerClosed));
        scene.settle();
    }
    assert!(new.peer.script().has_ended, "its own end is yet to be read");
    scene.publish("x");
    scene.settle();
    assert_eq!(new.peer.read(), event(1, "x"));
    assert_eq!((old.peer.script().finished.len(), scene.closes()), (1, 1), "closed once");
    assert_eq!(scene.closes_for(CloseReason::AgeReached), 1);
}

#[test]
fn a_connection_is_known_before_and_after_the_turn_that_ends_its_stream() {
    let mut scene = Scene::new();
    let count = CLOSES_PER_TURN_MAX + 1;
    let all: Vec<_> = (0..count).map(|_| scene.post("")).collect();
    scene.settle();
    let last = all.last().unwrap();
    let connected = scene.ask(last.number).expect("it is connected");
    assert_eq!((connected.standing.state, connected.closed), (StandingState::Live, None));
    for posted in &all {
        scene.report(posted.peer.id(), |event| event.broken = true);
    }
    assert!(!scene.turn(), "one is left for the next turn");
    assert!(scene.closed(last.number).is_none());
    // A number that is given away meanwhile does not hide it.
    let new = scene.post("");
    let closing = scene.ask(last.number).expect("it can still be asked for");
    assert_eq!(closing.standing.state, StandingState::Closed(CloseReason::PeerReset));
    assert!(closing.closed.is_some());
    assert_eq!(scene.ask(new.number).unwrap().standing.state, StandingState::Live);
    scene.settle();
    assert!(scene.ask(last.number).is_none());
    assert!(scene.closed(last.number).is_some());
}

#[test]
fn an_event_does_not_wait_until_a_crowd_has_arrived() {
    let mut scene = Scene::new();
    let live = scene.attach();
    let crowd: Vec<_> = (0..1000).map(|_| scene.post(": hi\n\n")).collect();
    scene.publish("x");
    // A turn ends after some writes; the first ones are enough.
    for _ in 0..3 {
        scene.turn();
    }
    assert_eq!(live.peer.read(), event(1, "x"));
    assert!(scene.sinks()[1] < crowd.len(), "most of the crowd is yet to come");
    scene.settle();
    assert_eq!(scene.sinks(), [0, 1 + crowd.len()], "all have arrived");
}
