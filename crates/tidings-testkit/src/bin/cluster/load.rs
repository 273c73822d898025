//! How quickly events are acknowledged and delivered, and how many.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::hub::PATH;
use crate::progress::say;
use crate::publisher::{Publisher, Publishers};
use crate::subscriber::{Habits, Subscribers};
use crate::world::{PATIENCE, World};

/// Events in one request of a batch, and bytes of the data of each.
const BATCH_EVENTS: usize = 100;
const DATA_BYTES: usize = 200;

/// Latency of acknowledgement and delivery at 100 events per second and hub, sent on schedule.
pub(crate) async fn latency(world: &World, seconds: u64) -> Result<(), String> {
    let hubs: Arc<[_]> = world.addresses().into();
    say(format_args!("100 events/s on each hub for {seconds} s"));
    // They stay, one on each hub.
    let stay_ms = 3_600_000..3_600_001;
    let habits =
        Habits { hubs: Arc::clone(&hubs), stay_ms, watches: true, stays_away: Arc::default() };
    let subscribers = Subscribers::start(hubs.len(), &habits);
    let per_hub = 4;
    let publishers = Publishers::start((0..hubs.len() * per_hub).map(|number| Publisher {
        number: number as u64,
        hubs: Arc::clone(&hubs),
        hub: number % hubs.len(),
        is_named: false,
        interval: Duration::from_millis(10 * per_hub as u64),
        waits: false,
        bytes: DATA_BYTES,
    }));
    sleep(Duration::from_secs(seconds)).await;
    let published = publishers.finish(PATIENCE).await?;
    let got = subscribers.finish(published.acknowledged.len(), PATIENCE).await;
    // The first two seconds warm everything up.
    let warm = published.acknowledged.iter().map(|one| one.due).min();
    let warm = warm.unwrap_or_else(Instant::now) + Duration::from_secs(2);
    let measured: HashMap<u64, _> = published
        .acknowledged
        .iter()
        .filter(|one| one.due > warm)
        .map(|one| (one.seen.number, one))
        .collect();
    print("acknowledged", measured.values().map(|one| one.took).collect());
    let arrivals = got.iter().flat_map(|one| &one.arrivals);
    let elsewhere = arrivals.filter_map(|(number, hub, at)| {
        let one = measured.get(number).filter(|one| one.hub != *hub)?;
        Some(at.saturating_duration_since(one.due))
    });
    print("delivered by another hub", elsewhere.collect());
    Ok(())
}

/// Events that all hubs together acknowledge while each has more to do than it can.
pub(crate) async fn throughput(world: &World, seconds: u64) -> Result<(), String> {
    let hubs: Arc<[_]> = world.addresses().into();
    for per_hub in [16, 64, 256] {
        say(format_args!("{per_hub} publishers on each hub for {seconds} s"));
        let publishers = Publishers::start((0..hubs.len() * per_hub).map(|number| Publisher {
            number: number as u64,
            hubs: Arc::clone(&hubs),
            hub: number % hubs.len(),
            is_named: false,
            interval: Duration::ZERO,
            waits: true,
            bytes: DATA_BYTES,
        }));
        let began = Instant::now();
        sleep(Duration::from_secs(seconds)).await;
        let published = publishers.finish(PATIENCE).await?;
        let took = began.elapsed().as_secs_f64();
        let mut each = vec![0; hubs.len()];
        published.acknowledged.iter().for_each(|one| each[one.hub] += 1);
        let all = published.acknowledged.len() as f64 / took;
        println!("{per_hub} publishers on each hub: {all:.0} events/s, on each hub {each:?}");
        print("acknowledged", published.acknowledged.iter().map(|one| one.took).collect());
    }
    for per_hub in [1, 4] {
        say(format_args!("{per_hub} senders of batches on each hub for {seconds} s"));
        let began = Instant::now();
        let until = began + Duration::from_secs(seconds);
        let tasks: JoinSet<_> = hubs
            .iter()
            .flat_map(|hub| vec![*hub; per_hub])
            .map(|hub| batches(Client::new(hub), until))
            .collect();
        let counts = tasks.join_all().await;
        let all = counts.iter().sum::<usize>() as f64 / began.elapsed().as_secs_f64();
        println!("{per_hub} senders of batches of {BATCH_EVENTS} on each hub: {all:.0} events/s");
    }
    Ok(())
}

/// Publishes batches one after the other. Returns the number of events that were acknowledged.
async fn batches(mut client: Client, until: Instant) -> usize {
    let body = batch(BATCH_EVENTS, DATA_BYTES);
    let mut count = 0;
    while Instant::now() < until {
        if publish_batch(&mut client, body.clone()).await {
            count += BATCH_EVENTS;
        }
    }
    count
}

/// A batch of `events` with `bytes` of data each.
pub(crate) fn batch(events: usize, bytes: usize) -> String {
    let line = format!("{{\"data\":\"0 {}\"}}\n", "x".repeat(bytes - 2));
    line.repeat(events)
}

/// Publishes a batch. Returns whether it was acknowledged.
pub(crate) async fn publish_batch(client: &mut Client, body: String) -> bool {
    let headers = [("content-type", "application/x-ndjson")];
    let answer = client.send(Method::POST, PATH, &headers, body).await;
    answer.is_ok_and(|(status, _)| status == StatusCode::OK)
}

/// Prints the distribution of `times`.
pub(crate) fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times.get(place.min(times.len().saturating_sub(1))).map_or(0.0, Duration::as_secs_f64) * 1e3
    };
    println!(
        "{what}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms, of {}",
        at(0.5),
        at(0.99),
        at(1.0),
        times.len(),
    );
}
