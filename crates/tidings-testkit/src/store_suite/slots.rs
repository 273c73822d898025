use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tidings_hub::{Draft, Key, Position};

use super::{Retention, Stores, append, draft, topic};

/// A reader that passes a record over because the table has a later one gets that one: it can be
/// read from then on. And a reader that can read a record finds it in the table, or a later one.
pub fn the_table_of_newest_records_is_never_ahead_of_the_log_or_behind(stores: &dyn Stores) {
    const BATCHES: u64 = 1_500;
    let store = stores.fresh(Retention::ALL);
    let key = Key::new("K").expect("a valid key");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let on = topic("a");
                while !is_over.load(Ordering::Relaxed) {
                    let visible = store.bounds().head;
                    let newest = store.slots().newest(&on, &key);
                    let newest = newest.map_or(Position::ZERO, |newest| newest.position);
                    let head = store.bounds().head;
                    assert!(newest <= head, "{newest} is in the table, and {head} is the head");
                    assert!(newest >= visible, "{visible} can be read, the table has {newest}");
                }
            });
        }
        for _ in 0..BATCHES {
            let keyed = || Draft { key: Some(key.clone()), ..draft("a", "x") };
            append(&*store, (0..20).map(|_| keyed()).collect());
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
