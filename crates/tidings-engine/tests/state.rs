//! The state by key, as a log has it before anybody has asked for it.

#![allow(clippy::unwrap_used)]

mod hooked_log;

use hooked_log::{Call, HookedLog};
use tidings_hub::Log;

#[test]
fn the_state_of_an_empty_log_waits_for_nothing() {
    let log = HookedLog::new(|call| assert_ne!(call, Call::Wait));
    log.slots().complete(&log).unwrap();
}
