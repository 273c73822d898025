//! The report as a table for people: each part that is present writes its rows.

use std::fmt;

use super::{Connect, Deliveries, Percentiles, Process, Published, Report, Returns};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "server", &self.server)?;
        self.connect.rows(f)?;
        if let Some(publish) = &self.publish {
            publish.rows(f)?;
        }
        if let Some(seen) = &self.deliveries {
            seen.rows(f, self.seconds)?;
        }
        if let Some(returns) = &self.returns {
            returns.rows(f)?;
        }
        if let Some(first) = &self.first_event_ms {
            row(f, "first event", first)?;
        }
        if let Some(process) = &self.process {
            process.rows(f)?;
        }
        if let Some(cores) = self.generator_cores {
            row(f, "generator CPU", format_args!("{cores:.2} cores"))?;
        }
        Ok(())
    }
}

impl Connect {
    fn rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subscribers, stalled, per_second, retries, lost, ended, .. } = *self;
        if subscribers == 0 {
            return Ok(());
        }
        let (all, rate) = (thousands(subscribers as f64), thousands(per_second));
        let stalled = match stalled {
            0 => String::new(),
            stalled => format!(", {stalled} of them stalled"),
        };
        row(f, "subscribers", format_args!("{all}{stalled}, connected at {rate}/s"))?;
        row(f, "  connect", &self.ms)?;
        if retries + lost + ended > 0 {
            let text = format!("{retries} attempts retried, {lost} lost, {ended} ended by 204");
            row(f, "  trouble", text)?;
        }
        Ok(())
    }
}

impl Published {
    fn rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = thousands(self.requests_per_second);
        if self.events == self.requests {
            row(f, "published", format_args!("{requests} events/s"))?;
        } else {
            let events = thousands(self.events_per_second);
            row(f, "published", format_args!("{events} events/s in {requests} requests/s"))?;
        }
        row(f, "  answered", &self.ms)?;
        if self.unknown > 0 {
            let status = match self.refused_status {
                Some(code) => format!("status {code}"),
                None => "connection lost".to_owned(),
            };
            row(f, "  refused", format_args!("{} events ({status})", self.unknown))?;
        }
        Ok(())
    }
}

impl Deliveries {
    fn rows(&self, f: &mut fmt::Formatter<'_>, seconds: f64) -> fmt::Result {
        let (count, rate) = (thousands(self.count as f64), thousands(self.per_second));
        row(f, "delivered", format_args!("{rate} deliveries/s ({count} in {seconds:.1} s)"))?;
        row(f, "  latency", &self.ms)?;
        let Self { losses, duplicates, order_faults, strays, .. } = self;
        let all = thousands(self.expected as f64);
        let faults = format!(
            "{losses} lost, {duplicates} twice, {order_faults} out of order, {strays} astray, \
             of {all}"
        );
        row(f, "  faults", faults)?;
        let last = format_args!("{:.3} s after the last publish", self.drain_seconds);
        row(f, "  last arrival", last)
    }
}

impl Returns {
    fn rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, returned, resumed, reset, seconds } = self;
        let time = seconds.map_or(String::new(), |time| format!(" within {time:.1} s"));
        let text = format!(
            "{lost} connections lost, {returned} reconnected{time} ({resumed} resumed, {reset} \
             reset)"
        );
        row(f, "reconnected", text)
    }
}

impl Process {
    fn rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "server CPU", format_args!("{:.2} cores", self.cpu_cores))?;
        if let Some(us) = self.cpu_us_per_delivery {
            row(f, "  a delivery", format_args!("{us:.2} µs"))?;
        }
        if let Some(us) = self.cpu_us_per_event {
            row(f, "  an event", format_args!("{us:.2} µs"))?;
        }
        let [before, connected, end] =
            [self.memory_before_bytes, self.memory_connected_bytes, self.memory_end_bytes]
                .map(|bytes| format!("{:.1} MiB", bytes as f64 / 1_048_576.0));
        let memory = format_args!("{before} before, {connected} connected, {end} at the end");
        row(f, "server memory", memory)?;
        if let Some(bytes) = self.memory_per_subscriber_bytes {
            row(f, "  a subscriber", format_args!("{} bytes", thousands(bytes)))?;
        }
        Ok(())
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, max } = self;
        write!(f, "p50 {p50:.3}  p90 {p90:.3}  p99 {p99:.3}  p99.9 {p999:.3}  max {max:.3} ms")
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "{name:<16}{value}")
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
