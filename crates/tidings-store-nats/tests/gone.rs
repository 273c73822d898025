//! The stream of hubs on real servers is deleted while they follow it, and comes back: whole, with
//! its end missing, as an empty stream, or as another log.
#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stderr)]
#![allow(dead_code, reason = "the world has more than is needed here")]

mod world;

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use tidings_hub::{
    AppendError, EventId, Interest, Log, Outcome, ReadQuery, ResetReason, ResolveError, Start,
};
use tidings_store_nats::NatsJournal;
use tidings_store_shared::{
    Block, Halt, Journal as _, JournalError, OpenError, Seq, SharedConfig, SharedStore,
};
use tidings_testkit::store_suite::{at, draft};
use tidings_testkit::test_folder::TestFolder;

use world::{Cluster, eventually};

const STREAM: &str = "gone";

struct World {
    cluster: Cluster,
    folder: TestFolder,
}

impl World {
    /// `None` if there are no servers.
    fn new() -> Option<Self> {
        let cluster = Cluster::start()?;
        drop(cluster.journal(STREAM));
        Some(Self { cluster, folder: TestFolder::new("nats-gone") })
    }

    fn journal(&self) -> NatsJournal {
        let journal = NatsJournal::connect(&self.cluster.client(STREAM)).unwrap();
        assert!(journal.is_connected_within(Duration::from_secs(30)));
        journal
    }

    /// A hub that follows the stream by itself, and may create it.
    fn hub(&self, name: &str) -> SharedStore {
        self.try_hub(name).unwrap()
    }

    /// Two hubs on the same stream.
    fn hubs(&self) -> (SharedStore, SharedStore) {
        (self.hub("one"), self.hub("two"))
    }

    /// Publishes "1" at the first hub and "2" at the other; the id of the first event, and the log.
    fn begin(&self, one: &SharedStore, two: &SharedStore) -> (String, Vec<Bytes>) {
        let first = publish(one, "1", None);
        publish(two, "2", None);
        eventually(|| all(one).len() == 2);
        (first, self.blocks())
    }

    fn try_hub(&self, name: &str) -> Result<SharedStore, OpenError> {
        let config = SharedConfig {
            create: true,
            append_patience: Duration::from_secs(2),
            bell_patience: Duration::from_millis(100),
            ..SharedConfig::new(self.folder.join(name))
        };
        let store = SharedStore::open(config, Box::new(self.journal()))?;
        Ok(store.following(Box::new(self.journal()), Box::new(self.journal())).unwrap())
    }

    /// Starts a hub again that has ended because its log is no more.
    fn again(&self, name: &str, hub: SharedStore) -> SharedStore {
        eventually(|| hub.halt().is_some());
        assert!(matches!(hub.halt(), Some(Halt::Forked { .. } | Halt::Renamed { .. })));
        drop(hub);
        let mut opened = None;
        // The servers may still be choosing a leader.
        eventually(|| {
            opened = self.try_hub(name).ok();
            opened.is_some()
        });
        opened.unwrap()
    }

    /// Every block of the stream.
    fn blocks(&self) -> Vec<Bytes> {
        let (mut journal, mut blocks) = (self.journal(), Vec::new());
        loop {
            let page = journal.read(Seq::new(blocks.len() as u64), 1 << 20).unwrap();
            if page.is_empty() {
                return blocks;
            }
            blocks.extend(page.into_iter().map(|(_, block)| block));
        }
    }

    fn delete(&self) {
        self.cluster.ask(&format!("STREAM.DELETE.{STREAM}"), "");
        let mut journal = self.journal();
        eventually(|| matches!(journal.bounds(), Ok(None)));
    }

    /// Makes an empty stream, as an operator does.
    fn make(&self) {
        let body = format!(
            "{{\"name\":\"{STREAM}\",\"subjects\":[\"tidings.log.{STREAM}\"],\"storage\":\"file\",\
             \"num_replicas\":3,\"retention\":\"limits\",\"max_msgs\":-1,\"max_bytes\":-1,\
             \"max_age\":0,\"allow_direct\":true}}"
        );
        let mut journal = self.journal();
        eventually(|| {
            self.cluster.ask(&format!("STREAM.CREATE.{STREAM}"), &body);
            matches!(journal.bounds(), Ok(Some(_)))
        });
    }

