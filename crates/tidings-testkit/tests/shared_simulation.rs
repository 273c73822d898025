//! Several hubs on one log whose engine fails: it loses its end, lets two blocks pass where one
//! should, answers late, twice, never, or from the past; hubs are restarted, killed, and lose their
//! caches; clients move from hub to hub.
//!
//! The stores are the real ones, as is what decides where a client resumes. In the end each client
//! must have the final log from where it began, or must have been given a reset; no client is reset
//! whose place is still in the log; no event is missing that was acknowledged, except what the
//! engine lost; and every hub reaches the end of the log without a restart, whether or not it heard
//! the engine's bell. A seed is one run, whatever the time and the threads: the numbers of the
//! hubs' runs follow from it, too, and after each step the threads of the hubs' caches come to
//! rest.
//!
//! `SIMULATION_SEED` names the first seed, `SIMULATION_SEEDS` how many are run, and
//! `SIMULATION_STEPS` how long each life is. The long form: `scripts/test-long shared`
#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "shared_world/client.rs"]
mod client;
#[path = "shared_world/findings.rs"]
mod findings;
#[path = "shared_world/forgetful.rs"]
mod forgetful;
#[path = "shared_world/naive.rs"]
mod naive;
#[path = "shared_world/node.rs"]
mod node;
#[path = "shared_world/ruled.rs"]
mod ruled;
#[path = "../../tidings-hub/tests/seeds/mod.rs"]
mod seeds;
#[path = "shared_world/trusting.rs"]
mod trusting;
#[path = "shared_world/truth.rs"]
mod truth;
#[path = "shared_world/unchecked.rs"]
mod unchecked;
#[path = "shared_world/world.rs"]
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use findings::Findings;
use seeds::{Running, number, seeds};
use world::{Bug, World};

/// Makes the world of a seed.
type Make = fn(u64, Bug) -> World;

fn run(make: Make, seed: u64, steps: u64, bug: Bug) -> Findings {
    let mut world = make(seed, bug);
    for _ in 0..steps {
        world.step();
    }
    world.settle()
}

/// Runs `seeds` on as many threads as there are cores.
fn run_all(make: Make, seeds: std::ops::Range<u64>, steps: u64, bug: Bug) -> Findings {
    let next = AtomicU64::new(seeds.start);
    let worker = || {
        let mut total = Findings::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return total;
            }
            let _running = Running(seed);
            let findings = run(make, seed, steps, bug);
            if bug == Bug::None && findings.is_wrong() {
                eprintln!("failing seed: SIMULATION_SEED={seed}: {findings:?}");
            }
            total.add(&findings);
        }
    };
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        let mut total = Findings::default();
        for worker in workers {
            total.add(&worker.join().unwrap());
        }
        total
    })
}

/// Runs the seeds that the environment says. Returns what came out, and of how many.
fn run_some(make: Make) -> (Findings, u64) {
    let steps = number("SIMULATION_STEPS").unwrap_or(300);
    let seeds = seeds(300);
    let count = seeds.end - seeds.start;
    let findings = run_all(make, seeds, steps, Bug::None);
    eprintln!("{count} seeds: {findings:?}");
    assert!(!findings.is_wrong(), "{findings:?}");
    (findings, count)
}

#[test]
fn every_client_ends_with_the_log_or_a_reset_that_has_a_cause() {
    let (findings, count) = run_some(World::new);
    if count >= 100 {
        findings.assert_everything_happened();
    }
}

/// Where hubs keep by rules, each has what a rule promises; and each client has every event, but
/// for those that a reset said may be missing.
#[test]
fn every_hub_has_what_rules_promise_and_every_client_what_no_reset_covers() {
    let (findings, count) = run_some(World::with_rules);
    if count >= 100 {
        findings.assert_seen(&[
            "acknowledged",
            "lost",
            "forked",
            "restarted",
            "killed",
            "wiped",
            "resumed",
            "reset",
            "sorted",
            "dropped between",
        ]);
    }
}

#[test]
fn a_seed_is_one_run() {
    let steps = 300;
    let all = [World::new as Make, World::with_rules].into_iter();
    for (seed, make) in (1..31).flat_map(|seed| all.clone().map(move |make| (seed, make))) {
        let mut worlds = [make(seed, Bug::None), make(seed, Bug::None)];
        for step in 0..steps {
            worlds.iter_mut().for_each(World::step);
            let [one, other] = worlds.each_ref().map(World::look);
            assert_eq!(one, other, "seed {seed}, step {step}");
        }
        let [one, other] = worlds.map(|world| format!("{:?}", world.settle()));
        assert_eq!(one, other, "seed {seed}, at the end");
    }
}

#[test]
fn the_simulation_notices_a_hub_that_takes_void_blocks() {
    let findings = run_all(World::new, 1..21, 300, Bug::TakesVoidBlocks);
    assert!(findings.silent > 0, "{findings:?}");
}

#[test]
fn the_simulation_notices_ids_without_a_check() {
    let sound = World::new(1, Bug::None).lose_what_a_client_has();
    assert!(!sound.is_wrong(), "{sound:?}");
    let findings = World::new(1, Bug::NoCheck).lose_what_a_client_has();
    assert!(findings.silent > 0, "{findings:?}");
}

#[test]
fn the_simulation_notices_a_hub_that_forgets_the_ids_of_lost_events() {
    let sound = World::new(1, Bug::None).repeat_what_a_client_has();
    assert!(!sound.is_wrong(), "{sound:?}");
    let findings = World::new(1, Bug::ForgetsLostIds).repeat_what_a_client_has();
    assert!(findings.silent > 0, "{findings:?}");
}

#[test]
fn the_simulation_notices_a_hub_that_looks_for_no_more_than_the_bell_told() {
    let findings = run_all(World::new, 1..41, 300, Bug::TrustsTheBell);
    assert!(findings.stuck > 0, "{findings:?}");
}

#[test]
fn the_simulation_notices_rules_that_are_applied_to_what_the_log_may_yet_lose() {
    let findings = run_all(World::with_rules, 1..101, 300, Bug::SortsAtOnce);
    assert!(findings.broken + findings.refused + findings.silent > 0, "{findings:?}");
}

#[test]
fn the_simulation_notices_checks_that_go_with_their_events() {
    let findings = run_all(World::with_rules, 1..41, 300, Bug::ForgetsChecks);
    assert!(findings.needless > 0, "{findings:?}");
}
