//! Scenarios: one shard, a clock moved by hand, sinks with a set amount of room.

use std::collections::HashMap;
use std::time::Duration;

use crate::encoded_page::EncodedPage;
use crate::limits::CATCH_UP_READS_MAX;
use crate::timestamp::Timestamp;

use crate::{
    CloseReason, Coding, ControlStyle, Draft, EventForm, Framing, Kind, Log, Matcher, MemoryStore,
    ReadError, ReadQuery,
};

use super::*;

mod compressed;
mod ends;
mod half_closed;
mod half_sent;
mod notices;
mod owners;
mod terms;

/// A shard and everything that was written, by subscriber.
pub(super) struct Scene {
    /// A subscriber's owner is a number that no other one has.
    pub(super) shard: Shard<u64>,
    owners: HashMap<SubscriberId, u64>,
    now_ms: u64,
    store: MemoryStore,
    /// Bytes that a sink takes before it is full; no entry means no limit.
    pub(super) room: HashMap<SubscriberId, usize>,
    written: HashMap<SubscriberId, Vec<u8>>,
    /// Subscribers that were written to, in order.
    order: Vec<SubscriberId>,
    closed: Vec<Closing<u64>>,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ShardConfig)) -> Self {
        let mut config = ShardConfig {
            epoch: Epoch::parse("k7q2ma").expect("a valid epoch"),
            head: Mark::default(),
            heartbeat_ms: 15_000,
            connection_age_max_ms: None,
            ring_bytes_max: crate::limits::RING_BYTES_MAX,
            window_bytes_max: crate::limits::WINDOW_BYTES_MAX,
            seed: 7,
        };
        change(&mut config);
        Self {
            store: MemoryStore::new(config.epoch, usize::MAX, Duration::MAX),
            shard: Shard::new(config, 0),
            owners: HashMap::new(),
            now_ms: 0,
            room: HashMap::new(),
            written: HashMap::new(),
            order: Vec::new(),
            closed: Vec::new(),
        }
    }

    pub(super) fn attach(&mut self, topic: &str) -> SubscriberId {
        self.attach_as(topic, |_| {})
    }

    pub(super) fn attach_as(
        &mut self,
        topic: &str,
        change: impl FnOnce(&mut Attach),
    ) -> SubscriberId {
        let wanted = vec![Matcher::parse(topic).expect("a valid matcher")];
        let mut attach = Attach {
            audience: None,
            interest: Interest::new(wanted, Vec::new()),
            form: StreamForm {
                framing: Framing::Plain,
                control_style: ControlStyle::Native,
                event_form: EventForm::AsPublished,
                coding: Coding::Identity,
            },
            position: self.shard.head(),
            told: Position::ZERO,
            state: None,
            ended: Vec::new(),
            first: Vec::new(),
            began: Checksum::default(),
            expires_ms: None,
            term_ms: None,
        };
        change(&mut attach);
        let owner = self.owners.len() as u64;
        let id = self.shard.attach(attach, owner);
        assert_eq!(self.owners.insert(id, owner), None, "no id is given twice");
        id
    }

    pub(super) fn publish(&mut self, topic: &str, data: &str) {
        self.publish_as(topic, data, Kind::Event);
    }

    fn publish_as(&mut self, topic: &str, data: &str, kind: Kind) {
        let mut draft = Draft::new(Topic::new(topic).expect("a valid topic"), data);
        draft.kind = kind;
        self.append(draft);
        self.hand_in();
    }

    /// Puts an event into the log without handing it to the shard yet.
    fn append(&mut self, draft: Draft) {
        self.store.append(vec![draft], Timestamp::default()).expect("memory takes everything");
    }

    /// Hands everything in the log to the shard.
    fn hand_in(&mut self) {
        let after = self.shard.head();
        let upto = self.store.bounds().head;
        let everything = ReadQuery { after, upto, ..ReadQuery::everything() };
        let page = self.store.read(&everything).expect("nothing is dropped");
        let epoch = self.shard.config.epoch;
        let frames = page.records.into_iter().map(|record| Arc::new(Frame::encode(record, epoch)));
        self.shard.handle_frames(&FrameBatch {
            after,
            frames: frames.collect(),
            upto: upto.into(),
        });
    }

    /// Moves the clock, then writes, reads and closes until nothing is left.
    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        self.shard.handle_time(self.now_ms);
        self.turn();
    }

    pub(super) fn turn(&mut self) {
        loop {
            while let Some(Transmit { id, owner, bytes }) = self.shard.poll_write() {
                assert_eq!(*owner, self.owners[&id], "bytes for another owner");
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
                assert_eq!(closing.owner, self.owners[&closing.id], "the owner of another");
                self.closed.push(closing);
            }
            let Some(order) = self.shard.poll_read() else { break };
            let page = self.read(&order);
            self.shard.handle_page(order.id, Ok(page));
        }
    }

    /// The page that a store would give.
    fn read(&self, order: &ReadOrder) -> EncodedPage {
        let query = ReadQuery {
            after: order.after,
            upto: order.upto,
            told: order.told,
            interest: Some(&order.interest),
            records_max: order.records_max,
            ..ReadQuery::everything()
        };
        let mut page = self.store.read(&query).expect("nothing is dropped");
        // A store need not look whether there is more.
        if let Some(last) = page.records.last().filter(|_| page.records.len() == order.records_max)
        {
            page.reached = last.position();
        }
        let page = EncodedPage::encode(&page, order.form, self.shard.config.epoch);
        page.with_ended(&self.store, &order.interest, order.form, order.upto)
            .expect("memory can be read")
    }

    /// The text written to `id` since the last call.
    pub(super) fn take(&mut self, id: SubscriberId) -> String {
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
fn frames_that_come_while_others_are_written_go_out_in_one_write() {
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
fn live_events_and_the_prefaces_of_a_crowd_do_not_wait_for_each_other() {
    use crate::limits::OWN_WRITES_IN_A_ROW_MAX;
    let mut scene = Scene::new();
    let live: Vec<_> = (0..1000).map(|_| scene.attach("a")).collect();
    scene.turn();
    let greet = |attach: &mut Attach| attach.first = b": hi\n\n".to_vec();
    let crowd: Vec<_> = (0..1000).map(|_| scene.attach_as("b", greet)).collect();
    scene.publish("a", "x");
    scene.turn();
    let place = |id: SubscriberId| scene.order.iter().position(|at| *at == id).expect("written");
    let first_live = live.iter().map(|id| place(*id)).min();
    assert!(first_live <= Some(OWN_WRITES_IN_A_ROW_MAX), "{first_live:?}");
    let greeted = scene.order[..500].iter().filter(|id| crowd.contains(id)).count();
    assert!((200..=300).contains(&greeted), "half of the writes are the crowd's: {greeted}");
    assert_eq!(scene.order.len(), live.len() + crowd.len(), "each is written once");
}

#[test]
fn an_idle_subscriber_gets_a_heartbeat_with_the_newest_id() {
    let mut scene = Scene::new();
    let quiet = scene.attach("quiet");
    scene.publish("other", "x");
    scene.pass(13_000);
    assert_eq!(scene.take(quiet), "", "it is not due yet");
    scene.pass(4_000);
    assert_eq!(scene.take(quiet), "id: k7q2ma:1\n\n");
}

#[test]
fn a_subscriber_that_was_just_sent_an_event_needs_no_heartbeat() {
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
fn a_plain_heartbeat_is_a_comment() {
    let mut scene = Scene::new();
    let plain = scene.attach_as("a", |attach| {
        attach.form.control_style = ControlStyle::Comments;
        attach.form.framing = Framing::Chunked;
    });
    scene.pass(17_000);
    assert_eq!(scene.take(plain), "2\r\n:\n\r\n");
}

#[test]
fn a_grant_that_ends_ends_the_stream_between_two_events() {
    let mut scene = Scene::new();
    let id = scene.attach_as("a", |attach| {
        attach.expires_ms = Some(5_000);
        attach.form.framing = Framing::Chunked;
    });
    scene.pass(4_950);
    assert!(scene.closed.is_empty());
    scene.pass(200);
    let bytes = b"21\r\n: the subscriber's token expired\n\r\n".to_vec();
    let farewell = Some(Farewell { bytes, is_end: false });
    let [closing] = &scene.closed[..] else { panic!("one is closed") };
    assert_eq!((closing.id, closing.reason), (id, CloseReason::GrantExpired));
    assert_eq!(closing.farewell, farewell);
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
fn a_drain_is_spread_over_its_window_and_says_when_to_return() {
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
        let farewell = closing.farewell.as_ref().expect("it is between two events");
        let text = str::from_utf8(&farewell.bytes).expect("UTF-8");
        assert!(text.starts_with("event: tidings.open\nretry: ") && text.ends_with("\n\n"));
        assert!(!farewell.is_end, "a drained subscriber comes back");
    }
}

#[test]
fn a_sink_that_fills_up_in_the_middle_of_an_event_continues_from_there() {
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
fn an_overtaken_subscriber_continues_from_the_log_to_the_byte() {
    let mut scene = Scene::new();
    let (slow, fast) = (scene.attach("a"), scene.attach("a"));
    scene.room.insert(slow, 1000);
    let large = "x".repeat(100_000);
    for _ in 0..30 {
        scene.publish("a", &large);
        scene.turn();
    }
    assert!(scene.shard.rings_bytes() <= GROUP_BYTES_MAX, "the ring keeps its bound");
    let mut received = scene.take(slow);
    assert_eq!(received.len(), 1000);
    scene.room.remove(&slow);
    scene.shard.handle_writable(slow);
    scene.turn();
    received.push_str(&scene.take(slow));
    assert!(received == scene.take(fast), "the slow one has what the fast one has");
    assert_eq!(scene.shard.rings_bytes(), 0, "all subscribers have everything");
}

#[test]
fn bytes_kept_for_a_stalled_member_hold_up_no_other() {
    let mut scene = Scene::new();
    let (stalled, live) = (scene.attach("a"), scene.attach("a"));
    scene.room.insert(stalled, 0);
    let large = "x".repeat(100_000);
    for _ in 0..30 {
        scene.publish("a", &large);
        assert!(!scene.shard.is_backlogged(), "live members have everything but the last frame");
        scene.turn();
    }
    assert!(
        scene.shard.rings_bytes() > GROUP_BYTES_MAX / 2,
        "the ring is kept for the stalled member"
    );
    assert_eq!(scene.take(live).matches("data: x").count(), 30);
}

#[test]
fn a_shard_knows_that_frames_have_come_for_the_group_it_is_writing_to() {
    let mut scene = Scene::new();
    scene.attach("a");
    scene.attach("a");
    scene.turn();
    let write_one = |scene: &mut Scene| {
        let bytes = scene.shard.poll_write().expect("there is something to write").bytes.len();
        scene.shard.handle_written(bytes);
    };
    scene.publish("a", "1");
    write_one(&mut scene);
    assert!(!scene.shard.has_newer_frames(), "nothing has come since the walk began");
    scene.publish("a", "2");
    assert!(
        scene.shard.has_newer_frames(),
        "the one has to be written to again, the other gets both"
    );
    scene.turn();
    assert!(!scene.shard.has_newer_frames(), "all subscribers have everything");
}

#[test]
fn the_rings_of_many_slow_groups_keep_their_bound_together() {
    const BOUND: usize = 40_000;
    let mut scene = Scene::with(|config| config.ring_bytes_max = BOUND);
    let topics: Vec<_> = (0..10).map(|number| format!("topic-{number}")).collect();
    let slow: Vec<_> = topics.iter().map(|topic| scene.attach(topic)).collect();
    for id in &slow {
        scene.room.insert(*id, 100);
    }
    let data = "x".repeat(1000);
    for _ in 0..100 {
        for topic in &topics {
            scene.publish(topic, &data);
            scene.turn();
        }
    }
    // The newest frame of each is kept whatever happens.
    let newest = topics.len() * (data.len() + 100);
    assert!(scene.shard.rings_bytes() <= 2 * BOUND + newest, "{}", scene.shard.rings_bytes());
    for id in slow {
        scene.room.remove(&id);
        scene.shard.handle_writable(id);
        scene.turn();
        assert_eq!(scene.take(id).matches("data: ").count(), 100, "nothing is lost");
    }
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
        let page = scene.read(&order);
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
fn a_first_page_does_not_wait_for_the_long_pages_of_others() {
    let mut scene = Scene::new();
    for n in 0..100 {
        scene.publish("a", &n.to_string());
    }
    let from_the_start = |attach: &mut Attach| attach.position = Position::ZERO;
    for _ in 0..2 * CATCH_UP_READS_MAX {
        scene.attach_as("a", from_the_start);
    }
    let mut further = Vec::new();
    while further.len() < CATCH_UP_READS_MAX {
        let order = scene.shard.poll_read().expect("one subscriber is behind");
        if !order.is_first {
            further.push(order);
            continue;
        }
        let page = scene.read(&order);
        scene.shard.handle_page(order.id, Ok(page));
        while let Some(Transmit { bytes, .. }) = scene.shard.poll_write() {
            let taken = bytes.len();
            scene.shard.handle_written(taken);
        }
    }
    assert!(scene.shard.poll_read().is_none(), "no more long pages at a time");
    let new = scene.attach_as("a", from_the_start);
    let order =
        scene.shard.poll_read().expect("the first page of a new subscriber is read at once");
    assert_eq!((order.id, order.is_first), (new, true));
}

#[test]
fn a_loss_to_retention_is_announced_between_two_events() {
    let mut scene = Scene::new();
    scene.publish("a", "1");
    scene.publish("a", "2");
    let id = scene.attach_as("a", |attach| attach.position = Position::ZERO);
    let order = scene.shard.poll_read().expect("it is behind");
    let (first, lost) = (Position::new(2), Position::new(1));
    scene.shard.handle_page(order.id, Err(ReadError::Expired { first, lost }));
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
    scene.shard.handle_gap(Position::new(5).into());
    scene.shard.handle_writable(id);
    let order = scene.shard.poll_read().expect("it must read the log");
    let (first, lost) = (Position::new(6), Position::new(5));
    scene.shard.handle_page(order.id, Err(ReadError::Expired { first, lost }));
    scene.turn();
    let [closing] = &scene.closed[..] else { panic!("one is closed") };
    assert_eq!((closing.id, closing.reason), (id, CloseReason::Overtaken));
    assert_eq!(closing.farewell, None);
}

#[test]
fn a_store_that_cannot_be_read_closes_only_the_subscribers_that_need_it() {
    let mut scene = Scene::new();
    scene.publish("a", "1");
    let behind = scene.attach_as("a", |attach| attach.position = Position::ZERO);
    let live = scene.attach("a");
    let order = scene.shard.poll_read().expect("one is behind");
    let source = Arc::new(std::fmt::Error);
    scene.shard.handle_page(order.id, Err(ReadError::Damaged { source }));
    scene.publish("a", "2");
    scene.turn();
    let closed: Vec<_> = scene.closed.iter().map(|closing| (closing.id, closing.reason)).collect();
    assert_eq!(closed, [(behind, CloseReason::StoreFailed)]);
    assert_eq!(scene.take(live), "id: k7q2ma:2\ndata: 2\n\n");
}

#[test]
fn a_subscriber_that_starts_ahead_of_the_shard_gets_nothing_twice() {
    let mut scene = Scene::new();
    let ahead = scene.attach_as("a", |attach| attach.position = Position::new(2));
    for data in ["1", "2", "3"] {
        scene.publish("a", data);
        scene.turn();
    }
    assert_eq!(scene.take(ahead), "id: k7q2ma:3\ndata: 3\n\n");
}

#[test]
fn a_subscriber_is_as_small_as_the_design_says() {
    assert!(size_of::<Subscriber>() <= 72, "{} bytes", size_of::<Subscriber>());
}