    /// Makes the stream again, with these blocks in their old places, as a backup does.
    fn put_back(&self, blocks: &[Bytes]) {
        self.make();
        let mut journal = self.journal();
        for (after, block) in (0..).zip(blocks) {
            let nonce = Block::decode(block).unwrap().nonce;
            eventually(|| {
                let patience = Duration::from_secs(2);
                journal.append(Seq::new(after), nonce, block, patience).is_ok()
            });
        }
    }
}

/// Publishes an event, and returns its id.
fn publish(hub: &SharedStore, data: &str, id: Option<&str>) -> String {
    let mut event = draft("t", data);
    event.id = id.map(|id| EventId::new(id).unwrap());
    event.once = id.is_some();
    let mut stored = None;
    eventually(|| {
        stored = hub.append(vec![event.clone()], at(1)).ok();
        stored.is_some()
    });
    stored.unwrap().remove(0).id.to_string()
}

fn all(hub: &SharedStore) -> Vec<String> {
    let page = hub.read(&ReadQuery { upto: hub.bounds().head, ..ReadQuery::everything() });
    page.unwrap().records.iter().map(|record| record.data.to_string()).collect()
}

/// Where a subscriber with `id` continues at `hub`, and whether it is given a reset.
fn resume(hub: &SharedStore, id: &str) -> (u64, Option<ResetReason>) {
    let mut resolved = None;
    eventually(|| {
        match Start::After(id.to_owned()).resolve(hub, &Interest::everything()) {
            Ok(found) => resolved = Some(found),
            // As the engine does: it waits, and asks for a proof.
            Err(ResolveError::NotYet { otherwise, .. } | ResolveError::Unproved { otherwise }) => {
                resolved = hub.shared().unwrap().prove_head().ok().map(|_| otherwise);
            }
            Err(ResolveError::Read(_)) => {}
        }
        resolved.is_some()
    });
    let resolved = resolved.unwrap();
    let reason = match resolved.outcome {
        Outcome::Reset { reason, .. } => Some(reason),
        _ => None,
    };
    (resolved.position.get(), reason)
}

/// Publishes in vain, and returns what the hub says of it.
fn refusal(hub: &SharedStore) -> JournalError {
    let mut said = None;
    eventually(|| {
        let error = hub.append(vec![draft("t", "in vain")], at(1)).unwrap_err();
        let AppendError::Away { source, .. } = &error else { return false };
        said = source.source().and_then(|it| it.downcast_ref::<JournalError>()).cloned();
        matches!(said, Some(JournalError::Missing | JournalError::Emptied))
    });
    said.unwrap()
}

#[test]
fn a_stream_that_is_gone_is_made_by_no_hub_and_goes_on_where_it_was_once_it_is_back() {
    let Some(world) = World::new() else { return };
    let (one, two) = world.hubs();
    let (first, blocks) = world.begin(&one, &two);

    world.delete();
    for hub in [&one, &two] {
        assert!(matches!(refusal(hub), JournalError::Missing));
        assert_eq!(all(hub), ["1", "2"], "readers stay");
        assert_eq!(resume(hub, &first), (1, None));
    }
    let health = one.health();
    assert!(health.away.is_some() && health.failure.is_some(), "{health:?}");
    // Nor by one that is started then, although it may create a stream; nor one without its cache.
    drop(two);
    let two = world.hub("two");
    assert_eq!(all(&two), ["1", "2"]);
    drop(two);
    std::fs::remove_dir_all(world.folder.join("two").join("log")).unwrap();
    assert!(matches!(world.try_hub("two"), Err(OpenError::LogGone)));
    assert!(matches!(world.journal().bounds(), Ok(None)));

    world.put_back(&blocks);
    assert_ne!(publish(&one, "3", None), "");
    let two = world.hub("two");
    assert_eq!(publish(&two, "4", None), publish_id(&two, 4));
    eventually(|| all(&one) == ["1", "2", "3", "4"]);
    assert_eq!(one.halt(), None);
    assert_eq!(resume(&two, &first), (1, None));
}

