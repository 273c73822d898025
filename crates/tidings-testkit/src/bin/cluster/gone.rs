//! The stream is deleted while hubs follow it, and comes back from a copy.

use std::sync::Arc;
use std::time::Duration;

use tidings_testkit::checker::{Run, check};
use tokio::time::{Instant, sleep};

use crate::chaos::{judge, logs};
use crate::one_by_one::OneByOne;
use crate::progress::say;
use crate::subscriber::{Got, Habits, Subscribers};
use crate::world::{PATIENCE, World};

/// Events before and after.
const EVENTS: usize = 200;

/// Subscribers that stay on their hub, and as many that come while the stream is gone.
const SUBSCRIBERS: usize = 30;

/// The name of the stream, which is the default.
const STREAM: &str = "tidings";

/// The stream is gone for `seconds`.
pub(crate) async fn run(world: &mut World, seconds: u64) -> Result<(), String> {
    let stays = Habits {
        hubs: world.addresses().into(),
        stay_ms: 3_600_000..3_600_001,
        watches: false,
        stays_away: Arc::default(),
    };
    let mut publisher = OneByOne::default();
    let mut kept = publisher.publish(world, EVENTS).await?;
    let witnesses = Subscribers::start(SUBSCRIBERS, &stays);
    witnesses.reach(EVENTS).await?;
    world.copy_engine().await?;

    say(format_args!("the stream is deleted, for {seconds} s"));
    let deleted = world.servers.ask(&format!("STREAM.DELETE.{STREAM}")).await?;
    if deleted["success"] != true {
        return Err(format!("the stream was not deleted: {deleted}"));
    }
    // A hub that starts now does not create another one, either: it serves its copy.
    let last = world.hubs.len() - 1;
    world.hubs[last].process.kill();
    world.hubs[last].process.start().map_err(|error| error.to_string())?;
    world.ready(last, "").await?;
    let newcomers = Subscribers::start(SUBSCRIBERS, &stays);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut turned_away = 0;
    while Instant::now() < until || turned_away == 0 {
        for hub in 0..world.hubs.len() {
            publisher.is_turned_away(world, hub).await?;
            turned_away += 1;
            if !world.hubs[hub].is_ready("").await || world.hubs[hub].is_ready("?for=publish").await
            {
                return Err(format!("hub {hub} does not say that it serves only subscribers"));
            }
        }
        sleep(Duration::from_millis(500)).await;
    }
    newcomers.reach(EVENTS).await?;
    let info = world.servers.ask(&format!("STREAM.INFO.{STREAM}")).await?;
    if info["error"]["code"] != 404 {
        return Err(format!("somebody created the stream: {info}"));
    }
    println!("gone for {seconds} s: {turned_away} publishes turned away, nothing created");

    say("the stream comes back");
    world.put_engine_back().await?;
    kept.extend(publisher.publish(world, EVENTS).await?);
    let run = Run {
        logs: logs(world, kept.len()).await?,
        acknowledged: kept,
        published: publisher.published,
        ..Run::default()
    };
    let events = run.logs[0].len();
    let got = [witnesses.finish(events, PATIENCE).await, newcomers.finish(events, PATIENCE).await];
    let moved =
        |one: &&Got| one.moves.first().is_some_and(|(hub, _)| *hub != last) && one.moves.len() > 1;
    let moved = got.iter().flatten().filter(moved).count();
    println!("{} subscribers, {moved} of hubs that ran on were disconnected", 2 * SUBSCRIBERS);
    if moved > 0 {
        return Err("a stream did not stay".to_owned());
    }
    let findings = check(&run, got.iter().flatten().map(|one| &one.transcript[..]));
    judge(world, &findings, &[])
}
