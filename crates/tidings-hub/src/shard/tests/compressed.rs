//! Events that are compressed together.

#[path = "../../../../tidings-codec/tests/inflate/mod.rs"]
mod inflate;

use inflate::Inflater;
use tidings_codec::gzip::Deflater;

use super::*;
use crate::coding::Sharing;
use crate::visibility::Visibility;

fn gzip(sharing: Sharing) -> impl Fn(&mut Attach) {
    move |attach| attach.form.coding = Coding::Gzip(sharing)
}

/// Publishes one of many similar events, and lets it be written.
fn publish(scene: &mut Scene, topic: &str, n: usize, visibility: Visibility) {
    let data = format!("{{\"price\":{},\"symbol\":\"ACME\",\"venue\":\"XNYS\"}}", n * 7919 % 9973);
    let draft = Draft { visibility, ..Draft::new(Topic::new(topic).expect("a name"), data) };
    scene.append(draft);
    scene.hand_in();
    scene.turn();
}

fn bytes(scene: &mut Scene, id: SubscriberId) -> Vec<u8> {
    scene.written.remove(&id).unwrap_or_default()
}

/// The sizes of events as `id` gets them.
fn sizes(scene: &mut Scene, id: SubscriberId, events: &[(&str, Visibility)]) -> Vec<usize> {
    let mut size = |(n, (topic, visibility)): (usize, &(&str, Visibility))| {
        publish(scene, topic, n, *visibility);
        bytes(scene, id).len()
    };
    events.iter().enumerate().map(&mut size).collect()
}

#[test]
fn events_in_quick_succession_refer_to_one_another_and_newcomers_cost_the_others_nothing() {
    let run = |joins: bool| {
        let mut scene = Scene::new();
        let plain = scene.attach("a");
        let first = scene.attach_as("a", gzip(Sharing::Topic));
        let mut inflaters = vec![(first, Inflater::new(), String::new(), 0)];
        let (mut all, mut stream) = (String::new(), Vec::new());
        for n in 0..200 {
            if joins && n % 7 == 3 {
                let new = scene.attach_as("a", gzip(Sharing::Topic));
                inflaters.push((new, Inflater::new(), String::new(), all.len()));
            }
            publish(&mut scene, "a", n, Visibility::ByTopic);
            all += &scene.take(plain);
            for (id, inflater, text, _) in &mut inflaters {
                let bytes = bytes(&mut scene, *id);
                if *id == first {
                    stream.extend_from_slice(&bytes);
                }
                *text += str::from_utf8(&inflater.read(&bytes)).expect("whole events");
            }
        }
        for (id, inflater, text, began) in &inflaters {
            assert_eq!(text, &all[*began..], "{id:?}");
            assert!(!inflater.is_done(), "the stream goes on");
        }
        assert!(stream.len() * 2 < all.len(), "{} of {}", stream.len(), all.len());
        stream
    };
    assert_eq!(run(false), run(true));
}

#[test]
fn events_that_are_far_apart_are_compressed_alone() {
    let mut scene = Scene::new();
    let id = scene.attach_as("a", gzip(Sharing::All));
    let mut sizes = Vec::new();
    for n in 0..5 {
        scene.pass(2_000);
        publish(&mut scene, "a", n, Visibility::ByTopic);
        sizes.push(bytes(&mut scene, id).len());
    }
    assert!(sizes.iter().all(|size| *size > 60), "{sizes:?}");
    assert_eq!(scene.shard.groups.len(), 1, "it needs no twin");
}

#[test]
fn nothing_refers_to_a_private_event_nor_it_to_anything() {
    use Visibility::{ByTopic, Private};
    let mut scene = Scene::new();
    let wanted = vec![Matcher::parse("a").expect("valid")];
    let id = scene.attach_as("a", |attach| {
        attach.interest = Interest::new(wanted.clone(), wanted.clone());
        gzip(Sharing::All)(attach);
    });
    let visibilities = [ByTopic, ByTopic, ByTopic, Private, ByTopic, ByTopic, Private, Private];
    let sizes = sizes(&mut scene, id, &visibilities.map(|visibility| ("a", visibility)));
    let are_alone: Vec<_> = sizes.iter().map(|size| *size > 60).collect();
    // The first two, as nobody knows that others follow; then each private one and the one after.
    assert_eq!(are_alone, [true, true, false, true, true, false, true, true], "{sizes:?}");
}

