//! A subscriber that has ended its sending side may still listen.

use super::Scene;

#[test]
fn a_subscriber_that_ended_its_side_is_probed_at_once() {
    let mut scene = Scene::new();
    let idle = scene.attach("idle");
    scene.publish("other", "x");
    scene.turn();
    scene.take(idle);
    scene.shard.handle_end(idle);
    scene.turn();
    assert_eq!(scene.take(idle), "id: k7q2ma:1\n\n");
    scene.pass(2_000);
    assert_eq!(scene.take(idle), "", "once is enough");

    // A blocked one has bytes under way, which serve as a probe; it is probed later if they do not.
    let busy = scene.attach("busy");
    scene.room.insert(busy, 3);
    scene.publish("busy", "y");
    scene.turn();
    scene.shard.handle_end(busy);
    scene.room.remove(&busy);
    scene.shard.handle_writable(busy);
    scene.pass(500);
    assert!(scene.take(busy).ends_with("data: y\n\n"));
    scene.pass(20_000);
    assert_eq!(scene.take(busy), "id: k7q2ma:2\n\n");
}
