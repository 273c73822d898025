//! A hub that has just joined a long log: it listens, serves nobody while it fetches its copy, and
//! then everybody.
use std::sync::Arc;

use tidings_hub::{Log, Position};
use tidings_store_shared::limits::READ_BYTES_MAX;
use tidings_store_shared::{SharedConfig, SharedStore};
use tidings_testkit::http::Response;
use tidings_testkit::server::TestServer;
use tidings_testkit::shared_log::{Connection, Engine, Faults};
use tidings_testkit::store_suite::{at, draft};
use tidings_testkit::test_folder::TestFolder;

const SSE: (&str, &str) = ("accept", "text/event-stream");

/// Bytes of an event of which a few are more than a hub fetches before it listens.
const EVENT_BYTES: usize = READ_BYTES_MAX / 2;

/// An engine, and folders for hubs on it.
struct World {
    engine: Arc<Engine>,
    folder: TestFolder,
}

impl World {
    fn new() -> Self {
        Self { engine: Engine::new(1), folder: TestFolder::new("fetching") }
    }

    /// Opens a store. It follows only when [`follow`](Self::follow) says so.
    fn store(&self, name: &str) -> Arc<SharedStore> {
        let config = SharedConfig { create: true, ..SharedConfig::new(self.folder.join(name)) };
        Arc::new(SharedStore::open(config, Connection::to(&self.engine)).unwrap())
    }

    fn follow(&self, store: &SharedStore) {
        store.follow(&mut *Connection::to(&self.engine));
    }
}

/// Appends an event; returns its id.
fn publish(store: &SharedStore, data: &str) -> String {
    store.append(vec![draft("t", data)], at(1)).unwrap()[0].id.to_string()
}

fn publish_much(store: &SharedStore) {
    for letter in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        publish(store, &letter.repeat(EVENT_BYTES));
    }
}

fn left(store: &SharedStore) -> Option<u64> {
    store.shared().unwrap().following().fetching
}

fn server(store: &Arc<SharedStore>) -> TestServer {
    TestServer::builder().store(Arc::clone(store) as Arc<dyn Log>).start()
}

fn is_unavailable(answer: &Response) {
    assert_eq!(answer.status(), 503, "{answer:?}");
    assert_eq!(answer.json()["code"], "store_unavailable", "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

#[test]
fn a_hub_that_fetches_a_long_log_is_not_ready_and_serves_nobody_until_it_has_it() {
    let world = World::new();
    let old = world.store("old");
    publish_much(&old);
    let newest = publish(&old, "newest");
    let new = world.store("new");
    let hub = server(&new);

    let ready = hub.get_json("/readyz");
    assert_eq!(ready.status(), 503);
    assert_eq!(ready.json()["reasons"][0], "catching_up", "{ready:?}");
    assert_eq!(ready.json()["behind_blocks"], left(&new).unwrap(), "{ready:?}");
    assert_eq!(hub.get_json("/healthz").status(), 200, "a supervisor must not end it");
    // A browser that got an error would not come back.
    for header in [("last-event-id", &*newest), ("x", "y")] {
        let answer = hub.request("GET", "/events/t", &[SSE, header], "");
        assert_eq!(answer.status(), 200, "{answer:?}");
        let text = answer.text();
        assert!(text.contains("\nretry: ") && !text.contains("data: a"), "{text}");
    }
    is_unavailable(&hub.post("/events/t", "x"));
    is_unavailable(&hub.get_json("/events/t"));
    is_unavailable(&hub.get_json("/topics"));

    // The log grows meanwhile.
    let last = publish(&old, "last");
    world.follow(&new);
    assert_eq!(left(&new), None);
    assert_eq!(hub.get_json("/readyz").status(), 200);
    let history = hub.get_json(&format!("/events/t?after={newest}"));
    assert_eq!(history.header("tidings-resume"), Some("resumed"), "{history:?}");
    assert_eq!(history.json()["events"][0]["id"], *last, "{history:?}");
    assert_eq!(hub.post("/events/t", "x").status(), 200);
}

#[test]
fn a_hub_that_lacks_little_has_all_of_it_when_it_is_opened() {
    let world = World::new();
    let old = world.store("old");
    publish(&old, "1");
    drop(world.store("new"));
    publish(&old, &"a".repeat(EVENT_BYTES));
    let new = world.store("new");
    assert_eq!(left(&new), None);
    assert_eq!(new.bounds().head, Position::new(2));
}

#[test]
fn a_log_is_fetched_up_to_its_last_name_before_the_hub_listens() {
    let world = World::new();
    let old = world.store("old");
    publish_much(&old);
    publish(&old, "lost");
    world.engine.lose_tail(1);
    world.follow(&old);
    assert!(old.halt().is_some());
    drop(old);
    let old = world.store("old");
    assert_eq!(old.identity().former.len(), 1);
    publish_much(&old);
    // Only a store that is being opened can take another name.
    let new = world.store("new");
    assert_eq!(new.identity(), old.identity());
    assert!(left(&new).is_some());
    world.follow(&new);
    assert_eq!((left(&new), new.halt()), (None, None));
    assert_eq!(new.bounds().head, old.bounds().head);
}

#[test]
fn a_hub_that_was_stopped_while_it_fetched_goes_on_where_it_was() {
    let world = World::new();
    let old = world.store("old");
    publish_much(&old);
    let new = world.store("new");
    let before = left(&new).unwrap();
    drop(new);
    let new = world.store("new");
    assert!(left(&new).is_none_or(|left| left < before), "{:?} of {before}", left(&new));
    drop(new);
    // What it has is not served either while it cannot get the rest.
    world.engine.set_faults(Faults { away: 1, ..Faults::NONE });
    let new = world.store("new");
    assert!(left(&new).is_some());
    world.follow(&new);
    assert!(left(&new).is_some());
    world.engine.set_faults(Faults::NONE);
    world.follow(&new);
    assert_eq!((left(&new), new.bounds().head), (None, old.bounds().head));
}
