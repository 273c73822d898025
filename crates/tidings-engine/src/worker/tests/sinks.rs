//! Sinks that are full, dead, half closed, or silent.

use super::scene::{HEARTBEAT, Scene, event};
use super::*;

#[test]
fn a_full_sink_is_left_alone_and_continues_where_it_stopped() {
    let mut scene = Scene::new();
    let slow = scene.attach();
    slow.peer.script().room = 10;
    scene.publish("one");
    scene.publish("two");
    scene.settle();
    let begun = slow.peer.read();
    assert_eq!(begun.len(), 10);
    slow.peer.script().room = usize::MAX;
    scene.publish("three");
    scene.settle();
    assert_eq!(slow.peer.read(), "", "nobody has said that it has room");
    scene.report(slow.peer.id(), |event| event.writable = true);
    scene.settle();
    let all = [event(1, "one"), event(2, "two"), event(3, "three")].concat();
    assert_eq!(begun + &slow.peer.read(), all);
}

#[test]
fn a_full_sink_holds_up_no_other() {
    let mut scene = Scene::new();
    let (slow, fast) = (scene.attach(), scene.attach());
    slow.peer.script().room = 0;
    for number in 1..=100 {
        scene.publish("x");
        scene.settle();
        assert_eq!(fast.peer.read(), event(number, "x"));
    }
    assert_eq!(slow.peer.read(), "");
    slow.peer.script().room = usize::MAX;
    scene.mailbox.post(Message::Writable(slow.peer.id()));
    scene.settle();
    assert_eq!(slow.peer.read().matches("data: x\n\n").count(), 100);
    assert_eq!(scene.closes(), 0);
}

#[test]
fn a_sink_that_dies_in_a_write_is_closed_once_and_the_others_are_written() {
    let mut scene = Scene::new();
    let all: Vec<_> = (0..10).map(|_| scene.attach()).collect();
    all[4].peer.script().broken = Some(CloseReason::PeerReset);
    scene.publish("x");
    scene.settle();
    for (number, posted) in all.iter().enumerate() {
        let expected = if number == 4 { String::new() } else { event(1, "x") };
        assert_eq!(posted.peer.read(), expected);
    }
    // Its socket says the same once more, when it is gone already.
    scene.report(all[4].peer.id(), |event| event.broken = true);
    scene.settle();
    assert_eq!((scene.closes(), scene.closes_for(CloseReason::PeerReset)), (1, 1));
    assert_eq!(all[4].peer.script().finished, [None], "nothing can be said to it");
    assert_eq!(scene.counters.subscribers(), 9, "its place is free");
}

#[test]
fn a_sink_that_dies_in_the_middle_of_an_event_is_cut() {
    let mut scene = Scene::new();
    let slow = scene.attach();
    slow.peer.script().room = 10;
    scene.publish("x");
    scene.settle();
    scene.worker.shard.handle_closed(slow.peer.id(), CloseReason::AgeReached);
    scene.settle();
    assert_eq!(slow.peer.script().finished, [None], "a farewell would tear the event");
}

#[test]
fn a_peer_that_ends_its_side_may_still_listen() {
    let mut scene = Scene::new();
    let half_closed = scene.attach();
    half_closed.peer.script().has_ended = true;
    scene.report(half_closed.peer.id(), |event| event.readable = true);
    scene.settle();
    assert_eq!(half_closed.peer.read(), "id: k7q2ma:0\n\n", "a write shows whether it does");
    scene.publish("x");
    scene.settle();
    assert_eq!(half_closed.peer.read(), event(1, "x"));
    // The one that does not listen answers the write with a reset.
    let gone = scene.attach();
    let id = gone.peer.id();
    gone.peer.script().has_ended = true;
    scene.report(id, |event| event.readable = true);
    gone.peer.script().broken = Some(CloseReason::PeerClosed);
    scene.settle();
    assert_eq!((scene.closes(), scene.closes_for(CloseReason::PeerClosed)), (1, 1));
}

#[test]
fn a_silent_peer_is_closed_if_it_has_vanished_and_gets_a_heartbeat_if_not() {
    let mut scene = Scene::new();
    let (there, vanished) = (scene.attach(), scene.attach());
    // Its network takes bytes, and nothing comes back.
    vanished.peer.script().has_vanished = true;
    scene.pass(HEARTBEAT * 12 / 10);
    scene.settle();
    assert_eq!(there.peer.read(), "id: k7q2ma:0\n\n");
    assert_eq!((scene.closes(), scene.closes_for(CloseReason::PeerVanished)), (1, 1));
    assert!(vanished.peer.script().is_dropped && !there.peer.script().is_dropped);
}

#[test]
fn a_peer_that_is_written_to_is_not_asked_whether_it_is_there() {
    let mut scene = Scene::new();
    let busy = scene.attach();
    // Only a peer that is silent is asked.
    busy.peer.script().has_vanished = true;
    for _ in 0..10 {
        scene.pass(HEARTBEAT / 2);
        scene.publish("x");
        scene.settle();
    }
    assert_eq!(scene.closes(), 0);
    assert_eq!(busy.peer.read().matches("data: x\n\n").count(), 10);
}
