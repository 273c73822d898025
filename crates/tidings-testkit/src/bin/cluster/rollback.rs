//! The engine loses what it had acknowledged, as when an old copy of its disks is put back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidings_testkit::checker::{Run, check};
use tokio::time::{Instant, sleep};

use crate::chaos::{judge, logs};
use crate::one_by_one::OneByOne;
use crate::progress::say;
use crate::subscriber::{Habits, Subscribers};
use crate::world::{PATIENCE, World};

/// Blocks that the engine loses each time, and how many are published after that.
const LOST_BLOCKS: usize = 50;
const NEW_BLOCKS: usize = 60;

/// Subscribers that hold the lost events, and as many that were away when they were published.
const SUBSCRIBERS: usize = 10;

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
    let mut publisher = OneByOne::default();
    let (mut kept, mut lost) = (Vec::new(), Vec::new());
    let mut count = 0;
    let mut got_by_holders = 0;
    while count < times && Instant::now() < until {
        say(format_args!("rollback {} of {times}", count + 1));
        kept.extend(publisher.publish(world, NEW_BLOCKS).await?);
        got_by_holders += NEW_BLOCKS;
        others.reach(kept.len()).await?;
        holders.reach(got_by_holders).await?;
        world.copy_engine().await?;
        away.store(true, Ordering::Relaxed);
        // They look up once a second.
        sleep(Duration::from_millis(1200)).await;
        lost.extend(publisher.publish(world, LOST_BLOCKS).await?);
        got_by_holders += LOST_BLOCKS;
        holders.reach(got_by_holders).await?;
        world.put_engine_back().await?;
        count += 1;
        kept.extend(publisher.publish(world, NEW_BLOCKS).await?);
        got_by_holders += NEW_BLOCKS;
        away.store(false, Ordering::Relaxed);
        others.reach(kept.len()).await?;
        holders.reach(got_by_holders).await?;
    }
    say("hubs and subscribers catch up");
    let run = Run {
        logs: logs(world, kept.len()).await?,
        acknowledged: kept,
        published: publisher.published,
        lost: lost.into_iter().collect(),
    };
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
