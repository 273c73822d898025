//! A whole hub life per seed: publishers, fast, slow, stalled and vanishing readers, restarts,
//! retention that drops the oldest records, and a log from which any record vanishes, or in which
//! it is rewritten.
//!
//! Every reader decodes the bytes it is sent, as a browser would, and checks each event against the
//! log that the world remembers: exactly the events its matchers select, in order, once and whole,
//! byte for byte, from where it started; or a reset that says why, if and only if something it
//! wanted is lost.
//! Readers that take gzip inflate what they get, and where a stream ends they check its trailer.
//!
//! Nothing here depends on time or threads; a failing seed always fails. `SIMULATION_SEED` names
//! the first seed, `SIMULATION_SEEDS` how many are run, and `SIMULATION_STEPS` how long each life
//! is.
//! The long form, a million lives: `scripts/test-long hub`

#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "../../tidings-codec/tests/inflate/mod.rs"]
mod inflate;
#[path = "simulation/reader.rs"]
mod reader;
mod seeds;
#[path = "simulation/sparse_log.rs"]
mod sparse_log;
#[path = "simulation/truth.rs"]
mod truth;
#[path = "simulation/world.rs"]
mod world;

use seeds::{Running, number, seeds};
use sparse_log::Bug;
use world::World;

const STEPS: u64 = 300;

#[test]
fn every_reader_gets_its_events_in_order_and_once_or_a_reset() {
    let seeds = seeds(2000);
    let count = seeds.end - seeds.start;
    let steps = number("SIMULATION_STEPS").unwrap_or(STEPS);
    let mut totals = world::Counters::default();
    for seed in seeds {
        let _running = Running(seed);
        totals.add(&live(seed, steps, Bug::Nothing));
    }
    // The run must have exercised everything.
    if count > 100 {
        totals.assert_everything_happened();
    }
}

#[test]
fn a_log_that_rewrites_or_drops_in_silence_or_cries_wolf_is_noticed() {
    let is_noticed =
        |bug| (1..=300).any(|seed| std::panic::catch_unwind(|| live(seed, STEPS, bug)).is_err());
    for bug in [Bug::RewritesInSilence, Bug::DropsInSilence, Bug::CriesWolf] {
        assert!(is_noticed(bug), "{bug:?}");
    }
}

/// The life of one hub.
fn live(seed: u64, steps: u64, bug: Bug) -> world::Counters {
    let mut world = World::new(seed, bug);
    for _ in 0..steps {
        world.step();
    }
    world.settle();
    world.counters
}
