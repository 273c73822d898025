//! What the rules of retention keep. A rule is named by its number in the configuration and by its
//! name, which another rule may have, too; 0 is what falls under none.

use tidings_hub::{Retained, RetainedByRule};

use super::exposition::Exposition;
use super::exposition::Kind::{Counter, Gauge};

pub(super) fn write(page: &mut Exposition, retained: &Retained) {
    let mut of_rules = |name, kind, help, value: fn(&RetainedByRule) -> Option<f64>| {
        page.family(name, kind, help);
        for (number, rule) in retained.rules.iter().enumerate() {
            let labels =
                [("rule", &*number.to_string()), ("name", rule.name.as_deref().unwrap_or(""))];
            if let Some(value) = value(rule) {
                page.sample(&labels, value);
            }
        }
    };
    let help = "Events that a rule of retention keeps.";
    of_rules("tidings_retention_events", Gauge, help, |rule| Some(rule.events as f64));
    let help = "Bytes that they take, with their indexes.";
    of_rules("tidings_retention_bytes", Gauge, help, |rule| Some(rule.bytes as f64));
    let help = "Bytes that they may take.";
    of_rules("tidings_retention_bytes_max", Gauge, help, |rule| Some(rule.bytes_max as f64));
    let help = "Time of the oldest of them.";
    of_rules("tidings_retention_oldest_timestamp_seconds", Gauge, help, |rule| {
        rule.oldest.map(|oldest| oldest.as_millis() as f64 / 1000.0)
    });
    let help = "Events that were dropped under a rule of retention since the start.";
    of_rules("tidings_retention_dropped_total", Counter, help, |rule| Some(rule.dropped as f64));
    let help = "Bytes written to keep events under a rule of retention since the start.";
    of_rules("tidings_retention_written_bytes_total", Counter, help, |rule| {
        Some(rule.written_bytes as f64)
    });
    let help = "Bytes at the end of the log, to which no rule of retention was applied yet.";
    page.family("tidings_retention_unsorted_bytes", Gauge, help);
    if !retained.rules.is_empty() {
        page.sample(&[], retained.unsorted_bytes as f64);
    }
}
