//! When a worker sleeps, and how long.

use std::io;
use std::sync::Mutex;

use super::scene::{HEARTBEAT, Scene, event};
use super::*;

type Sleeps = Arc<Mutex<Vec<Option<Duration>>>>;

/// A scene whose worker is stopped in its `count`th sleep, and the times it wanted to sleep.
fn scene_that_sleeps(count: usize) -> (Scene, Sleeps) {
    let sleeps = Sleeps::default();
    let (noted, mailbox) = (Arc::clone(&sleeps), Arc::new(Mutex::new(None::<Arc<Mailbox>>)));
    let stopped = Arc::clone(&mailbox);
    let scene = Scene::with_sleep(move |timeout, _| {
        let mut sleeps = noted.lock().unwrap();
        sleeps.push(timeout);
        if sleeps.len() == count {
            stopped.lock().unwrap().as_ref().unwrap().post(Message::Stop);
        }
        Ok(())
    });
    *mailbox.lock().unwrap() = Some(Arc::clone(&scene.mailbox));
    (scene, sleeps)
}

#[test]
fn a_worker_without_subscribers_sleeps_until_it_is_woken() {
    let (scene, sleeps) = scene_that_sleeps(1);
    scene.worker.run();
    assert_eq!(*sleeps.lock().unwrap(), [None]);
}

#[test]
fn an_idle_worker_sleeps_until_the_next_heartbeat_is_due() {
    let (mut scene, sleeps) = scene_that_sleeps(1);
    let idle = scene.attach();
    scene.worker.run();
    let sleeps = sleeps.lock().unwrap();
    let [Some(sleep)] = sleeps[..] else { panic!("it slept {sleeps:?}") };
    assert!(sleep > HEARTBEAT / 2 && sleep < HEARTBEAT * 2, "it slept {sleep:?}");
    assert!(idle.peer.script().is_dropped);
}

#[test]
fn a_worker_with_something_left_to_write_only_looks_at_its_sockets() {
    let (mut scene, sleeps) = scene_that_sleeps(4);
    let all: Vec<_> = (0..3 * WRITES_PER_TURN).map(|_| scene.attach()).collect();
    scene.publish("x");
    scene.worker.run();
    let sleeps = sleeps.lock().unwrap();
    let (awake, asleep) = sleeps.split_at(3);
    assert_eq!(awake, [Some(Duration::ZERO); 3], "every {WRITES_PER_TURN} writes");
    assert!(asleep[0].is_some_and(|sleep| sleep > Duration::ZERO), "it slept {asleep:?}");
    assert!(all.iter().all(|posted| posted.peer.read() == event(1, "x")));
}

#[test]
fn a_worker_that_cannot_sleep_serves_its_subscribers_all_the_same() {
    let mailbox = Arc::new(Mutex::new(None::<Arc<Mailbox>>));
    let stopped = Arc::clone(&mailbox);
    let mut tries = 0;
    let mut scene = Scene::with_sleep(move |_, _| {
        tries += 1;
        if tries == 2 {
            stopped.lock().unwrap().as_ref().unwrap().post(Message::Stop);
        }
        Err(io::Error::other("no sleep"))
    });
    *mailbox.lock().unwrap() = Some(Arc::clone(&scene.mailbox));
    let served = scene.attach();
    scene.publish("x");
    scene.worker.run();
    assert_eq!(served.peer.read(), event(1, "x"));
    assert_eq!(served.peer.script().finished.len(), 1, "the stop is heard");
}
