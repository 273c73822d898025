//! Scenarios: one shard, a clock moved by hand, sinks that take what they are told to.

use std::collections::HashMap;

use crate::subscriber::EncodedPage;
use crate::timestamp::Timestamp;
use crate::{Draft, Kind, Matcher, Page, ReadError, Record};

use super::*;

/// A shard and everything that was written, by subscriber.
struct Scene {
    shard: Shard,
    now_ms: u64,
    log: Vec<Arc<Record>>,
    /// Bytes a sink takes before it is full; absent is no limit.
    room: HashMap<SubscriberId, usize>,
    written: HashMap<SubscriberId, Vec<u8>>,
    /// Who was written to, in order.
    order: Vec<SubscriberId>,
    closed: Vec<Closing>,
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ShardConfig)) -> Self {
        let mut config = ShardConfig {
            epoch: Epoch::parse("k7q2ma").expect("a valid epoch"),
            head: Position::ZERO,
            heartbeat_ms: 15_000,
            connection_age_max_ms: None,
            seed: 7,
        };
        change(&mut config);
        Self {
            shard: Shard::new(config, 0),
            now_ms: 0,
            log: Vec::new(),
            room: HashMap::new(),
            written: HashMap::new(),
            order: Vec::new(),
            closed: Vec::new(),
        }
    }

    fn attach(&mut self, topic: &str) -> SubscriberId {
        self.attach_as(topic, |_| {})
    }

    fn attach_as(&mut self, topic: &str, change: impl FnOnce(&mut Attach)) -> SubscriberId {
        let wanted = vec![Matcher::parse(topic).expect("a valid matcher")];
        let mut attach = Attach {
            interest: Interest::new(wanted, Vec::new()),
            framing: Framing::Plain,
            voice: Voice::Native,
            position: self.shard.head(),
            ended: Vec::new(),
            first: Vec::new(),
            expires_ms: None,
        };
        change(&mut attach);
        self.shard.attach(attach)
    }

    fn publish(&mut self, topic: &str, data: &str) {
        self.publish_as(topic, data, Kind::Event);
    }

    fn publish_as(&mut self, topic: &str, data: &str, kind: Kind) {
        let mut draft = Draft::new(Topic::new(topic).expect("a valid topic"), data);
        draft.kind = kind;
        let after = self.shard.head();
        let record = Arc::new(Record::new(draft, after.next(), Timestamp::default()));
        self.log.push(Arc::clone(&record));
        let frame = Arc::new(Frame::encode(record, self.shard.config.epoch));
        self.shard.handle_frames(&FrameBatch { after, frames: vec![frame], upto: after.next() });
    }

    /// Moves the clock, then writes, reads and closes until nothing is left.
    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        self.shard.handle_time(self.now_ms);
        self.turn();
    }

    fn turn(&mut self) {
        loop {
            while let Some(Transmit { id, bytes }) = self.shard.poll_write() {
                let room = self.room.get_mut(&id);
                let taken = room.as_ref().map_or(bytes.len(), |room| bytes.len().min(**room));
                if let Some(room) = room {
                    *room -= taken;
                }
                self.written.entry(id).or_default().extend_from_slice(&bytes[..taken]);
                self.order.push(id);
                self.shard.handle_written(taken);
            }
            while let Some(closing) = self.shard.poll_close() {
                self.closed.push(closing);
            }
            let Some(order) = self.shard.poll_read() else { break };
            let from = order.after.get() as usize;
            let records = self.log[from..order.upto.get() as usize].iter();
            let records = records.filter(|record| order.interest.admits(record)).cloned();
            let page = Page { records: records.collect(), reached: order.upto };
            let page = EncodedPage::encode(&page, order.framing, self.shard.config.epoch);
            self.shard.handle_page(order.id, Ok(page));
        }
    }

    /// What was written to `id` since the last look.
    fn take(&mut self, id: SubscriberId) -> String {
        String::from_utf8(self.written.remove(&id).unwrap_or_default()).expect("UTF-8")
    }
}

#[test]
fn an_event_reaches_its_subscribers_and_nobody_else() {
    let mut scene = Scene::new();
    let (a, b, all) = (scene.attach("a"), scene.attach("b"), scene.attach("**"));
    scene.publish("a", "1");
    scene.turn();
    let event = "id: k7q2ma:1\ndata: 1\n\n";
    assert_eq!([scene.take(a), scene.take(b), scene.take(all)], [event, "", event]);
}

#[test]
fn what_comes_while_others_are_written_goes_out_in_one_write() {
    let mut scene = Scene::new();
    let a = scene.attach("a");
    scene.publish("a", "1");
    scene.publish("a", "2");
    scene.turn();
    assert_eq!(scene.order, [a], "one write");
    assert_eq!(scene.take(a), "id: k7q2ma:1\ndata: 1\n\nid: k7q2ma:2\ndata: 2\n\n");
}

