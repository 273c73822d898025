//! Which seeds a randomised test runs, by the same variables in every package:
//!
//! - `SIMULATION_SEED`, the first seed; 1 unless set.
//! - `SIMULATION_SEEDS`, the number of seeds. Unless it is set: one if the first seed is named,
//!   else the test's own number.
//! - `SIMULATION_STEPS`, the length of a life, where a test has one.
//!
//! `scripts/test-long` sets them. The file is part of each program of tests that needs it.

#![allow(clippy::print_stderr)]

use std::ops::Range;

/// The seeds to run, `count` of them from 1 on unless the environment says otherwise.
pub(crate) fn seeds(count: u64) -> Range<u64> {
    range(number("SIMULATION_SEED"), number("SIMULATION_SEEDS"), count)
}

fn range(first: Option<u64>, named: Option<u64>, count: u64) -> Range<u64> {
    let count = named.unwrap_or(if first.is_some() { 1 } else { count });
    let first = first.unwrap_or(1);
    first..first + count
}

/// A number from the environment. One that cannot be read must not pass for one that is not set.
#[allow(clippy::disallowed_methods)] // the hub reads no environment, but the search for a seed does
pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}

/// A seed that is being run: named if the test fails while this is held.
pub(crate) struct Running(pub(crate) u64);

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failing seed: SIMULATION_SEED={}", self.0);
        }
    }
}

#[test]
fn a_named_seed_is_run_alone_unless_a_number_of_seeds_is_named_too() {
    assert_eq!(range(None, None, 30), 1..31);
    assert_eq!(range(None, Some(7), 30), 1..8);
    assert_eq!(range(Some(9), None, 30), 9..10);
    assert_eq!(range(Some(9), Some(7), 30), 9..16);
}
