//! The store contract on a real server of NATS: of a hub that keeps its folder, and of one that
//! loses it.
#![allow(clippy::unwrap_used, clippy::print_stderr, dead_code)]

mod world;

use tidings_store_nats::NatsJournal;
use tidings_store_shared::Journal;
use tidings_testkit::shared_log::SharedStores;
use tidings_testkit::store_suite;

use world::{Cluster, eventually};

store_suite!(with_its_cache, maybe stores(true));
store_suite!(without_its_cache, maybe stores(false));

/// Logs on a server of their own; `None` if no program is found.
fn stores(keeps_cache: bool) -> Option<SharedStores> {
    let server = Cluster::of(1)?;
    let connect = move |log| -> Box<dyn Journal> {
        let client = server.client(&format!("log{log}"));
        let mut journal = NatsJournal::connect(&client).unwrap();
        eventually(|| journal.bounds().is_ok());
        Box::new(journal)
    };
    Some(SharedStores::new(keeps_cache, Box::new(connect)))
}