#[test]
fn a_small_group_need_not_wait_for_a_large_one() {
    let mut scene = Scene::new();
    let large: Vec<_> = (0..1000).map(|_| scene.attach("large")).collect();
    let small = scene.attach("small");
    scene.publish("large", "x");
    scene.publish("small", "x");
    scene.turn();
    assert_eq!(scene.order.len(), large.len() + 1);
    let place = scene.order.iter().position(|id| *id == small).expect("it was written");
    assert!(place <= crate::limits::WALK_SLICE, "it was number {place}");
}

#[test]
fn silence_is_broken_after_a_heartbeat_by_an_id_that_moved_on() {
    let mut scene = Scene::new();
    let quiet = scene.attach("quiet");
    scene.publish("other", "x");
    scene.pass(13_000);
    assert_eq!(scene.take(quiet), "", "it is not due yet");
    scene.pass(4_000);
    assert_eq!(scene.take(quiet), "id: k7q2ma:1\n\n");
}

#[test]
fn who_was_just_sent_something_needs_no_heartbeat() {
    let mut scene = Scene::new();
    let busy = scene.attach("busy");
    for _ in 0..20 {
        scene.pass(10_000);
        scene.publish("busy", "x");
        scene.turn();
    }
    let text = scene.take(busy);
    assert_eq!(text.matches("data: x").count(), 20);
    assert_eq!(text.matches("id: ").count(), 20, "no id but those of events: {text}");
}

#[test]
fn a_plain_voice_beats_with_a_comment() {
    let mut scene = Scene::new();
    let plain = scene.attach_as("a", |attach| {
        attach.voice = Voice::Plain;
        attach.framing = Framing::Chunked;
    });
    scene.pass(17_000);
    assert_eq!(scene.take(plain), "2\r\n:\n\r\n");
}

#[test]
fn a_grant_that_ends_ends_the_stream_between_two_events() {
    let mut scene = Scene::new();
    let id = scene.attach_as("a", |attach| {
        attach.expires_ms = Some(5_000);
        attach.framing = Framing::Chunked;
    });
    scene.pass(4_900);
    assert!(scene.closed.is_empty());
    scene.pass(200);
    let farewell = Some(b"0\r\n\r\n".to_vec());
    assert_eq!(scene.closed, [Closing { id, reason: CloseReason::GrantExpired, farewell }]);
    assert!(scene.shard.is_empty());
}

#[test]
fn connections_are_rotated_at_their_age_and_not_all_at_once() {
    let mut scene = Scene::with(|config| config.connection_age_max_ms = Some(100_000));
    for _ in 0..100 {
        scene.attach("a");
    }
    scene.pass(89_000);
    assert!(scene.closed.is_empty());
    scene.pass(11_000);
    assert!((10..90).contains(&scene.closed.len()), "{} so far", scene.closed.len());
    scene.pass(11_000);
    assert_eq!(scene.closed.len(), 100);
    assert!(scene.closed.iter().all(|closing| closing.reason == CloseReason::AgeReached));
}

#[test]
fn a_drain_is_spread_over_its_window_and_tells_when_to_return() {
    let mut scene = Scene::new();
    for _ in 0..100 {
        scene.attach("a");
    }
    scene.shard.drain(10_000);
    scene.pass(5_000);
    assert!((20..80).contains(&scene.closed.len()), "{} after half of it", scene.closed.len());
    scene.pass(5_200);
    assert_eq!(scene.closed.len(), 100);
    for closing in &scene.closed {
        let farewell = closing.farewell.as_deref().expect("nobody is in the middle of an event");
        assert!(farewell.starts_with(b"retry: "), "{:?}", farewell.escape_ascii().to_string());
    }
}

#[test]
fn a_sink_that_is_full_in_the_middle_of_an_event_goes_on_in_the_middle() {
    let mut scene = Scene::new();
    let id = scene.attach("a");
    scene.room.insert(id, 10);
    scene.publish("a", "0123456789");
    scene.turn();
    scene.publish("a", "next");
    scene.turn();
    assert_eq!(scene.take(id), "id: k7q2ma", "nothing is offered to a full sink");
    scene.room.remove(&id);
    scene.shard.handle_writable(id);
    scene.turn();
    assert_eq!(scene.take(id), ":1\ndata: 0123456789\n\nid: k7q2ma:2\ndata: next\n\n");
}

#[test]
fn who_is_overtaken_by_its_ring_goes_on_from_the_log_to_the_byte() {
    let mut scene = Scene::new();
    let (slow, fast) = (scene.attach("a"), scene.attach("a"));
    scene.room.insert(slow, 1000);
    let large = "x".repeat(100_000);
    for _ in 0..30 {
        scene.publish("a", &large);
        scene.turn();
    }
    assert!(scene.shard.rings_bytes() <= RING_BYTES_MAX, "the ring keeps its bound");
    let mut received = scene.take(slow);
    assert_eq!(received.len(), 1000);
    scene.room.remove(&slow);
    scene.shard.handle_writable(slow);
    scene.turn();
    received.push_str(&scene.take(slow));
    assert!(received == scene.take(fast), "the slow one has what the fast one has");
    assert_eq!(scene.shard.rings_bytes(), 0, "everybody has everything");
}