#[test]
fn events_on_other_topics_are_referred_to_only_where_all_are() {
    for (sharing, expected) in [
        (Sharing::Topic, [true, true, false, true, false, true, true]),
        (Sharing::All, [true, true, false, false, false, false, false]),
    ] {
        let mut scene = Scene::new();
        let id = scene.attach_as("*", gzip(sharing));
        let topics = ["a", "a", "a", "b", "b", "a", "b"];
        let sizes = sizes(&mut scene, id, &topics.map(|topic| (topic, Visibility::ByTopic)));
        let are_alone: Vec<_> = sizes.iter().map(|size| *size > 60).collect();
        assert_eq!(are_alone, expected, "{sharing:?} {sizes:?}");
    }
}

#[test]
fn without_memory_for_it_events_are_compressed_alone_and_quiet_groups_give_theirs_back() {
    let mut scene = Scene::with(|config| config.window_bytes_max = Deflater::BYTES);
    let ids = ["a", "b"].map(|topic| scene.attach_as(topic, gzip(Sharing::Topic)));
    let mut last = [0, 0];
    let mut publish_both = |scene: &mut Scene| {
        for n in 0..5 {
            for (place, topic) in ["a", "b"].into_iter().enumerate() {
                publish(scene, topic, n, Visibility::ByTopic);
                last[place] = bytes(scene, ids[place]).len();
            }
        }
        last.map(|size| size > 60)
    };
    assert_eq!(publish_both(&mut scene), [false, true], "the second has no window");
    scene.pass(5_000);
    assert!(scene.shard.groups.iter().all(|(_, group)| group.window.is_none()));
    assert_eq!(publish_both(&mut scene), [false, true]);
    for id in ids {
        scene.shard.handle_closed(id, CloseReason::PeerReset);
    }
    assert!(scene.shard.groups.is_empty() && scene.shard.rings_bytes() == 0);
}

#[test]
fn a_subscriber_that_is_cut_or_gets_a_notice_still_has_the_text_of_the_others() {
    let mut scene = Scene::new();
    let audience = crate::Audience(0);
    let plain = scene.attach("a");
    let slow = scene.attach_as("a", |attach| {
        attach.audience = Some(audience);
        gzip(Sharing::Topic)(attach);
    });
    let (mut inflater, mut text, mut all) = (Inflater::new(), Vec::new(), String::new());
    for n in 0..100 {
        if n % 9 == 4 {
            scene.room.insert(slow, n % 40);
        }
        if n % 9 == 7 {
            scene.room.remove(&slow);
            scene.shard.handle_writable(slow);
            scene.turn();
        }
        if n % 20 == 19 {
            let topic = Topic::new("a").expect("valid");
            let draft = Draft::new(topic, "notice");
            let notice = crate::Notice { draft, audience, tag: "n".into() };
            scene.shard.handle_notice(&Arc::new(notice));
            scene.turn();
        }
        publish(&mut scene, "a", n, Visibility::ByTopic);
        all += &scene.take(plain);
        text.extend_from_slice(&inflater.read(&bytes(&mut scene, slow)));
    }
    scene.room.remove(&slow);
    scene.shard.handle_writable(slow);
    scene.turn();
    text.extend_from_slice(&inflater.read(&bytes(&mut scene, slow)));
    let text = String::from_utf8(text).expect("UTF-8");
    let is_notice = |block: &&str| block.contains("data: notice");
    assert_eq!(text.split_inclusive("\n\n").filter(is_notice).count(), 5);
    let events: String = text.split_inclusive("\n\n").filter(|block| !is_notice(block)).collect();
    assert_eq!(events, all);
}
