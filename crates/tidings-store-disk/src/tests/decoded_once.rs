//! How many records are decoded to find the last ones of a topic.

use super::rules::{age_of_an_hour, keep, wait_for_indexes, with_rules};
use super::*;
use crate::records::DECODED;

const COUNT: u64 = 1_000;

/// A log of records that each have to be looked at, because they are not public, sorted into runs
/// if it has rules.
fn log(is_sorted: bool) -> DiskStore {
    let mut config = with_rules(if is_sorted { age_of_an_hour() } else { Vec::new() });
    config.recent_bytes_max = 0;
    let store = open(&SimulatedDisk::new(1), &config).unwrap();
    let topic = Topic::new("private").unwrap();
    for n in 0..COUNT / 10 {
        let one = || Draft {
            visibility: Visibility::Private,
            ttl_s: std::num::NonZeroU32::new(3_000_000),
            ..Draft::new(topic.clone(), "x".repeat(100))
        };
        store.append((0..10).map(|_| one()).collect(), at(n)).unwrap();
    }
    wait_for_indexes(&store, None);
    keep(&store);
    store
}

#[test]
fn each_block_is_decoded_once_to_find_the_last_records_of_a_topic() {
    for is_sorted in [false, true] {
        let store = log(is_sorted);
        let exact = Matcher::parse("private").unwrap();
        let interest = Interest::new(vec![exact.clone()], vec![exact]);
        assert_eq!(store.shared.read_state().lanes.has_runs(), is_sorted);
        for count in [1, 50, COUNT as usize] {
            let before = DECODED.get();
            let found = store.catalog().seek_last(&interest, count).unwrap();
            assert_eq!(found, Position::new(COUNT - count as u64), "sorted: {is_sorted}");
            // Of the oldest block perhaps more than is asked for; and a page of the index may end
            // in the middle of one.
            let decoded = DECODED.get() - before;
            let most = count as u64 + 600;
            assert!(decoded >= count as u64, "{decoded} for {count}: they have to be looked at");
            assert!(decoded <= most, "sorted: {is_sorted}: {decoded} decoded for {count}");
        }
    }
}