#[test]
fn the_first_page_of_history_is_short_and_later_ones_grow() {
    let mut scene = Scene::new();
    for n in 0..5000 {
        scene.publish("a", &n.to_string());
    }
    let id = scene.attach_as("a", |attach| attach.position = Position::ZERO);
    let mut sizes = Vec::new();
    while let Some(order) = scene.shard.poll_read() {
        sizes.push(order.records_max);
        let from = order.after.get() as usize;
        let records = scene.log[from..].iter().take(order.records_max).cloned().collect::<Vec<_>>();
        let reached = records.last().expect("there is more").position();
        let page = EncodedPage::encode(
            &Page { records, reached },
            order.framing,
            scene.shard.config.epoch,
        );
        scene.shard.handle_page(order.id, Ok(page));
        while let Some(Transmit { bytes, .. }) = scene.shard.poll_write() {
            let taken = bytes.len();
            scene.shard.handle_written(taken);
        }
    }
    assert_eq!(sizes, [1, 8, 64, 512, 4096, 4096]);
    assert_eq!(scene.shard.get(id).map(|subscriber| subscriber.pages), Some(0), "it is live");
}

#[test]
fn what_retention_dropped_is_told_between_two_events() {
    let mut scene = Scene::new();
    scene.publish("a", "1");
    scene.publish("a", "2");
    let id = scene.attach_as("a", |attach| attach.position = Position::ZERO);
    let order = scene.shard.poll_read().expect("it is behind");
    let first = Position::new(2);
    scene.shard.handle_page(order.id, Err(ReadError::Expired { first }));
    scene.turn();
    let reset = "event: tidings.reset\nid: k7q2ma:1\ndata: {\"reason\":\"expired\",\
                 \"requested\":\"k7q2ma:0\",\"first\":\"k7q2ma:2\"}\n\n";
    assert_eq!(scene.take(id), format!("{reset}id: k7q2ma:2\ndata: 2\n\n"));
}

#[test]
fn an_event_cut_in_two_by_retention_breaks_the_connection() {
    let mut scene = Scene::new();
    let id = scene.attach("a");
    scene.room.insert(id, 10);
    scene.publish("a", "1");
    scene.turn();
    scene.shard.handle_gap(Position::new(5));
    scene.shard.handle_writable(id);
    let order = scene.shard.poll_read().expect("it must read the log");
    let first = Position::new(6);
    scene.shard.handle_page(order.id, Err(ReadError::Expired { first }));
    scene.turn();
    let overtaken = Closing { id, reason: CloseReason::Overtaken, farewell: None };
    assert_eq!(scene.closed, [overtaken]);
}

#[test]
fn a_store_that_cannot_be_read_closes_who_needs_it_and_nobody_else() {
    let mut scene = Scene::new();
    scene.publish("a", "1");
    let behind = scene.attach_as("a", |attach| attach.position = Position::ZERO);
    let live = scene.attach("a");
    let order = scene.shard.poll_read().expect("one is behind");
    let reason = "the disk is gone".to_owned();
    scene.shard.handle_page(order.id, Err(ReadError::Failed { reason }));
    scene.publish("a", "2");
    scene.turn();
    let closed: Vec<_> = scene.closed.iter().map(|closing| (closing.id, closing.reason)).collect();
    assert_eq!(closed, [(behind, CloseReason::StoreFailed)]);
    assert_eq!(scene.take(live), "id: k7q2ma:2\ndata: 2\n\n");
}

#[test]
fn an_ended_topic_closes_those_who_want_nothing_else() {
    let mut scene = Scene::new();
    let (only, both) = (scene.attach("job"), scene.attach("**"));
    scene.publish_as("job", "done", Kind::End);
    scene.turn();
    assert_eq!(scene.closed.len(), 1);
    assert_eq!((scene.closed[0].id, scene.closed[0].reason), (only, CloseReason::TopicEnded));
    assert_eq!(scene.take(only), scene.take(both), "both were told");
}

#[test]
fn who_starts_ahead_of_the_shard_gets_nothing_twice() {
    let mut scene = Scene::new();
    let ahead = scene.attach_as("a", |attach| attach.position = Position::new(2));
    for data in ["1", "2", "3"] {
        scene.publish("a", data);
        scene.turn();
    }
    assert_eq!(scene.take(ahead), "id: k7q2ma:3\ndata: 3\n\n");
}

#[test]
fn an_old_id_finds_nobody() {
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
fn a_subscriber_is_as_small_as_the_design_says() {
    assert!(size_of::<Subscriber>() <= 72, "{} bytes", size_of::<Subscriber>());
}
