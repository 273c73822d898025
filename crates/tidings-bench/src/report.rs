mod table;

use serde::Serialize;

use crate::latency::Latency;

/// The result of a run. Serialised, it is the JSON of `--json`; displayed, the table.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The subscribe URL's host and path.
    pub server: String,
    /// Measured time, in seconds.
    pub seconds: f64,
    /// Connecting the subscribers.
    pub connect: Connect,
    /// Publishing; absent when nothing was published.
    pub publish: Option<Published>,
    /// Deliveries; absent when nothing was published or there were no readers.
    pub deliveries: Option<Deliveries>,
    /// Reconnections; absent without `--reconnect`.
    pub returns: Option<Returns>,
    /// Time from connecting to the first event; absent without `--last-event-id`.
    pub first_event_ms: Option<Percentiles>,
    /// Cost of the server; absent without `--pid`.
    pub process: Option<Process>,
    /// Cores that the generator kept busy: if this is near the number of its threads, it measured
    /// itself.
    pub generator_cores: Option<f64>,
}

/// Connecting the subscribers.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Connect {
    /// Connections that were open when publishing began.
    pub subscribers: usize,
    /// Number of them that never read.
    pub stalled: usize,
    /// Connections opened per second.
    pub per_second: f64,
    /// Time from the first packet to the response head.
    pub ms: Percentiles,
    /// Failed attempts that were retried.
    pub retries: u64,
    /// Connections that ended before the run did.
    pub lost: u64,
    /// Subscribers told by 204 not to reconnect.
    pub ended: u64,
}

/// Publishing, as seen by the publishers.
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
    /// Time from the intended time to the answer.
    pub ms: Percentiles,
    /// Events rejected, or of unknown fate because the connection broke, over the whole run.
    pub unknown: u64,
    /// Last status that was not a success.
    pub refused_status: Option<u16>,
}

/// Deliveries, as seen by the subscribers.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Deliveries {
    /// Events that arrived in the measured time.
    pub count: u64,
    /// The same per second.
    pub per_second: f64,
    /// Time from the intended time of publishing to arrival.
    pub ms: Percentiles,
    /// Deliveries expected over the whole run.
    pub expected: u64,
    /// Deliveries that never arrived.
    pub losses: u64,
    /// Arrivals after the first one of an event.
    pub duplicates: u64,
    /// Arrivals after an event that was published later.
    pub order_faults: u64,
    /// Arrivals at subscribers of other topics.
    pub strays: u64,
    /// Time between the last publish and the last arrival, in seconds.
    pub drain_seconds: f64,
}

/// Reconnections of subscribers.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Returns {
    /// Connections that ended.
    pub lost: u64,
    /// Reconnections.
    pub returned: u64,
    /// Answers that said the subscription continues where it was.
    pub resumed: u64,
    /// Answers that said it cannot.
    pub reset: u64,
    /// Time from the first end to the last reconnection, in seconds.
    pub seconds: Option<f64>,
}

/// Cost of the server.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Process {
    /// Cores kept busy in the measured time.
    pub cpu_cores: f64,
    /// CPU time for each delivery.
    pub cpu_us_per_delivery: Option<f64>,
    /// CPU time for each event published.
    pub cpu_us_per_event: Option<f64>,
    /// Private memory before the first connection, without shared files.
    pub memory_before_bytes: u64,
    /// The same with all connected and idle.
    pub memory_connected_bytes: u64,
    /// The same at the end of the measured time.
    pub memory_end_bytes: u64,
    /// Growth of memory through connecting, per subscriber.
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
    /// Maximum.
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
