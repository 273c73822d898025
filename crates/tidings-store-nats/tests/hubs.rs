//! Hubs on a stream of real NATS servers that hear no bell of it.
#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stderr)]
#![allow(dead_code, reason = "the world has more than is needed here")]

mod world;

use std::time::Duration;

use tidings_hub::Log as _;
use tidings_store_nats::NatsJournal;
use tidings_store_shared::{Journal as _, Seq, SharedConfig, SharedStore};
use tidings_testkit::store_suite::{at, draft};
use tidings_testkit::test_folder::TestFolder;

use world::{Cluster, append, eventually};

/// A stream that was put back from a backup rings no bell, and a ring can be lost.
#[test]
fn a_hub_that_hears_of_no_block_finds_them_all_and_appends_after_them() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = TestFolder::new("nats-hubs");
    drop(cluster.journal("deaf"));
    let hub = |name: &str| {
        let config = SharedConfig {
            create: true,
            append_patience: Duration::from_secs(20),
            ..SharedConfig::new(folder.join(name))
        };
        let journal = NatsJournal::connect(&cluster.client("deaf")).unwrap();
        assert!(journal.is_connected_within(Duration::from_secs(30)));
        SharedStore::open(config, Box::new(journal)).unwrap()
    };
    let (one, two) = (hub("one"), hub("two"));
    let publish = |hub: &SharedStore, data: &str| {
        hub.append(vec![draft("t", data)], at(1)).unwrap().remove(0).position.get()
    };
    assert_eq!([publish(&one, "1"), publish(&one, "2"), publish(&one, "3")], [1, 2, 3]);
    assert_eq!(publish(&two, "4"), 4, "it looks for what it lost the race to");
    // So does one that does not append.
    let mut journal = NatsJournal::connect(&cluster.client("deaf")).unwrap();
    assert!(journal.is_connected_within(Duration::from_secs(30)));
    one.follow(&mut journal);
    assert_eq!(one.bounds().head.get(), 4);
}

#[test]
fn a_read_goes_beyond_the_first_block_whatever_was_heard_of() {
    let Some(cluster) = Cluster::start() else { return };
    let mut writer = cluster.journal("unheard");
    for number in 0..5 {
        append(&mut writer, number, 1, number).unwrap();
    }
    let mut reader = NatsJournal::connect(&cluster.client("unheard")).unwrap();
    eventually(|| reader.read(Seq::ZERO, 1).is_ok());
    for after in 0..5 {
        let page = reader.read(Seq::new(after), 1 << 16).unwrap();
        assert_eq!(page.len() as u64, 5 - after, "after {after}");
    }
    assert_eq!(reader.read(Seq::new(5), 1 << 16).unwrap(), []);
}
