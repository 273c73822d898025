//! Drains and stops.

use tidings_hub::StandingState;

use super::scene::{RUN, Scene};
use super::*;
use crate::connection::ConnectionId;

#[test]
fn a_stop_ends_every_stream_with_a_farewell_however_many_there_are() {
    let mut scene = Scene::new();
    let count = 3 * CLOSES_PER_TURN_MAX + 1;
    let all: Vec<_> = (0..count).map(|_| scene.post(": hi\n\n")).collect();
    scene.settle();
    assert_eq!(scene.sinks(), [0, count]);
    // One is in the middle of an event, another is closed and waits for the turn that says so.
    all[0].peer.script().room = 10;
    scene.publish("x");
    scene.settle();
    scene.worker.shard.handle_closed(all[1].peer.id(), CloseReason::AgeReached);
    scene.mailbox.post(Message::Stop);
    let Scene { worker, counters, closed_connections, .. } = scene;
    worker.run();
    assert_eq!((counters.sinks(), counters.subscribers()), ([0, 0], 0));
    for (number, posted) in all.iter().enumerate() {
        let script = posted.peer.script();
        assert!(script.is_dropped);
        let [farewell] = &script.finished[..] else { panic!("ended {:?}", script.finished) };
        let closed =
            closed_connections.find(ConnectionId { run: RUN, number: posted.number }).unwrap();
        let (reason, asks_back) = match number {
            1 => (CloseReason::AgeReached, false),
            _ => (CloseReason::Draining, true),
        };
        assert_eq!(closed.standing.state, StandingState::Closed(reason));
        match farewell {
            None => assert_eq!(number, 0, "only a torn event is cut"),
            Some(farewell) => {
                let text = str::from_utf8(&farewell.bytes).unwrap();
                assert_eq!(text.contains("retry: "), asks_back);
                assert!(!farewell.is_end, "the topic goes on");
            }
        }
    }
}

#[test]
fn mail_that_comes_after_the_stop_ends_with_the_worker() {
    let mut scene = Scene::new();
    scene.mailbox.post(Message::Stop);
    scene.turn();
    let late = scene.post(": hi\n\n");
    let Scene { worker, mailbox, counters, .. } = scene;
    drop(worker);
    assert!(late.peer.script().is_dropped, "its connection is closed");
    assert_eq!(counters.subscribers(), 0, "its place is free");
    drop(mailbox);
}

#[test]
fn a_drain_ends_all_streams_and_the_worker_lives_on() {
    let mut scene = Scene::new();
    let all: Vec<_> = (0..100).map(|_| scene.attach()).collect();
    scene.mailbox.post(Message::Drain { window_ms: 1000 });
    scene.settle();
    assert_eq!(scene.closes(), 0, "each at its own moment");
    scene.pass(Duration::from_millis(1200));
    scene.settle();
    assert_eq!(scene.closes_for(CloseReason::Draining), 100);
    assert!(all.iter().all(|posted| posted.peer.script().finished.len() == 1));
    scene.attach();
}