/// The id that the event at `position` has.
fn publish_id(hub: &SharedStore, position: u64) -> String {
    let query = ReadQuery::one(tidings_hub::Position::new(position));
    let page = hub.read(&query).unwrap();
    page.records[0].event_id(hub.identity().epoch).to_string()
}

#[test]
fn an_empty_stream_in_the_place_of_the_log_stays_empty_and_takes_nothing() {
    let Some(world) = World::new() else { return };
    let (one, two) = world.hubs();
    let (first, blocks) = world.begin(&one, &two);

    world.delete();
    world.make();
    for hub in [&one, &two] {
        assert!(matches!(refusal(hub), JournalError::Emptied));
        assert_eq!((all(hub), hub.halt()), (vec!["1".to_owned(), "2".to_owned()], None));
    }
    drop(two);
    let two = world.hub("two");
    assert!(matches!(refusal(&two), JournalError::Emptied));
    assert_eq!(world.journal().bounds().unwrap().unwrap().last, Seq::ZERO);

    // The operator finds the backup after all.
    world.delete();
    world.put_back(&blocks);
    publish(&one, "3", None);
    eventually(|| all(&two) == ["1", "2", "3"]);
    assert_eq!((one.halt(), two.halt()), (None, None));
    assert_eq!(resume(&two, &first), (1, None));
}

#[test]
fn what_is_missing_in_a_stream_that_was_put_back_is_told_to_those_that_had_it() {
    let Some(world) = World::new() else { return };
    let (one, two) = world.hubs();
    let kept = [publish(&one, "1", None), publish(&two, "2", Some("kept"))];
    eventually(|| all(&one).len() == 2);
    let blocks = world.blocks();
    let lost = [publish(&one, "3", None), publish(&one, "4", Some("lost"))];
    eventually(|| all(&two).len() == 4);

    world.delete();
    assert!(matches!(refusal(&one), JournalError::Missing));
    world.put_back(&blocks);
    let (one, two) = (world.again("one", one), world.again("two", two));
    publish(&one, "5", None);
    // Its publisher repeats what it knows is lost.
    publish(&two, "4", Some("lost"));
    eventually(|| all(&one) == ["1", "2", "5", "4"] && all(&two) == all(&one));
    for hub in [&one, &two] {
        assert_eq!(resume(hub, &kept[0]), (1, None));
        assert_eq!(resume(hub, &kept[1]), (2, None));
        for id in &lost {
            assert_eq!(resume(hub, id), (2, Some(ResetReason::Replaced)), "{id}");
        }
    }
}

#[test]
fn another_log_in_the_place_of_the_one_that_is_lost_is_told_to_every_subscriber() {
    let Some(world) = World::new() else { return };
    let (one, two) = world.hubs();
    let before = [publish(&one, "1", None), publish(&two, "2", Some("again"))];
    eventually(|| all(&one).len() == 2 && all(&two).len() == 2);

    world.delete();
    assert!(matches!(refusal(&one), JournalError::Missing));
    // A hub without a folder may create it: the operator asks for that.
    let new = world.hub("new");
    let first = publish(&new, "new 1", None);
    let (one, two) = (world.again("one", one), world.again("two", two));
    publish(&new, "2", Some("again"));
    let last = publish(&one, "new 3", None);
    eventually(|| [&new, &one, &two].iter().all(|hub| all(hub) == ["new 1", "2", "new 3"]));
    for hub in [&new, &one, &two] {
        // Also the one whose id is there again: the event before it is another one.
        for id in &before {
            let (position, reason) = resume(hub, id);
            assert!(position == 0 && reason.is_some(), "{id}: {position}, {reason:?}");
        }
        assert_eq!(resume(hub, &first), (1, None));
        assert_eq!(resume(hub, &last), (3, None));
    }
}
