//! Grants whose ends can move.

use super::*;

/// Answers the question about the term that is due.
fn answer(scene: &mut Scene, look_ms: u64, block: Option<&[u8]>) {
    let (id, _) = scene.shard.poll_term().expect("it is asked");
    scene.shard.handle_term(id, look_ms, block.map(Into::into));
    scene.turn();
}

#[test]
fn the_driver_is_asked_at_the_moment_that_it_named_and_nothing_is_sent() {
    let mut scene = Scene::new();
    let id = scene.attach_as("a", |attach| attach.term_ms = Some(1_000));
    scene.pass(900);
    assert!(scene.shard.poll_term().is_none());
    scene.pass(200);
    answer(&mut scene, 5_000, None);
    assert!(scene.shard.poll_term().is_none(), "it is asked once");
    scene.pass(3_800);
    assert!(scene.shard.poll_term().is_none());
    scene.pass(200);
    answer(&mut scene, 9_000, None);
    assert!(scene.closed.is_empty());
    assert_eq!(scene.take(id), "");
}

#[test]
fn a_block_is_sent_between_two_events_and_replaces_one_that_waits() {
    let mut scene = Scene::new();
    let id = scene.attach_as("a", |attach| attach.term_ms = Some(1_000));
    scene.room.insert(id, 5);
    scene.publish("a", "0123456789");
    scene.pass(1_100);
    answer(&mut scene, 2_000, Some(b"event: old\n\n"));
    scene.pass(1_100);
    answer(&mut scene, 9_000, Some(b"event: new\n\n"));
    scene.room.remove(&id);
    scene.shard.handle_writable(id);
    scene.turn();
    let taken = scene.take(id);
    assert!(taken.ends_with("data: 0123456789\n\nevent: new\n\n"), "{taken}");
    assert!(!taken.contains("old"), "{taken}");
}

#[test]
fn a_connection_whose_grant_is_renewed_for_ever_still_ages() {
    let mut scene = Scene::with(|config| config.connection_age_max_ms = Some(10_000));
    scene.attach_as("a", |attach| attach.term_ms = Some(1_000));
    for second in 1..12 {
        scene.pass(1_000);
        while let Some((id, _)) = scene.shard.poll_term() {
            scene.shard.handle_term(id, 1_000 * second + 1_000, None);
        }
    }
    assert_eq!(scene.closed[0].reason, CloseReason::AgeReached);
}
