//! `tidings demo`: a hub with a counter, a clock, and the demo pages with their publishers.

use std::time::{Duration, SystemTime};

use tidings_engine::Engine;
use tidings_hub::{Draft, EventType, Topic};
use tokio::time::{MissedTickBehavior, interval};

use super::serve;
use crate::args::HubArgs;
use crate::demos;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::random;
use crate::settings::{Given, Layer, Origin};

pub(super) fn run(args: &HubArgs) -> Result<ExitCode, CliError> {
    let pages = [tidings_web::DEMO, demos::SOURCES];
    // The key of this run, which only this process knows.
    let secret: [u8; 32] = random::bytes()?;
    let key: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    serve::run_with(args, preferences(), &pages, Some(&key), |engine, server| {
        let url = format!("http://{}", server.local_addr());
        Some(tokio::spawn(publish(engine.clone(), url, key.clone())))
    })
}

/// The other defaults of a demo: it leaves nothing behind, and pages of any origin may use it.
fn preferences() -> Layer {
    let given = |text: &str| Given { texts: vec![text.to_owned()], origin: Origin::Demo };
    let values = [("store", given("memory")), ("cors-origin", given("*"))];
    Layer { values: values.into(), ..Layer::default() }
}

/// Publishes until the hub shuts down.
async fn publish(engine: Engine, url: String, key: String) {
    // They publish by HTTP, and end with this task.
    let _pages = demos::start(&url, &key).inspect_err(|error| {
        tracing::warn!(%error, "the demo pages have no publishers");
    });
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut arrivals = 0;
    let mut ticks: u64 = 0;
    loop {
        tick.tick().await;
        let mut drafts = Vec::new();
        let arrived = arrived(&engine);
        if ticks == 0 || arrived > arrivals {
            drafts.push(event("counter", None, "Connected to server".to_owned()));
            drafts.push(event("clock", Some("connecttime"), date()));
        }
        arrivals = arrived;
        ticks += 1;
        if ticks.is_multiple_of(COUNTER_TICKS) {
            let number = ticks / COUNTER_TICKS;
            drafts.push(event("counter", None, format!("Message {number}")));
        }
        if ticks.is_multiple_of(CLOCK_TICKS) {
            drafts.push(event("clock", None, date()));
        }
        if drafts.is_empty() {
            continue;
        }
        if let Err(error) = engine.publish(drafts).await {
            tracing::warn!(%error, "the demo has stopped publishing");
            return;
        }
    }
}

/// How many subscribers have ever come.
fn arrived(engine: &Engine) -> u64 {
    let status = engine.status();
    let left: u64 = status.closes.iter().map(|(_, count)| count).sum();
    left + status.subscribers as u64
}

fn event(topic: &str, event_type: Option<&str>, data: String) -> Draft {
    Draft {
        event_type: event_type.map(|text| EventType::new(text).expect("a word")),
        ..Draft::new(Topic::new(topic).expect("a word"), data)
    }
}

/// `Mon, 12 Oct 2026 08:00:00 GMT`.
fn date() -> String {
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Short enough to greet a new subscriber at once.
const TICK: Duration = Duration::from_millis(100);

/// A message every two seconds.
const COUNTER_TICKS: u64 = 20;

/// The date every second.
const CLOCK_TICKS: u64 = 10;
