//! Faults while events are published and read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidings_testkit::checker::{Findings, Run, check};
use tidings_testkit::store_suite::Dice;
use tokio::time::{Instant, sleep};

use crate::faults::{Fault, Struck, shuffled};
use crate::progress::say;
use crate::publisher::{Published, Publisher, Publishers};
use crate::subscriber::{Got, Habits, Subscribers};
use crate::world::{PATIENCE, World};

/// How much of everything.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) faults: Vec<(Fault, usize)>,
    /// Shortest duration; it takes longer if the faults do.
    pub(crate) seconds: u64,
    pub(crate) subscribers: usize,
    pub(crate) stay_ms: std::ops::Range<u64>,
    pub(crate) events_per_second: u32,
    pub(crate) seed: u64,
}

/// Publishers on each hub: one whose events have ids of their own, and one without.
const PUBLISHERS_PER_HUB: usize = 2;

/// Runs `plan`, prints what happened, and returns what is wrong.
pub(crate) async fn run(world: &mut World, plan: &Plan) -> Result<(), String> {
    let Plan { faults, seconds, subscribers, events_per_second, .. } = plan;
    let count = faults.iter().map(|(_, count)| count).sum::<usize>();
    say(format_args!(
        "{count} faults in {seconds} s or longer, {subscribers} subscribers, {events_per_second} \
         events/s"
    ));
    let hubs: Arc<[_]> = world.addresses().into();
    let habits = Habits {
        hubs: Arc::clone(&hubs),
        stay_ms: plan.stay_ms.clone(),
        watches: false,
        stays_away: Arc::default(),
    };
    let subscribers = Subscribers::start(plan.subscribers, &habits);
    let count = hubs.len() * PUBLISHERS_PER_HUB;
    let publisher = |number: usize| Publisher {
        number: number as u64,
        hubs: Arc::clone(&hubs),
        hub: number % hubs.len(),
        is_named: number < hubs.len(),
        interval: Duration::from_secs(1) * count as u32 / plan.events_per_second,
        waits: true,
        bytes: 200,
    };
    let publishers = Publishers::start((0..count).map(publisher));
    let struck = strike(world, plan).await;
    say("publishers end");
    let published = publishers.finish(PATIENCE).await?;
    let struck = struck?;
    say("hubs and subscribers catch up");
    let run = Run {
        logs: logs(world, published.acknowledged.len()).await?,
        acknowledged: published.acknowledged.iter().map(|one| one.seen).collect(),
        published: published.all.iter().copied().collect(),
        ..Run::default()
    };
    let got = subscribers.finish(run.logs[0].len(), PATIENCE).await;
    let findings = check(&run, got.iter().map(|one| &one.transcript[..]));
    report(&struck, &published, &got, run.logs[0].len());
    void_blocks(world).await;
    judge(world, &findings, &published.strange)
}

async fn strike(world: &mut World, plan: &Plan) -> Result<Vec<Struck>, String> {
    let mut dice = Dice::new(plan.seed);
    let faults = shuffled(&plan.faults, &mut dice);
    let until = Instant::now() + Duration::from_secs(plan.seconds);
    let mut struck = Vec::new();
    let count = faults.len() as u32;
    for (number, fault) in (0..).zip(faults) {
        say(format_args!("fault {} of {count}: {fault}", number + 1));
        struck.push(fault.strike(world, &mut dice).await?);
        // What is left is divided among the faults to come; but a while for all to catch up.
        let left = until.saturating_duration_since(Instant::now());
        sleep((left / (count - number)).clamp(fault.rest(), Duration::from_secs(5))).await;
    }
    let left = until.saturating_duration_since(Instant::now());
    say(format_args!("{} s without a fault", left.as_secs()));
    sleep(left).await;
    Ok(struck)
}

/// The logs of all hubs once they have at least `count` events, and all the same number.
pub(crate) async fn logs(
    world: &World,
    count: usize,
) -> Result<Vec<Vec<tidings_testkit::transcript::Seen>>, String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut logs = Vec::new();
        for hub in &world.hubs {
            logs.extend(hub.log().await);
        }
        let is_whole = logs.len() == world.hubs.len();
        let longest = logs.iter().map(Vec::len).max().unwrap_or(0);
        if is_whole && longest >= count && logs.iter().all(|log| log.len() == longest) {
            return Ok(logs);
        }
        if Instant::now() > until {
            let lengths: Vec<_> = logs.iter().map(Vec::len).collect();
            return Err(format!(
                "{count} events acknowledged, in the logs of the hubs {lengths:?}"
            ));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn report(struck: &[Struck], published: &Published, got: &[Got], events: usize) {
    println!(
        "{} acknowledged, {events} in the log, {} undecided without an id of their own",
        published.acknowledged.len(),
        published.undecided,
    );
    let moves: usize = got.iter().map(|one| one.moves.len()).sum();
    let turned_away: usize = got.iter().map(|one| one.turned_away).sum();
    println!("{} subscribers, {moves} moves, {turned_away} turned away", got.len());
    // For each kind, the events that were due during it.
    let mut kinds: BTreeMap<String, (usize, Duration, usize)> = BTreeMap::new();
    for Struck { fault, hub, began, ended } in struck {
        let during = published
            .acknowledged
            .iter()
            .filter(|one| one.due < *ended && one.due + one.took > *began);
        let longest = during.map(|one| one.took).max().unwrap_or_default();
        let moves = got.iter().flat_map(|one| &one.moves);
        let there = moves.filter(|(to, at)| to == hub && (*began..*ended).contains(at)).count();
        let kind = kinds.entry(fault.to_string()).or_default();
        *kind = (kind.0 + 1, kind.1.max(longest), kind.2 + there);
    }
    for (kind, (count, longest, moves)) in kinds {
        let longest = longest.as_secs_f64();
        print!("{count} x {kind}: longest publish {longest:.1} s");
        println!(
            "{}",
            if kind.starts_with("hub up") {
                format!(", {moves} moves to it")
            } else {
                String::new()
            }
        );
    }
}

/// Prints how many blocks of the engine were void.
async fn void_blocks(world: &World) {
    for (number, hub) in world.hubs.iter().enumerate() {
        let log = std::fs::read_to_string(world.folder.join(format!("hub{number}.log")));
        let log = log.unwrap_or_default();
        let void = log.lines().filter(|line| line.contains("is void")).count();
        if void > 0 {
            println!("hub {number} at {}: {void} void blocks", hub.address);
        }
    }
}

/// Says whether the run was good.
pub(crate) fn judge(world: &World, findings: &Findings, strange: &[String]) -> Result<(), String> {
    println!("{findings}");
    let mut wrong = Vec::new();
    if findings.is_wrong() {
        wrong.push(findings.to_string());
    }
    wrong.extend(world.ended.iter().map(|how| format!("ended by itself: {how}")));
    wrong.extend(strange.iter().take(3).map(|answer| format!("a publisher got {answer}")));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}
