//! Notices, which bypass the log.

use crate::limits::NOTICES_PENDING_MAX;
use crate::notice::Notice;

use super::*;
use crate::Visibility;

const WATCHERS: Audience = Audience(3);

fn notice(topic: &str, data: &str, number: u32) -> Arc<Notice> {
    let mut draft = Draft::new(Topic::new(topic).expect("a valid topic"), data);
    draft.visibility = Visibility::Private;
    Arc::new(Notice { draft, audience: WATCHERS, tag: format!("n{number}").into() })
}

impl Scene {
    /// A subscriber that wants `topic` and gets notices on it.
    fn watch(&mut self, topic: &str) -> SubscriberId {
        let wanted = Matcher::parse(topic).expect("a valid matcher");
        self.attach_as(topic, |attach| {
            attach.audience = Some(WATCHERS);
            attach.interest = Interest::new(vec![wanted.clone()], vec![wanted]);
        })
    }

    fn text(&self, id: SubscriberId) -> &str {
        self.written.get(&id).map_or("", |bytes| std::str::from_utf8(bytes).expect("text"))
    }
}

#[test]
fn a_notice_reaches_its_audience_and_moves_no_position() {
    let mut scene = Scene::new();
    let watcher = scene.watch("a");
    let other_topic = scene.watch("b");
    let no_watcher = scene.attach("a");
    let without_grant = scene.attach_as("a", |attach| attach.audience = Some(WATCHERS));
    scene.publish("x", "elsewhere");
    scene.shard.handle_notice(&notice("a", "hello", 1));
    scene.turn();
    assert_eq!(scene.text(watcher), "id: k7q2ma:1+n1\ndata: hello\n\n");
    for id in [other_topic, no_watcher, without_grant] {
        assert_eq!(scene.text(id), "");
    }
    scene.publish("a", "event");
    scene.turn();
    assert!(scene.text(watcher).ends_with("\n\nid: k7q2ma:2\ndata: event\n\n"));
}

#[test]
fn a_notice_waits_for_the_end_of_an_event() {
    let mut scene = Scene::new();
    let id = scene.watch("a");
    scene.turn();
    scene.room.insert(id, 8);
    scene.publish("a", "event");
    scene.turn();
    scene.shard.handle_notice(&notice("a", "hello", 1));
    scene.turn();
    assert_eq!(scene.text(id), "id: k7q2");
    scene.room.remove(&id);
    scene.shard.handle_writable(id);
    scene.turn();
    let expected = "id: k7q2ma:1\ndata: event\n\nid: k7q2ma:1+n1\ndata: hello\n\n";
    assert_eq!(scene.text(id), expected);
}

#[test]
fn a_notice_waits_for_the_end_of_history() {
    let mut scene = Scene::new();
    for data in ["one", "two", "three"] {
        scene.publish("a", data);
    }
    let wanted = Matcher::parse("a").expect("a valid matcher");
    let id = scene.attach_as("a", |attach| {
        attach.audience = Some(WATCHERS);
        attach.interest = Interest::new(vec![wanted.clone()], vec![wanted]);
        attach.position = Position::ZERO;
    });
    scene.shard.handle_missed_notices(id, vec![notice("a", "before", 1)]);
    scene.shard.handle_notice(&notice("a", "now", 2));
    scene.turn();
    let text = scene.text(id);
    let expected = "data: three\n\nid: k7q2ma:3+n1\ndata: before\n\nid: k7q2ma:3+n2\ndata: now\n\n";
    assert!(text.ends_with(expected), "{text}");
    assert_eq!(text.matches("data:").count(), 5);
}

#[test]
fn a_subscriber_that_takes_no_notices_is_closed_before_they_fill_the_memory() {
    let mut scene = Scene::new();
    let (slow, quick) = (scene.watch("a"), scene.watch("a"));
    scene.turn();
    scene.room.insert(slow, 0);
    for number in 0..=NOTICES_PENDING_MAX as u32 + 1 {
        scene.shard.handle_notice(&notice("a", "x", number));
        scene.turn();
    }
    let reasons: Vec<_> = scene.closed.iter().map(|closing| (closing.id, closing.reason)).collect();
    assert_eq!(reasons, [(slow, CloseReason::NoticesLost)]);
    assert_eq!(scene.text(quick).matches("data:").count(), NOTICES_PENDING_MAX + 2);
}

#[test]
fn lost_notices_close_the_subscribers_that_get_notices_and_no_others() {
    let mut scene = Scene::new();
    let (watcher, quiet) = (scene.watch("a"), scene.watch("b"));
    scene.shard.handle_notice(&notice("a", "x", 1));
    scene.turn();
    scene.shard.handle_lost_notices();
    scene.turn();
    let closed: Vec<_> = scene.closed.iter().map(|closing| closing.id).collect();
    assert_eq!(closed, [watcher]);
    assert_ne!(watcher, quiet);
}
