use std::fmt;

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

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, max } = self;
        write!(f, "p50 {p50:.3}  p90 {p90:.3}  p99 {p99:.3}  p99.9 {p999:.3}  max {max:.3} ms")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, name: &str, value: String| {
            writeln!(f, "{name:<16}{value}")
        };
        row(f, "server", self.server.clone())?;
        let connect = &self.connect;
        if connect.subscribers > 0 {
            let stalled = match connect.stalled {
                0 => String::new(),
                stalled => format!(", {stalled} of them stalled"),
            };
            let (all, rate) =
                (thousands(connect.subscribers as f64), thousands(connect.per_second));
            row(f, "subscribers", format!("{all}{stalled}, connected at {rate}/s"))?;
            row(f, "  connect", connect.ms.to_string())?;
            if connect.retries + connect.lost + connect.ended > 0 {
                let Connect { retries, lost, ended, .. } = connect;
                let text =
                    format!("{retries} attempts repeated, {lost} lost, {ended} ended by 204");
                row(f, "  trouble", text)?;
            }
        }
        if let Some(publish) = &self.publish {
            let requests = thousands(publish.requests_per_second);
            let text = if publish.events == publish.requests {
                format!("{requests} events/s")
            } else {
                format!(
                    "{} events/s in {requests} requests/s",
                    thousands(publish.events_per_second)
                )
            };
            row(f, "published", text)?;
            row(f, "  answered", publish.ms.to_string())?;
            if publish.unknown > 0 {
                let status = publish.refused_status;
                let status =
                    status.map_or("connection lost".to_owned(), |code| format!("status {code}"));
                row(f, "  refused", format!("{} events ({status})", publish.unknown))?;
            }
        }
        if let Some(seen) = &self.deliveries {
            let (count, rate) = (thousands(seen.count as f64), thousands(seen.per_second));
            row(f, "delivered", format!("{rate} deliveries/s ({count} in {:.1} s)", self.seconds))?;
            row(f, "  latency", seen.ms.to_string())?;
            let Deliveries { losses, duplicates, order_faults, strays, .. } = seen;
            let text = format!(
                "{losses} lost, {duplicates} twice, {order_faults} out of order, \
                 {strays} astray, of {}",
                thousands(seen.expected as f64)
            );
            row(f, "  faults", text)?;
            row(
                f,
                "  last arrival",
                format!("{:.3} s after the last publish", seen.drain_seconds),
            )?;
        }
        if let Some(returns) = &self.returns {
            let Returns { lost, returned, resumed, reset, .. } = returns;
            let time = returns.seconds.map_or(String::new(), |time| format!(" within {time:.1} s"));
            let text = format!(
                "{lost} connections lost, {returned} came back{time} \
                 ({resumed} resumed, {reset} reset)"
            );
            row(f, "reconnected", text)?;
        }
        if let Some(first) = &self.first_event_ms {
            row(f, "first event", first.to_string())?;
        }
        if let Some(process) = &self.process {
            row(f, "server CPU", format!("{:.2} cores", process.cpu_cores))?;
            if let Some(us) = process.cpu_us_per_delivery {
                row(f, "  a delivery", format!("{us:.2} µs"))?;
            }
            if let Some(us) = process.cpu_us_per_event {
                row(f, "  an event", format!("{us:.2} µs"))?;
            }
            let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / 1_048_576.0);
            let Process { memory_before_bytes, memory_connected_bytes, memory_end_bytes, .. } =
                process;
            let text = format!(
                "{} before, {} connected, {} at the end",
                mib(*memory_before_bytes),
                mib(*memory_connected_bytes),
                mib(*memory_end_bytes)
            );
            row(f, "server memory", text)?;
            if let Some(bytes) = process.memory_per_subscriber_bytes {
                row(f, "  a subscriber", format!("{} bytes", thousands(bytes)))?;
            }
        }
        if let Some(cores) = self.generator_cores {
            row(f, "generator CPU", format!("{cores:.2} cores"))?;
        }
        Ok(())
    }
}

/// A number rounded, in groups of three digits.
fn thousands(value: f64) -> String {
    if value.abs() < 100.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = if value < 0.0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in
            [(0.0, "0"), (12.34, "12.3"), (999.9, "1,000"), (-1_234_567.0, "-1,234,567")]
        {
            assert_eq!(thousands(value), text);
        }
    }
}
