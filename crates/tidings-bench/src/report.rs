mod table;

use serde::Serialize;

use crate::latency::Latency;

/// What a run found. Serialised, it is the JSON of `--json`; displayed, the table.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The subscribe URL's host and path.
    pub server: String,
    /// Seconds measured.
    pub seconds: f64,
    /// How the subscribers got in.
    pub connect: Connect,
    /// What the publishers saw; absent when nothing was published.
    pub publish: Option<Published>,
    /// What the subscribers saw; absent when nothing was published or nobody listened.
    pub deliveries: Option<Deliveries>,
    /// How the subscribers came back; absent without `--reconnect`.
    pub returns: Option<Returns>,
    /// From connecting to the first event; absent without `--last-event-id`.
    pub first_event_ms: Option<Percentiles>,
    /// What the server spent; absent without `--pid`.
    pub process: Option<Process>,
    /// Cores the generator kept busy: near the number of its threads, it measured itself.
    pub generator_cores: Option<f64>,
}

/// How the subscribers got in.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Connect {
    /// Connections that were open when publishing began.
    pub subscribers: usize,
    /// Of them, those that never read.
    pub stalled: usize,
    /// Connections opened per second.
    pub per_second: f64,
    /// From the first packet to the response head.
    pub ms: Percentiles,
    /// Attempts that failed and were made again.
    pub retries: u64,
    /// Connections that ended before the run did.
    pub lost: u64,
    /// Subscribers told by 204 not to come back.
    pub ended: u64,
}

/// What the publishers saw.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Published {
    /// Requests answered in the measured time.
    pub requests: u64,
    /// Events in them.
    pub events: u64,
    /// Requests per second.
    pub requests_per_second: f64,
    /// Events per second.
    pub events_per_second: f64,
    /// From the intended time to the answer.
    pub ms: Percentiles,
    /// Events refused, or of unknown fate because the connection broke, over the whole run.
    pub unknown: u64,
    /// The last status that was no success.
    pub refused_status: Option<u16>,
}

/// What the subscribers saw.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Deliveries {
    /// Events that arrived in the measured time.
    pub count: u64,
    /// The same per second.
    pub per_second: f64,
    /// From the intended time of publishing to arrival.
    pub ms: Percentiles,
    /// Over the whole run: what should have arrived.
    pub expected: u64,
    /// Never arrived.
    pub losses: u64,
    /// Arrived more than once.
    pub duplicates: u64,
    /// Arrived after an event that was published later.
    pub order_faults: u64,
    /// Arrived at subscribers of other topics.
    pub strays: u64,
    /// How long after the last publish the last event came.
    pub drain_seconds: f64,
}

/// How the subscribers came back.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Returns {
    /// Connections that ended, and those that came back.
    pub lost: u64,
    /// Returns.
    pub returned: u64,
    /// Answers that said the subscription goes on where it was.
    pub resumed: u64,
    /// Answers that said it cannot.
    pub reset: u64,
    /// From the first end to the last return.
    pub seconds: Option<f64>,
}

/// What the server spent.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Process {
    /// Cores kept busy in the measured time.
    pub cpu_cores: f64,
    /// CPU time for each delivery.
    pub cpu_us_per_delivery: Option<f64>,
    /// CPU time for each event published.
    pub cpu_us_per_event: Option<f64>,
    /// Own memory before the first connection, shared files not counted.
    pub memory_before_bytes: u64,
    /// The same with all connected and idle.
    pub memory_connected_bytes: u64,
    /// The same at the end of the measured time.
    pub memory_end_bytes: u64,
    /// Growth from connecting, for each subscriber.
    pub memory_per_subscriber_bytes: Option<f64>,
}

/// Milliseconds.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p999: f64,
    /// The greatest.
    pub max: f64,
}

impl Report {
    /// Whether everything published arrived once, in order.
    pub fn is_clean(&self) -> bool {
        let delivered = self.deliveries.as_ref().is_none_or(|seen| {
            seen.losses == 0 && seen.duplicates == 0 && seen.order_faults == 0 && seen.strays == 0
        });
        delivered && self.publish.as_ref().is_none_or(|publish| publish.unknown == 0)
    }

    /// The report as one JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report has only strings and numbers")
    }
}

impl Percentiles {
    pub(crate) fn of(latency: &Latency) -> Self {
        let ms = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let at = |percent| ms(latency.percentile(percent));
        Self { p50: at(50.0), p90: at(90.0), p99: at(99.0), p999: at(99.9), max: ms(latency.max()) }
    }
}
