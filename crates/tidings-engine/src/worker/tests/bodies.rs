//! Response bodies as sinks: the HTTP library drops them from other threads.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http_body::Body;
use tidings_hub::StandingState;

use super::scene::{RUN, Scene};
use super::*;
use crate::connection::ConnectionId;
use crate::sink::{BrokenOff, SubscriberBody};

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
fn a_body_that_is_dropped_and_the_next_one_are_two_connections() {
    let mut scene = Scene::new();
    let (first, body) = scene.post_body(": 1\n\n");
    scene.turn();
    assert_eq!(scene.sinks()[1], 1);
    // Both are in the mailbox when the next turn begins: the second may get the first one's number.
    drop(body);
    let (second, mut body) = scene.post_body(": 2\n\n");
    scene.turn();
    assert_eq!((scene.sinks()[1], scene.counters.subscribers()), (1, 1));
    let closed = scene.closed(first).expect("the first is remembered");
    assert_eq!(closed.standing.state, StandingState::Closed(CloseReason::PeerClosed));
    assert_eq!(read(&mut body).unwrap(), ": 2\n\n");
    assert!(scene.closed(second).is_none());
    drop(body);
    scene.turn();
    assert_eq!((scene.sinks()[1], scene.counters.subscribers()), (0, 0));
    assert!(scene.closed(second).is_some());
}

#[test]
fn many_that_come_and_go_in_one_turn_are_all_counted_out() {
    let mut scene = Scene::new();
    for _ in 0..20 {
        let posted: Vec<_> = (0..50).map(|_| scene.post_body(": hi\n\n")).collect();
        // Every other one goes before it is attached, the rest in the same turn as others come.
        for (number, body) in posted {
            if number % 2 == 1 {
                scene.turn();
            }
            drop(body);
        }
    }
    scene.turn();
    assert_eq!((scene.sinks()[1], scene.counters.subscribers()), (0, 0));
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
    let Scene { worker, counters, closed_connections, .. } = scene;
    worker.run();
    assert_eq!((counters.sinks()[1], counters.subscribers()), (0, 0));
    let closed = closed_connections.find(ConnectionId { run: RUN, number }).unwrap();
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
    while scene.sinks()[1] < count {
        scene.turn();
    }
    drop(bodies);
    for turn in 1..=3 {
        assert!(!scene.turn(), "there is more to close");
        // New subscribers have come since, one in each turn before.
        assert_eq!(scene.sinks()[1], count + turn - 1 - turn * CLOSES_PER_TURN_MAX);
        // A new subscriber gets the number of a subscriber that is yet to be closed here.
        let (_, mut body) = scene.post_body(": hi\n\n");
        scene.turn_without_closing();
        assert_eq!(read(&mut body).unwrap(), ": hi\n\n");
        drop(body);
    }
    while scene.sinks()[1] > 0 {
        scene.turn();
    }
    let closes = scene.counters.closes().into_iter().map(|(_, count)| count).sum::<u64>();
    assert_eq!(closes, scene.next_number, "each with one reason");
    assert_eq!(scene.worker.shard.closings().count(), 0);
}

#[test]
fn a_body_is_cut_only_when_its_last_bytes_are_written() {
    let mut scene = Scene::new();
    let (_, mut body) = scene.post_body(": hi\n\n");
    scene.mailbox.post(Message::Stop);
    scene.worker.run();
    let poll =
        |body: &mut SubscriberBody| pin!(body).poll_frame(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Some(Ok(last))) = poll(&mut body) else { panic!("there are bytes") };
    // The HTTP library holds them, for as long as its peer takes none.
    for _ in 0..10 {
        assert!(poll(&mut body).is_pending());
    }
    drop(last);
    assert!(poll(&mut body).is_pending(), "encoded bytes are written with this poll");
    assert!(matches!(poll(&mut body), Poll::Ready(Some(Err(BrokenOff)))));
}
