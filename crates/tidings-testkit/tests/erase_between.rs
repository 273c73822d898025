//! Erasing a key that gets a new value between its removal and the erasure: the value stays. And
//! erasing at a hub that has not followed what others appended to the log before the request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tidings_hub::{
    AppendError, Appended, Draft, Epoch, Key, Log, MemoryStore, Position, Timestamp, Topic,
};
use tidings_store_disk::{DiskConfig, DiskStore};
use tidings_testkit::layers::{Layered, LogLayer};
use tidings_testkit::server::{Builder, EPOCH, TestServer};
use tidings_testkit::shared_log::OneLog;
use tidings_testkit::test_folder::TestFolder;

/// A log in which another publisher gives a key its next value as soon as it is removed, or as soon
/// as it is found to have none.
struct Overtaken<L> {
    log: L,
    next: Draft,
    is_done: AtomicBool,
}

impl<L: Log + 'static> LogLayer for Overtaken<L> {
    fn under(&self) -> &dyn Log {
        &self.log
    }

    fn append(
        &self,
        drafts: Vec<Draft>,
        judged: Option<Position>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        let is_removal = drafts.iter().any(|draft| draft.kind.is_removal());
        let appended = self.append_below(drafts, judged, now);
        if is_removal && !self.is_done.swap(true, Ordering::Relaxed) {
            self.log.append(vec![self.next.clone()], now)?;
        }
        appended
    }
}

/// A hub on such a log, with a key that has two values.
fn overtaken<L: Log + 'static>(log: L, start: impl FnOnce(Arc<dyn Log>) -> Builder) -> TestServer {
    let key = Some(Key::new("ann").unwrap());
    let next = Draft { key, ..Draft::new(Topic::new("people").unwrap(), "next") };
    let layer = Overtaken { log, next, is_done: AtomicBool::new(false) };
    let hub = start(Arc::new(Layered(layer))).start();
    for data in ["one", "two"] {
        hub.put("people?key=ann", data);
    }
    hub
}

fn data(hub: &TestServer, target: &str) -> Vec<String> {
    let page = hub.get_json(target).json();
    let events = page["events"].as_array().unwrap().iter();
    events.map(|event| event["data"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_value_that_a_key_gets_after_its_removal_stays_when_the_key_is_erased() {
    let folder = TestFolder::new("erase-between");
    let log = OneLog::new("erase-between");
    let epoch = Epoch::parse(EPOCH).unwrap();
    let memory = MemoryStore::new(epoch, 1 << 20, Duration::MAX);
    let disk = DiskStore::open(DiskConfig::new(folder.join("log"))).unwrap();
    let hubs = [
        overtaken(memory, |log| TestServer::builder().store(log)),
        overtaken(disk, |log| TestServer::builder().store(log)),
        overtaken(log.store("hub"), |store| log.hub_on(store)),
    ];
    for hub in hubs {
        let mut live = hub.subscribe("/events/people", &[]);
        let answer = hub.request("DELETE", "/events/people?key=ann&erase", &[], "");
        assert_eq!((answer.status(), &answer.json()["erased"]), (200, &json!(2)));
        assert_eq!(data(&hub, "/events/people?last=10"), ["next"]);
        assert_eq!(data(&hub, "/events/people?from=state"), ["next"]);
        assert!(live.event().unwrap().starts_with("event: tidings.removed\n"));
        assert!(live.event().unwrap().ends_with("data: next\n\n"));
    }
}

#[test]
fn a_hub_erases_what_others_appended_before_the_request_though_it_has_not_followed_that() {
    let log = OneLog::new("erase-between");
    let (one, deaf) = (log.hub("one").start(), log.deaf_hub("deaf").start());
    // Both are erased at the deaf hub, and then published again at the other.
    one.put("people?key=ann", "old");
    one.put("orders", "old");
    for target in ["/events/people?key=ann&erase", "/events/orders?erase"] {
        let erased = || {
            let answer = deaf.request("DELETE", target, &[], "");
            assert_eq!(answer.status(), 200, "{target}: {}", answer.text());
            answer.json()["erased"].clone()
        };
        assert_eq!(erased(), json!(1), "{target}");
        let topic = if target.contains("key") { "people?key=ann" } else { "orders" };
        one.put(topic, "new");
        assert_eq!(erased(), json!(1), "{target}: what the deaf hub has not seen");
        let left = data(&deaf, &format!("/events/{}?last=10", &topic[..6]));
        assert!(!left.iter().any(|data| ["old", "new"].contains(&&**data)), "{left:?}");
    }
}
