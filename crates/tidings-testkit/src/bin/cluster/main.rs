//! Hubs on servers of NATS: faults while events are published and read, and measurements.
//!
//! ```text
//! cluster PLAN --nats PROGRAM --tidings PROGRAM [--seconds N] [--subscribers N] [--rate N]
//!              [--seed N] [--servers N] [--times N] [--mebibytes N] [--before PROGRAM]
//! ```
//!
//! | Plan | |
//! |---|---|
//! | `short` | each kind of fault once, a minute and a half |
//! | `long` | chaos of five minutes with 300 subscribers |
//! | `lag` | subscribers move to hubs that are up to 5 s behind |
//! | `rolling` | hubs are restarted, from the program `--before` if there is one, and replaced |
//! | `away` | all servers are gone for a minute; for as long as `--away` says, in seconds |
//! | `gone` | the stream is deleted, for 20 s or `--away`, and comes back |
//! | `presence` | subscribers come, leave, and lose their hub |
//! | `latency` | 100 events per second and hub |
//! | `throughput` | as many as possible |
//! | `rollback` | the servers lose 50 blocks, again and again |
//! | `cold` | a hub with an empty folder and 1 GiB to download, or `--mebibytes` |
//!
//! Everything is on loopback. `scripts/test-cluster` finds the programs. Each step is printed with
//! the seconds since the start; a plan that takes an hour is given up.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod chaos;
mod client;
mod cold;
mod faults;
mod gone;
mod hub;
mod load;
mod one_by_one;
mod presence;
mod process;
mod progress;
mod publisher;
mod rollback;
mod servers;
mod subscriber;
mod world;

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use chaos::Plan;
use faults::{Cut, Fault};
use progress::say;
use world::{Size, World};

/// The plans.
const PLANS: [&str; 11] = [
    "short",
    "long",
    "lag",
    "rolling",
    "away",
    "gone",
    "presence",
    "latency",
    "throughput",
    "rollback",
    "cold",
];

/// Seconds that the servers are away, and that the stream is gone, in the plans of these names.
const AWAY_SECONDS: u64 = 60;
const GONE_SECONDS: u64 = 20;

/// Size of the log that a hub with an empty folder fetches.
const COLD_MEBIBYTES: u64 = 1024;

/// Time after which a plan is given up, whatever it waits for.
const PLAN_PATIENCE: Duration = Duration::from_secs(3600);

/// Repetitions of a rollback.
const ROLLBACKS: u64 = 100;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let plan = arguments.next().unwrap_or_default();
    let mut options = HashMap::new();
    while let Some(name) = arguments.next() {
        options
            .insert(name.trim_start_matches('-').to_owned(), arguments.next().unwrap_or_default());
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let outcome =
        runtime.block_on(async { tokio::time::timeout(PLAN_PATIENCE, run(&plan, &options)).await });
    let outcome = outcome.unwrap_or_else(|_| Err(format!("it is not over in {PLAN_PATIENCE:?}")));
    match outcome {
        Ok(()) => {
            say("done");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("FAILED {plan}:\n{wrong}");
            ExitCode::FAILURE
        }
    }
}

async fn run(plan: &str, options: &HashMap<String, String>) -> Result<(), String> {
    let number = |name: &str, default: u64| match options.get(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| format!("--{name} {text}: not a number")),
    };
    let program =
        |name: &str| options.get(name).map(Path::new).ok_or_else(|| format!("--{name} is missing"));
    if !PLANS.contains(&plan) {
        return Err(format!("no such plan; there are {}", PLANS.join(", ")));
    }
    // A single server is rolled back and started again in a moment.
    let servers = number("servers", if plan == "rollback" { 1 } else { 3 })? as usize;
    let before = options.get("before").map(Path::new);
    let (nats, tidings) = (program("nats")?, program("tidings")?);
    let size = Size { nats, tidings, before, servers, hubs: 3 };
    let folder = env::temp_dir().join(format!("tidings-cluster-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    say(format_args!("{plan}: starting {servers} NATS servers and {} hubs", size.hubs));
    let mut world = World::start(&size, folder.clone()).await?;
    say("all are ready");
    let outcome = match plan {
        "latency" => load::latency(&world, number("seconds", 30)?).await,
        "throughput" => load::throughput(&world, number("seconds", 10)?).await,
        "rollback" => {
            let times = number("times", ROLLBACKS)? as usize;
            rollback::run(&mut world, times, number("seconds", 1800)?).await
        }
        "gone" => gone::run(&mut world, number("away", GONE_SECONDS)?).await,
        "presence" => presence::run(&mut world).await,
        "cold" => cold::run(&mut world, number("mebibytes", COLD_MEBIBYTES)? << 20).await,
        _ => {
            let mut plan = plan_of(plan, number("away", AWAY_SECONDS)?);
            plan.seconds = number("seconds", plan.seconds)?;
            plan.subscribers = number("subscribers", plan.subscribers as u64)? as usize;
            let rate = number("rate", plan.events_per_second.into())?;
            plan.events_per_second = u32::try_from(rate).unwrap_or(u32::MAX);
            plan.seed = number("seed", plan.seed)?;
            chaos::run(&mut world, &plan).await
        }
    };
    drop(world);
    match outcome {
        Ok(()) => {
            let _ = fs::remove_dir_all(&folder);
            Ok(())
        }
        Err(wrong) => Err(format!("{wrong}\nthe logs are in {}", folder.display())),
    }
}

/// The faults of a plan, and how much goes on meanwhile.
fn plan_of(name: &str, away_seconds: u64) -> Plan {
    let cut = |how, seconds| Fault::HubCut { how, seconds };
    let lags = [500, 1000, 2000, 3000, 4000, 4900];
    let (faults, seconds, subscribers, stay_ms, rate) = match name {
        "long" => {
            let faults = vec![
                (Fault::LeaderKilled, 5),
                (Fault::LeaderPaused, 3),
                (Fault::LeaderIsolated, 1),
                (Fault::HubKilled, 5),
                (cut(Cut::Closed, 20), 1),
                (cut(Cut::Silent, 20), 1),
                (cut(Cut::Deaf, 20), 1),
            ];
            (faults, 300, 300, 1000..5000, 150)
        }
        "lag" => {
            let lag = |milliseconds| (Fault::HubLags { milliseconds }, 14);
            (lags.map(lag).to_vec(), 280, 300, 500..2500, 150)
        }
        "rolling" => {
            let faults = vec![(Fault::HubRestarted, 9), (Fault::HubReplaced, 3)];
            (faults, 90, 100, 1000..5000, 150)
        }
        "away" => {
            let gone = Fault::EngineGone { seconds: away_seconds };
            (vec![(gone, 1)], away_seconds + 30, 100, 1000..5000, 150)
        }
        // The short one.
        _ => {
            let faults = vec![
                (Fault::LeaderKilled, 1),
                (Fault::LeaderPaused, 1),
                (Fault::HubKilled, 1),
                (Fault::HubRestarted, 1),
                (cut(Cut::Silent, 10), 1),
                (cut(Cut::Closed, 5), 1),
                (Fault::HubLags { milliseconds: 3000 }, 1),
            ];
            (faults, 75, 60, 1000..3000, 60)
        }
    };
    Plan { faults, seconds, subscribers, stay_ms, events_per_second: rate, seed: 1 }
}
