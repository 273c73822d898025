//! Events that a sink took only a part of, and what may follow.

use super::*;
use crate::Record;

/// A subscriber to `topic` that has a part of the event at position 1, after it was overtaken: the
/// ring has forgotten the event, and the log must be read.
fn overtaken(scene: &mut Scene, topic: &str, publish: impl FnOnce(&mut Scene)) -> SubscriberId {
    let id = scene.attach(topic);
    scene.room.insert(id, 10);
    publish(scene);
    scene.turn();
    let head = scene.shard.head();
    scene.shard.handle_gap(head.into());
    scene.room.remove(&id);
    scene.shard.handle_writable(id);
    id
}

/// A page with these records, as history gives them.
fn page(scene: &Scene, order: &ReadOrder, records: Vec<Record>) -> EncodedPage {
    let records = records.into_iter().map(Arc::new).collect();
    let page = crate::Page { records, reached: order.upto };
    EncodedPage::encode(&page, order.form, scene.shard.config.epoch)
}

fn record(position: u64, data: &str) -> Record {
    let draft = Draft::new(Topic::new("a").expect("a valid topic"), data);
    Record::new(draft, Position::new(position), Timestamp::default())
}

fn assert_cut(scene: &Scene, id: SubscriberId) {
    let [closing] = &scene.closed[..] else { panic!("one is closed: {:?}", scene.closed) };
    assert_eq!((closing.id, closing.reason), (id, CloseReason::Overtaken));
    assert_eq!(closing.farewell, None, "nothing can follow half of an event");
}

#[test]
fn the_rest_of_an_event_follows_from_the_log() {
    let mut scene = Scene::new();
    let id = overtaken(&mut scene, "a", |scene| scene.publish("a", "1"));
    scene.turn();
    assert_eq!(scene.take(id), "id: k7q2ma:1\ndata: 1\n\n");
    assert_eq!(scene.closed, []);
}

#[test]
fn the_rest_of_another_event_never_follows_however_alike_it_is() {
    let mut scene = Scene::new();
    let id = overtaken(&mut scene, "a", |scene| {
        scene.publish("a", "1");
        scene.publish("a", "2");
    });
    let order = scene.shard.poll_read().expect("it must read the log");
    let without_the_first = page(&scene, &order, vec![record(2, "2")]);
    scene.shard.handle_page(id, Ok(without_the_first));
    scene.turn();
    assert_cut(&scene, id);
    assert_eq!(scene.take(id), "id: k7q2ma");
}

#[test]
fn half_an_event_of_which_nothing_is_left_cuts_the_connection() {
    let mut scene = Scene::new();
    let id = overtaken(&mut scene, "a", |scene| scene.publish("a", "1"));
    let order = scene.shard.poll_read().expect("it must read the log");
    let nothing = page(&scene, &order, Vec::new());
    scene.shard.handle_page(id, Ok(nothing));
    assert_eq!(scene.shard.poll_read().map(|order| order.id), None);
    scene.turn();
    assert_cut(&scene, id);
}

#[test]
fn half_an_event_waits_while_the_search_for_its_rest_goes_on() {
    let mut scene = Scene::new();
    let id = scene.attach("a");
    scene.publish("other", "x");
    scene.room.insert(id, 10);
    scene.publish("a", "1");
    scene.turn();
    scene.shard.handle_gap(Position::new(2).into());
    scene.room.remove(&id);
    scene.shard.handle_writable(id);
    let order = scene.shard.poll_read().expect("it must read the log");
    let mut short = page(&scene, &order, Vec::new());
    short.reached = Position::new(1);
    scene.shard.handle_page(id, Ok(short));
    scene.turn();
    assert_eq!(scene.take(id), "id: k7q2ma:2\ndata: 1\n\n");
    assert_eq!(scene.closed, []);
}

#[test]
fn a_rewritten_event_neither_follows_a_part_of_the_first_one_nor_the_other_way_round() {
    let mut scene = Scene::new();
    let id = overtaken(&mut scene, "a", |scene| scene.publish("a", "1"));
    let order = scene.shard.poll_read().expect("it must read the log");
    let rewritten = page(&scene, &order, vec![record(1, "one").rewritten()]);
    scene.shard.handle_page(id, Ok(rewritten));
    scene.turn();
    assert_cut(&scene, id);

    let mut scene = Scene::new();
    scene.publish("a", "1");
    let id = scene.attach_as("a", |attach| attach.position = Position::ZERO);
    scene.room.insert(id, 10);
    let order = scene.shard.poll_read().expect("it is behind");
    let rewritten = page(&scene, &order, vec![record(1, "one").rewritten()]);
    scene.shard.handle_page(id, Ok(rewritten));
    scene.turn();
    scene.room.remove(&id);
    scene.shard.handle_writable(id);
    scene.turn();
    assert_cut(&scene, id);
}

#[test]
fn half_an_end_from_history_is_not_joined_to_the_other_form_of_it_in_the_ring() {
    let mut scene = Scene::new();
    scene.publish("a", "1");
    let before = |attach: &mut Attach| attach.position = Position::ZERO;
    // While a member reads history, the group keeps its frames.
    scene.attach_as("a", before);
    scene.shard.poll_read().expect("it is behind");
    // In the ring the end is the last event of a stream.
    scene.publish_as("a", "done", Kind::End);
    // In history it is not: the topic has begun again, which the shard does not know yet.
    scene.append(Draft::clone(&record(3, "again")));
    let id = scene.attach_as("a", before);
    let order = scene.shard.poll_read().expect("it is behind, too");
    let read = scene.read(&ReadOrder { records_max: 2, ..order });
    let sent = "id: k7q2ma:1\ndata: 1\n\nid: k7q2ma:2\nd";
    scene.room.insert(id, sent.len());
    scene.shard.handle_page(id, Ok(read));
    scene.turn();
    scene.room.remove(&id);
    scene.shard.handle_writable(id);
    scene.turn();
    assert_eq!(scene.take(id), sent);
    assert_cut(&scene, id);
}

#[test]
fn a_loss_is_announced_once_and_what_is_left_before_it_is_still_sent() {
    let mut scene = Scene::new();
    for data in ["1", "2", "3", "4"] {
        scene.publish("a", data);
    }
    let id = scene.attach_as("a", |attach| attach.position = Position::ZERO);
    let order = scene.shard.poll_read().expect("it is behind");
    // The log holds 1, 2 and 4.
    let (first, lost) = (Position::new(1), Position::new(3));
    scene.shard.handle_page(id, Err(ReadError::Expired { first, lost }));
    assert_eq!(order.told, Position::ZERO);
    // The reset is written before the next page is read.
    while let Some(transmit) = scene.shard.poll_write() {
        let bytes = transmit.bytes.to_vec();
        scene.written.entry(id).or_default().extend_from_slice(&bytes);
        scene.shard.handle_written(bytes.len());
    }
    let order = scene.shard.poll_read().expect("it is still behind");
    assert_eq!((order.after, order.told), (Position::ZERO, lost));
    let left = page(&scene, &order, vec![record(1, "1"), record(2, "2"), record(4, "4")]);
    scene.shard.handle_page(id, Ok(left));
    scene.turn();
    let reset = "event: tidings.reset\nid: k7q2ma:0\ndata: {\"reason\":\"expired\",\
                 \"requested\":\"k7q2ma:0\",\"first\":\"k7q2ma:4\"}\n\n";
    let events = [1, 2, 4].map(|n| format!("id: k7q2ma:{n}\ndata: {n}\n\n")).concat();
    assert_eq!(scene.take(id), format!("{reset}{events}"));
}
