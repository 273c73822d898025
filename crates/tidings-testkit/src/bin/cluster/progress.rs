//! What a plan is at, so that a silence of minutes is none.

use std::fmt::Display;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Interval at which something long says how far it is.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

/// Prints a step, with the time since the first one.
pub(crate) fn say(step: impl Display) {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let seconds = BEGAN.get_or_init(Instant::now).elapsed().as_secs();
    println!("[{seconds:>4} s] {step}");
}
