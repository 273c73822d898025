//! The engine loses what it had acknowledged, as when an old copy of its disks is put back.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use tidings_testkit::checker::{Run, check};
use tidings_testkit::transcript::Seen;
use tokio::time::{Instant, sleep};

use crate::chaos::{judge, logs};
use crate::client::Client;
use crate::hub::PATH;
use crate::subscriber::{Habits, Subscribers};
use crate::world::{PATIENCE, World};

/// Blocks that the engine loses each time, and how many are published after that.
const LOST_BLOCKS: usize = 50;
const NEW_BLOCKS: usize = 60;

/// Subscribers that hold the lost events, and as many that were away when they were published.
const SUBSCRIBERS: usize = 10;

/// One run.
struct Rollback<'a> {
    world: &'a mut World,
    number: u64,
    run: Run,
    kept: Vec<Seen>,
}

/// Rolls the engine back, up to `times` and as often as there is time for.
pub(crate) async fn run(world: &mut World, times: usize, seconds: u64) -> Result<(), String> {
    let until = Instant::now() + Duration::from_secs(seconds);
    let hubs: Arc<[_]> = world.addresses().into();
    let away = Arc::<AtomicBool>::default();
    let habits = |stays_away| Habits {
        hubs: Arc::clone(&hubs),
        stay_ms: 500..2000,
        watches: false,
        stays_away,
    };
    let holders = Subscribers::start(SUBSCRIBERS, &habits(Arc::default()));
    let others = Subscribers::start(SUBSCRIBERS, &habits(Arc::clone(&away)));
    let mut one = Rollback { world, number: 0, run: Run::default(), kept: Vec::new() };
    let mut count = 0;
    let mut got_by_holders = 0;
    while count < times && Instant::now() < until {
        let before = one.publish(NEW_BLOCKS).await?;
        one.kept.extend(before);
        got_by_holders += NEW_BLOCKS;
        reach(&others, one.kept.len()).await?;
        reach(&holders, got_by_holders).await?;
        one.engine("cp -a {data} {copy}").await?;
        away.store(true, Ordering::Relaxed);
        // They look up once a second.
        sleep(Duration::from_millis(1200)).await;
        let lost = one.publish(LOST_BLOCKS).await?;
        got_by_holders += LOST_BLOCKS;
        reach(&holders, got_by_holders).await?;
        one.run.lost.extend(lost);
        one.engine("rm -rf {data} && mv {copy} {data}").await?;
        count += 1;
        let after = one.publish(NEW_BLOCKS).await?;
        one.kept.extend(after);
        got_by_holders += NEW_BLOCKS;
        away.store(false, Ordering::Relaxed);
        reach(&others, one.kept.len()).await?;
        reach(&holders, got_by_holders).await?;
    }
    let Rollback { world, mut run, kept, .. } = one;
    run.logs = logs(world, kept.len()).await?;
    run.acknowledged = kept;
    let got = [holders.finish(0, PATIENCE).await, others.finish(0, PATIENCE).await];
    println!(
        "{count} rollbacks by {LOST_BLOCKS} blocks; hubs restarted {} times",
        world.ended.len()
    );
    for (who, got) in ["held lost ids", "held others"].into_iter().zip(&got) {
        let findings = check(&run, got.iter().map(|one| &one.transcript[..]));
        println!("{} subscribers that {who}: {findings}", got.len());
    }
    let findings = check(&run, got.iter().flatten().map(|one| &one.transcript[..]));
    let told = count * SUBSCRIBERS;
    if findings.resets != told {
        return Err(format!("{told} resets have a cause, {} were given", findings.resets));
    }
    // Hubs end themselves when the log they followed is no more.
    world.ended.clear();
    judge(world, &findings, &[])
}

impl Rollback<'_> {
    /// Publishes `count` events one after the other, so that each is a block.
    async fn publish(&mut self, count: usize) -> Result<Vec<Seen>, String> {
        let mut stored = Vec::new();
        let until = Instant::now() + PATIENCE;
        while stored.len() < count {
            let hub = stored.len() % self.world.hubs.len();
            self.number += 1;
            self.run.published.insert(self.number);
            let mut client = Client::new(self.world.hubs[hub].address);
            let body = self.number.to_string();
            // None is repeated: a number that was given up may be stored all the same.
            match client.send(Method::POST, PATH, &[], body.clone()).await {
                Ok((StatusCode::OK, answer)) => {
                    let said: serde_json::Value =
                        serde_json::from_slice(&answer).unwrap_or_default();
                    stored.extend(Seen::parse(said["id"].as_str().unwrap_or_default(), &body));
                }
                _ if Instant::now() > until => {
                    return Err(format!("hub {hub} takes no events within {PATIENCE:?}"));
                }
                _ => {
                    self.world.supervise().map_err(|error| error.to_string())?;
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        Ok(stored)
    }

    /// Stops all servers, runs `command` for the data of each, and starts them again.
    async fn engine(&mut self, command: &str) -> Result<(), String> {
        let servers = &mut self.world.servers;
        servers.processes.iter_mut().for_each(crate::process::Process::kill);
        for number in 0..servers.processes.len() {
            let data = servers.data(number).display().to_string();
            let command =
                command.replace("{copy}", &format!("{data}.copy")).replace("{data}", &data);
            let status = Command::new("sh").args(["-c", &command]).status();
            if !status.is_ok_and(|status| status.success()) {
                return Err(format!("failed: {command}"));
            }
            servers.processes[number].start().map_err(|error| error.to_string())?;
        }
        self.world.all_ready().await
    }
}

/// Waits until each of `subscribers` has got `events`.
async fn reach(subscribers: &Subscribers, events: usize) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    while subscribers.events_min() < events {
        if Instant::now() > until {
            let least = subscribers.events_min();
            return Err(format!("a subscriber has {least} of {events} events within {PATIENCE:?}"));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
