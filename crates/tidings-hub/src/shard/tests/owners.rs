//! Ids and owners of subscribers whose number is used again.

use super::*;

#[test]
fn an_old_id_finds_no_subscriber() {
    let mut scene = Scene::new();
    let gone = scene.attach("a");
    scene.shard.handle_closed(gone, CloseReason::PeerReset);
    let next = scene.attach("a");
    assert_eq!(gone.index(), next.index(), "the number is used again");
    assert_ne!(gone, next);
    assert_eq!(SubscriberId::from_u64(next.to_u64()), next);
    scene.shard.handle_closed(gone, CloseReason::PeerClosed);
    scene.shard.handle_writable(gone);
    assert_eq!(scene.shard.len(), 1);
}

#[test]
fn an_owner_leaves_with_its_subscriber_before_the_number_is_used_again() {
    let mut scene = Scene::new();
    let (stays, gone) = (scene.attach("a"), scene.attach("a"));
    scene.shard.handle_closed(gone, CloseReason::PeerReset);
    let next = scene.attach("a");
    assert_eq!(gone.index(), next.index(), "the number is used again");
    let owner = |scene: &Scene, id| scene.owners[&id];
    let (first, second, third) = (owner(&scene, stays), owner(&scene, gone), owner(&scene, next));
    assert_eq!(scene.shard.owner_mut(gone), None);
    assert_eq!(scene.shard.owner_mut(next).copied(), Some(third));
    let owners: Vec<_> = scene.shard.owners().map(|(id, owner)| (id, *owner)).collect();
    assert_eq!(owners, [(stays, first), (next, third)]);
    let closings: Vec<_> = scene.shard.closings().map(|one| (one.id, one.owner)).collect();
    assert_eq!(closings, [(gone, second)], "it can be found until its close is handled");
    let closing = scene.shard.poll_close().expect("one is closed");
    assert_eq!((closing.id, closing.owner), (gone, second));
    scene.shard.handle_closed(stays, CloseReason::PeerReset);
    let mut left: Vec<_> = scene.shard.into_owners().collect();
    left.sort_unstable();
    assert_eq!(left, [first, third], "none is lost when the shard goes");
}
