//! The state by key, as a log has it before anybody has asked for it.

#![allow(clippy::unwrap_used)]

mod hooked_log;

use std::sync::Arc;
use std::time::Duration;

use hooked_log::{Call, HookedLog};
use tidings_engine::{Engine, EngineConfig};
use tidings_hub::{Draft, Key, Log, Position, Topic};

#[test]
fn the_state_of_an_empty_log_waits_for_nothing() {
    let log = HookedLog::new(|call| assert_ne!(call, Call::Wait));
    log.slots().complete(&log).unwrap();
}

#[tokio::test]
async fn the_first_key_has_the_slots_looked_up_before_anybody_asks_for_a_state() {
    let log = Arc::new(HookedLog::new(|_| {}));
    let engine = Engine::start(Arc::clone(&log) as Arc<dyn Log>, EngineConfig::default()).unwrap();
    let draft = |key| {
        let mut draft = Draft::new(Topic::new("a").unwrap(), "1");
        draft.key = key;
        vec![draft]
    };
    engine.publish(draft(None)).await.unwrap();
    assert!(!log.slots().is_whole(), "events without keys do not need them");
    engine.publish(draft(Key::new("k").ok())).await.unwrap();
    while !log.slots().is_whole() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The event without a key is a slot, too.
    let unkeyed = draft(None).remove(0);
    assert!(log.slots().stands(log.slots().slot_of(&unkeyed).unwrap(), Position::new(1)));
    engine.drain(Duration::ZERO).await;
}
