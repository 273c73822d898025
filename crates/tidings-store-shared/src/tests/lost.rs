//! Ids of publishers that the log lost with its end, and how long that is remembered.

use std::time::Duration;

use tidings_hub::{
    Draft, EventId, Interest, Log as _, Matcher, Outcome, Position, ResetReason, ResolveError,
    SharedLog as _, Start, Timestamp, Topic,
};
use tidings_store_disk::DiskConfig;

use super::memory_journal::MemoryJournal;
use crate::test_folder::TestFolder;
use crate::{SharedConfig, SharedStore};

const SECOND: u64 = 1_000;

struct World {
    folder: TestFolder,
    journal: MemoryJournal,
}

impl World {
    /// Opens a hub that keeps events for 1,000 seconds.
    fn open(&self, hub: usize) -> SharedStore {
        let cache = DiskConfig {
            retention_age: Duration::from_secs(1_000),
            segment_bytes: Some(2 << 10),
            recent_bytes_max: 1 << 10,
            ..DiskConfig::new("")
        };
        let config = SharedConfig {
            cache,
            create: true,
            trim_interval: Duration::ZERO,
            append_patience: Duration::ZERO,
            ..SharedConfig::new(self.folder.path().join(hub.to_string()))
        };
        SharedStore::open(config, Box::new(self.journal.clone())).unwrap()
    }
}

fn publish(hub: &SharedStore, id: Option<&str>, time: u64) -> Position {
    let draft = Draft {
        id: id.map(|id| EventId::new(id).unwrap()),
        ..Draft::new(Topic::new("t").unwrap(), "x".repeat(200))
    };
    hub.append(vec![draft], Timestamp::from_millis(time)).unwrap()[0].position
}

fn publish_some(hub: &SharedStore, count: usize, time: u64) {
    for _ in 0..count {
        publish(hub, None, time);
    }
}

fn resume(hub: &SharedStore, id: &str) -> Outcome {
    let topics = vec![Matcher::All];
    match Start::After(id.to_owned()).resolve(hub, &Interest::new(topics.clone(), topics)) {
        Ok(resolved) => resolved.outcome,
        Err(ResolveError::Unproved { otherwise }) => otherwise.outcome,
        Err(error) => panic!("{error:?}"),
    }
}

fn retain(hub: &SharedStore, time: u64) {
    hub.retain(Timestamp::from_millis(time)).unwrap();
    hub.wait_for_background();
    hub.retain(Timestamp::from_millis(time)).unwrap();
}

#[test]
fn a_lost_id_whose_event_was_published_again_is_remembered_as_long_as_that_is_there() {
    let world = World { folder: TestFolder::new(), journal: MemoryJournal::default() };
    let hub = world.open(0);
    publish_some(&hub, 3, 0);
    let kept = world.journal.len();
    for id in ["again", "never"] {
        publish(&hub, Some(id), 0);
    }
    world.journal.lose_after(kept);
    hub.follow(&mut world.journal.clone());
    assert!(hub.halt().is_some());
    drop(hub);
    let hub = world.open(0);
    let fork = Position::new(3);
    assert_eq!(hub.bounds().head, fork);
    let is_reset = |hub: &SharedStore, id: &str, reason: ResetReason| {
        let requested = id.to_owned();
        assert_eq!(resume(hub, id), Outcome::Reset { reason, requested }, "{id}");
    };
    // Those that a reader with the lost event has not seen, and the event once more.
    publish_some(&hub, 50, SECOND);
    let again = publish(&hub, Some("again"), 900 * SECOND);
    publish_some(&hub, 50, 900 * SECOND);
    retain(&hub, 1_000 * SECOND);
    for id in ["again", "never"] {
        is_reset(&hub, id, ResetReason::Replaced);
    }
    // Some of them go, the first ones.
    retain(&hub, 1_500 * SECOND);
    let first = hub.bounds().first;
    assert!(first > fork.next() && first <= again, "{first}");
    is_reset(&hub, "again", ResetReason::Replaced);
    is_reset(&hub, "never", ResetReason::Unknown);
    assert_eq!(hub.fork_before(&EventId::new("never").unwrap()).unwrap(), None);
    drop(hub);
    let hub = world.open(0);
    retain(&hub, 1_500 * SECOND);
    is_reset(&hub, "again", ResetReason::Replaced);
    // In the end there is nothing to remember.
    publish_some(&hub, 50, 1_800 * SECOND);
    retain(&hub, 2_000 * SECOND);
    assert!(hub.bounds().first > again);
    assert_eq!(hub.fork_before(&EventId::new("again").unwrap()).unwrap(), None);
    is_reset(&hub, "again", ResetReason::Unknown);
}
