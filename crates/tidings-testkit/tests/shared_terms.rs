//! The settings that all hubs on a log need alike: a hub that starts with others is refused; one
//! that runs says that its own are no longer those of the log.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidings_hub::Log as _;
use tidings_store_shared::{OpenError, SharedConfig, SharedStore, Terms};
use tidings_testkit::shared_log::{Connection, Engine};
use tidings_testkit::store_suite::at;
use tidings_testkit::test_folder::TestFolder;

/// An engine, and a folder for hubs on it.
struct World {
    engine: Arc<Engine>,
    folder: TestFolder,
}

impl World {
    fn new() -> Self {
        Self { engine: Engine::new(1), folder: TestFolder::new("shared-terms") }
    }

    /// A hub that keeps events for `days`, and looks at the log whenever it applies retention.
    fn config(&self, hub: &str, days: u32) -> SharedConfig {
        SharedConfig {
            create: true,
            trim_interval: Duration::ZERO,
            terms: Terms::new([("retention-age", format!("{days} days"))]),
            ..SharedConfig::new(self.folder.join(hub))
        }
    }

    fn open(&self, config: SharedConfig) -> Result<SharedStore, OpenError> {
        SharedStore::open(config, Connection::to(&self.engine))
    }
}

#[test]
fn a_hub_that_runs_warns_once_when_the_log_gets_other_settings_than_its_own() {
    let world = World::new();
    let a = world.open(world.config("a", 2)).unwrap();
    let refused = world.open(world.config("b", 3));
    assert!(matches!(refused, Err(OpenError::Terms { .. })), "{refused:?}");
    let log = Warnings::default();
    tracing::subscriber::with_default(log.clone(), || {
        a.retain(at(1)).unwrap();
        assert_eq!(log.taken(), [""; 0]);
        let update = SharedConfig { update_terms: true, ..world.config("b", 3) };
        drop(world.open(update).unwrap());
        log.taken();
        a.retain(at(1)).unwrap();
        let warned = log.taken();
        assert_eq!(warned.len(), 1, "{warned:?}");
        assert!(warned[0].contains("retention-age is 2 days here and 3 days for the log"));
        a.retain(at(1)).unwrap();
        assert_eq!(log.taken(), [""; 0], "it was said");
    });
}

/// What is logged as a warning or worse.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{value:?} ");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
