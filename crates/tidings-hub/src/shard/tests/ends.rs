//! How topics end, and the streams of those who want nothing else.

use super::*;

#[test]
fn an_ended_topic_closes_subscribers_that_want_nothing_else() {
    let mut scene = Scene::new();
    let (only, both) = (scene.attach("job"), scene.attach("**"));
    scene.publish_as("job", "done", Kind::End);
    scene.turn();
    assert_eq!(scene.closed.len(), 1);
    assert_eq!((scene.closed[0].id, scene.closed[0].reason), (only, CloseReason::TopicEnded));
    assert_eq!(scene.take(only), "id: k7q2ma:1\nretry: 86400000\ndata: done\n\n");
    assert_eq!(scene.take(both), "id: k7q2ma:1\ndata: done\n\n");
}

#[test]
fn a_subscriber_that_reads_the_end_from_history_is_also_closed() {
    let mut scene = Scene::new();
    scene.publish_as("job", "done", Kind::End);
    // Other topics continue: after the last record it wants there is still some log to look
    // through.
    scene.publish("other", "1");
    let id = scene.attach_as("job", |attach| {
        attach.position = Position::ZERO;
        attach.ended = vec![(Topic::new("job").expect("a valid topic"), Position::new(1))];
    });
    scene.turn();
    assert_eq!(scene.closed.len(), 1);
    assert_eq!((scene.closed[0].id, scene.closed[0].reason), (id, CloseReason::TopicEnded));
}

#[test]
fn a_topic_that_ends_before_its_subscriber_is_registered_closes_it() {
    let mut scene = Scene::new();
    scene.publish("job", "1");
    let asked = scene.shard.head();
    scene.publish_as("job", "done", Kind::End);
    let id = scene.attach_as("job", |attach| attach.position = asked);
    scene.turn();
    assert_eq!(scene.closed.len(), 1);
    assert_eq!((scene.closed[0].id, scene.closed[0].reason), (id, CloseReason::TopicEnded));
}

#[test]
fn an_end_that_was_the_last_when_it_was_read_ends_the_stream_although_the_topic_began_again() {
    let mut scene = Scene::new();
    scene.publish_as("job", "done", Kind::End);
    let id = scene.attach_as("job", |attach| attach.position = Position::ZERO);
    let order = scene.shard.poll_read().expect("it is behind");
    let page = scene.read(&order);
    scene.publish("job", "again");
    scene.shard.handle_page(order.id, Ok(page));
    scene.turn();
    assert_eq!(scene.take(id), "id: k7q2ma:1\nretry: 86400000\ndata: done\n\n");
    assert_eq!(scene.closed[0].reason, CloseReason::TopicEnded);
}

#[test]
fn an_end_in_the_middle_of_history_ends_nothing() {
    let mut scene = Scene::new();
    scene.publish_as("job", "done", Kind::End);
    scene.publish("job", "again");
    let id = scene.attach_as("job", |attach| attach.position = Position::ZERO);
    scene.turn();
    assert_eq!(scene.closed, []);
    let expected = "id: k7q2ma:1\ndata: done\n\nid: k7q2ma:2\ndata: again\n\n";
    assert_eq!(scene.take(id), expected);
}

#[test]
fn a_stream_ends_with_its_topic_although_the_next_run_has_begun_before_the_end_was_written() {
    for kind in [Kind::End, Kind::LastEvent] {
        let mut scene = Scene::new();
        let (live, slow) = (scene.attach("job"), scene.attach("job"));
        scene.room.insert(slow, 4);
        scene.publish_as("job", "done", kind);
        scene.publish("job", "again");
        scene.turn();
        let next = scene.attach("job");
        scene.publish("job", "more");
        scene.room.remove(&slow);
        scene.shard.handle_writable(slow);
        scene.turn();
        let reasons: Vec<_> = scene.closed.iter().map(|one| (one.id, one.reason)).collect();
        assert_eq!(reasons, [(live, CloseReason::TopicEnded), (slow, CloseReason::TopicEnded)]);
        for id in [live, slow] {
            let text = scene.take(id);
            assert!(text.ends_with("data: done\n\n"), "{text}");
            assert_eq!(text.contains("retry: 86400000\n"), kind == Kind::End, "{text}");
        }
        assert_eq!(scene.take(next), "id: k7q2ma:3\ndata: more\n\n");
    }
}

#[test]
fn only_the_last_end_of_several_topics_ends_the_stream_and_stops_reconnections() {
    let mut scene = Scene::new();
    let both = scene.attach_as("a", |attach| {
        let topics = ["a", "b"].map(|topic| Matcher::parse(topic).expect("a valid matcher"));
        attach.interest = Interest::new(topics.to_vec(), Vec::new());
    });
    scene.publish_as("b", "done", Kind::End);
    scene.turn();
    assert_eq!(scene.take(both), "id: k7q2ma:1\ndata: done\n\n");
    assert_eq!(scene.closed, []);
    scene.publish_as("a", "done", Kind::End);
    scene.turn();
    assert_eq!(scene.take(both), "id: k7q2ma:2\nretry: 86400000\ndata: done\n\n");
    let farewell = Some(Farewell { bytes: Vec::new(), is_end: true });
    assert_eq!(
        (scene.closed[0].reason, &scene.closed[0].farewell),
        (CloseReason::TopicEnded, &farewell)
    );
}

#[test]
fn a_stream_without_control_blocks_is_cut_where_events_are_lost_and_its_end_is_not_announced() {
    let nothing = |attach: &mut Attach| attach.form.control_style = ControlStyle::Nothing;
    let mut scene = Scene::new();
    let id = scene.attach_as("job", nothing);
    scene.pass(17_000);
    scene.publish_as("job", "done", Kind::End);
    scene.turn();
    assert_eq!(scene.take(id), ":\n", "a heartbeat, and no end");
    let farewell = Some(Farewell { bytes: Vec::new(), is_end: true });
    assert_eq!(scene.closed[0].farewell, farewell);

    let overtaken = scene.attach_as("a", |attach| {
        nothing(attach);
        attach.position = Position::ZERO;
    });
    let order = scene.shard.poll_read().expect("it is behind");
    let (first, lost) = (Position::new(9), Position::new(8));
    scene.shard.handle_page(order.id, Err(ReadError::Expired { first, lost }));
    scene.turn();
    assert_eq!((scene.closed[1].id, scene.closed[1].reason), (overtaken, CloseReason::Overtaken));
    assert_eq!(scene.take(overtaken), "");
}

#[test]
fn an_end_that_the_shard_has_yet_to_see_closes_nobody_before_the_events_in_front_of_it() {
    let mut scene = Scene::new();
    scene.publish("other", "1");
    let job = Topic::new("job").expect("a valid topic");
    // The store has both already, and a subscriber from the start asks for them.
    let ended = vec![(job, Position::new(3))];
    let id = scene.attach_as("job", |attach| {
        attach.position = Position::ZERO;
        attach.ended = ended;
    });
    scene.turn();
    assert_eq!(scene.closed, []);
    scene.publish("job", "half");
    scene.publish_as("job", "done", Kind::LastEvent);
    scene.turn();
    assert_eq!(scene.take(id), "id: k7q2ma:2\ndata: half\n\nid: k7q2ma:3\ndata: done\n\n");
    assert_eq!(scene.closed[0].reason, CloseReason::TopicEnded);
}
