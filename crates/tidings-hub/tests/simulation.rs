//! A whole hub life per seed: publishers, fast, slow, stalled and vanishing readers, restarts,
//! retention.
//!
//! Every reader decodes the bytes it is sent, as a browser would, and checks each event against the
//! log that the world remembers: exactly the events its matchers select, in order, once, from where
//! it started, or a reset that says why. Nothing here depends on time or threads; a failing seed
//! always fails. `SIMULATION_SEED` runs one seed, `SIMULATION_SEEDS` sets how many are run.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "simulation/reader.rs"]
mod reader;
#[path = "simulation/world.rs"]
mod world;

use world::World;

const STEPS: usize = 300;

#[test]
#[allow(clippy::disallowed_methods)] // the hub reads no environment, but the search for a seed does
fn every_reader_gets_its_events_in_order_and_once_or_a_reset() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (first, count) = match number("SIMULATION_SEED") {
        Some(seed) => (seed, 1),
        None => (1, number("SIMULATION_SEEDS").unwrap_or(2000)),
    };
    let mut totals = world::Counters::default();
    for seed in first..first + count {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
            }
            world.settle();
            world.counters
        });
        match outcome {
            Ok(counters) => totals.add(&counters),
            Err(panic) => {
                eprintln!("failing seed: SIMULATION_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // The run must have exercised everything.
    if count > 100 {
        totals.assert_everything_happened();
    }
}
