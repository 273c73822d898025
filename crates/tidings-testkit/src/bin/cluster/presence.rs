//! How soon every hub lists who is connected to another one, and no longer lists who left.

use std::time::Duration;

use http::{Method, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::load::print;
use crate::progress::say;
use crate::world::{PATIENCE, World};

const MERCURE: &str = "/.well-known/mercure";

/// Subscribers that come and leave one after the other.
const COMERS: usize = 100;

/// Subscribers of a hub that is killed.
const OF_KILLED: usize = 100;

/// Times that a hub is killed.
const KILLS: usize = 5;

/// Pause between two looks at a list.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

pub(crate) async fn run(world: &mut World) -> Result<(), String> {
    let (mut comings, mut leavings) = (Vec::new(), Vec::new());
    say(format_args!("{COMERS} subscribers come and leave, one after the other"));
    for number in 0..COMERS {
        let topic = format!("comes-{number}");
        let stream = subscribe(world, number % world.hubs.len(), &topic).await?;
        comings.push(listed_everywhere(world, &topic, 1).await?);
        drop(stream);
        leavings.push(listed_everywhere(world, &topic, 0).await?);
    }
    print("a subscriber is on the list of every hub", comings);
    print("one that left is on none", leavings);

    let mut losses = Vec::new();
    let mut answers = Vec::new();
    for kill in 0..KILLS {
        say(format_args!("hub {} of {KILLS} is killed, with {OF_KILLED} subscribers", kill + 1));
        let hub = kill % world.hubs.len();
        let topic = format!("killed-{kill}");
        let mut streams = Vec::new();
        for _ in 0..OF_KILLED {
            streams.push(subscribe(world, hub, &topic).await?);
        }
        listed_everywhere(world, &topic, OF_KILLED).await?;
        world.hubs[hub].process.kill();
        let others: Vec<_> = (0..world.hubs.len()).filter(|other| *other != hub).collect();
        losses.push(listed(world, &others, &topic, 0, Some(&mut answers)).await?);
        drop(streams);
        world.hubs[hub].process.start().map_err(|error| error.to_string())?;
        world.all_ready().await?;
        let until = Instant::now() + PATIENCE;
        while asked(world, 0, &topic).await?.0 < world.hubs.len() as u64 {
            if Instant::now() > until {
                return Err(format!("not all hubs answer {PATIENCE:?} after one was killed"));
            }
            sleep(LOOK_INTERVAL).await;
        }
    }
    print("the subscribers of a killed hub are on no list", losses);
    let parts = answers.iter().filter(|(answered, known)| answered < known).count();
    println!(
        "{} answers about all hubs meanwhile, {parts} said that a hub is missing",
        answers.len()
    );
    if parts == 0 {
        return Err("no answer said that a hub is missing".to_owned());
    }
    Ok(())
}

async fn subscribe(
    world: &World,
    hub: usize,
    topic: &str,
) -> Result<http::Response<Incoming>, String> {
    let mut client = Client::new(world.hubs[hub].address);
    let target = format!("{MERCURE}?topic={topic}");
    let answer = tokio::time::timeout(
        PATIENCE,
        client.begin(Method::GET, &target, &[("accept", "text/event-stream")], "".into()),
    );
    match answer.await {
        Ok(Ok(answer)) if answer.status() == StatusCode::OK => Ok(answer),
        other => Err(format!("hub {hub} does not take a subscriber: {other:?}")),
    }
}

async fn listed_everywhere(world: &World, topic: &str, count: usize) -> Result<Duration, String> {
    let all: Vec<_> = (0..world.hubs.len()).collect();
    listed(world, &all, topic, count, None).await
}

/// Waits until the lists of all `hubs` have `count` subscribers of `topic`, and returns how long
/// that took. Into `answers` goes what they say meanwhile about how many hubs have answered, and
/// how many are known.
async fn listed(
    world: &World,
    hubs: &[usize],
    topic: &str,
    count: usize,
    mut answers: Option<&mut Vec<(u64, u64)>>,
) -> Result<Duration, String> {
    let began = Instant::now();
    let target = format!("{MERCURE}/subscriptions/{topic}");
    for hub in hubs {
        let mut client = Client::new(world.hubs[*hub].address);
        loop {
            let list = client.get(&target).await.unwrap_or_default();
            let there = list["subscriptions"].as_array().map(Vec::len);
            if there == Some(count) {
                break;
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("hub {hub} lists {there:?} subscribers, and not {count}"));
            }
            match &mut answers {
                Some(answers) => answers.push(asked(world, *hub, topic).await?),
                None => sleep(LOOK_INTERVAL).await,
            }
        }
    }
    Ok(began.elapsed())
}

/// How many hubs have answered when `hub` was asked about all, and how many it knows.
async fn asked(world: &World, hub: usize, topic: &str) -> Result<(u64, u64), String> {
    let mut client = Client::new(world.hubs[hub].address);
    let answer = client.get(&format!("/connections?topic={topic}")).await.unwrap_or_default();
    let count = |name: &str| Value::as_u64(&answer["hubs"][name]);
    count("answered")
        .zip(count("known"))
        .ok_or_else(|| format!("hub {hub} does not say how many hubs have answered: {answer}"))
}
