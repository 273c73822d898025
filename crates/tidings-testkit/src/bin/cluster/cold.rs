//! A hub with an empty data folder.

use std::fs;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tidings_testkit::transcript::Seen;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::client::Client;
use crate::hub::PATH;
use crate::load::{batch, publish_batch};
use crate::progress::{self, say};
use crate::world::World;

/// Events of a batch while the log is filled, and the bytes of each: a body must be below 1 MiB.
const BATCH_EVENTS: usize = 900;
const DATA_BYTES: usize = 1000;

/// Senders of batches on each hub.
const SENDERS: usize = 2;

/// Time that a hub has to fetch the log.
const FETCH_PATIENCE: Duration = Duration::from_secs(300);

/// Interval at which the hub is asked whether it is ready.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Fills the log with `bytes`, empties the folder of a hub, and waits until it is ready.
pub(crate) async fn run(world: &mut World, bytes: u64) -> Result<(), String> {
    let began = Instant::now();
    let hubs = world.addresses();
    let each = (bytes as usize).div_ceil(BATCH_EVENTS * DATA_BYTES * SENDERS * hubs.len());
    let mebibytes = |batches: usize| (batches * BATCH_EVENTS * DATA_BYTES) >> 20;
    let all = mebibytes(each * SENDERS * hubs.len());
    say(format_args!("filling the log with {all} MiB"));
    let stored = Arc::<AtomicUsize>::default();
    let tasks: JoinSet<_> = hubs
        .iter()
        .flat_map(|hub| [*hub; SENDERS])
        .map(|hub| fill(Client::new(hub), each, Arc::clone(&stored)))
        .collect();
    let mut filling = pin!(tasks.join_all());
    while timeout(progress::INTERVAL, &mut filling).await.is_err() {
        say(format_args!("{} of {all} MiB", mebibytes(stored.load(Ordering::Relaxed))));
    }
    let stored = stored.load(Ordering::Relaxed);
    let mebibytes = mebibytes(stored);
    println!("{mebibytes} MiB in {:.1} s", began.elapsed().as_secs_f64());
    if stored < each * SENDERS * hubs.len() {
        return Err("a batch was not acknowledged".to_owned());
    }

    let newest = Client::new(hubs[0]).send(Method::POST, PATH, &[], "1").await;
    let (status, answer) = newest.map_err(|failure| format!("{failure:?}"))?;
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap_or_default();
    let id = answer["id"].as_str().filter(|_| status == StatusCode::OK).ok_or("no event")?;
    let last = world.hubs.len() - 1;
    say(format_args!("hub {last} is killed, loses its folder, and starts"));
    let hub = &mut world.hubs[last];
    hub.process.kill();
    fs::remove_dir_all(&hub.data).map_err(|error| error.to_string())?;
    hub.process.start().map_err(|error| error.to_string())?;
    let (took, refused) = fetched(world, last).await?;
    println!("ready after {:.1} s, 503 {refused} times until then", took.as_secs_f64());

    let second = Client::new(hubs[0]).send(Method::POST, PATH, &[], "2").await;
    second.map_err(|failure| format!("{failure:?}"))?;
    match resume(world, last, id).await {
        Some(Seen { number: 2, .. }) => {
            println!("an id of another hub is resumed");
            Ok(())
        }
        other => Err(format!("an id of another hub is not resumed: {other:?}")),
    }
}

/// Waits until the hub is ready. Returns how long that took, and how often it said before that it
/// was not: it must say so at least once.
async fn fetched(world: &World, hub: usize) -> Result<(Duration, usize), String> {
    let address = world.hubs[hub].address;
    let (began, mut refused) = (Instant::now(), 0);
    let mut said = began;
    loop {
        if said.elapsed() > progress::INTERVAL {
            said = Instant::now();
            say("it is still fetching the log");
        }
        let answer = Client::new(address).send(Method::GET, "/readyz", &[], "").await;
        match answer {
            Ok((StatusCode::OK, _)) if refused == 0 => {
                return Err("the hub is ready before it has the log".to_owned());
            }
            Ok((StatusCode::OK, _)) => return Ok((began.elapsed(), refused)),
            Ok((StatusCode::SERVICE_UNAVAILABLE, _)) => refused += 1,
            // It does not listen yet.
            _ => {}
        }
        if began.elapsed() > FETCH_PATIENCE {
            return Err(format!("the hub is not ready within {FETCH_PATIENCE:?}"));
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// Publishes batches one after the other, up to the first that is not acknowledged.
async fn fill(mut client: Client, batches: usize, stored: Arc<AtomicUsize>) {
    let body = batch(BATCH_EVENTS, DATA_BYTES);
    for _ in 0..batches {
        if !publish_batch(&mut client, body.clone()).await {
            return;
        }
        stored.fetch_add(1, Ordering::Relaxed);
    }
}

/// The first event after `id`, if it is not behind a reset.
async fn resume(world: &World, hub: usize, id: &str) -> Option<Seen> {
    let mut client = Client::new(world.hubs[hub].address);
    let headers = [("accept", "text/event-stream"), ("last-event-id", id)];
    let mut answer = client.begin(Method::GET, PATH, &headers, "".into()).await.ok()?;
    let mut decoder = tidings_codec::Decoder::new();
    let until = Instant::now() + Duration::from_secs(10);
    while let Ok(Some(Ok(frame))) =
        timeout(until.saturating_duration_since(Instant::now()), answer.body_mut().frame()).await
    {
        let chunk = frame.into_data().ok()?;
        let mut input = &chunk[..];
        while let Ok(Some(item)) = decoder.next(&mut input) {
            match item {
                tidings_codec::Item::Event(event) if event.event_type() == "message" => {
                    return Seen::parse(event.last_event_id(), event.data());
                }
                tidings_codec::Item::Event(event) if event.event_type() == "tidings.reset" => {
                    return None;
                }
                _ => {}
            }
        }
    }
    None
}
