//! The diagnosis, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tidings_client::ShownUrl;
use tidings_doctor::{Diagnosis, Finding, Fix, Head, Observed, Severity, seconds};

use crate::foreign_text::harmless;

/// For people.
pub(super) fn text(observed: &Observed, diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    let mut line = |line: &str| {
        writeln!(text, "{}", harmless(line)).expect("a String takes every write");
    };
    line(&ShownUrl(observed.url.as_str()).to_string());
    if let Ok(head) = &observed.first {
        let by = by(head).map(|by| format!(" by {by}")).unwrap_or_default();
        let (version, status) = (head.version, head.status);
        line(&format!("{version:?} {status}{by}, the head after {}", seconds(head.took)));
    }
    if let Ok(head) = &observed.first
        && !head.redirects.is_empty()
    {
        line(&format!("redirected to {}", ShownUrl(head.url.as_str())));
    }
    let watch = &observed.watch;
    line(&format!(
        "listened for {}: {}, {}, {}",
        seconds(observed.listened),
        counted(watch.events, "event"),
        counted(watch.heartbeats(), "heartbeat"),
        counted(watch.bytes, "byte")
    ));
    for finding in &diagnosis.findings {
        line("");
        line(&format!("{}: {} [{}]", finding.severity.name(), finding.title, finding.code));
        line(&format!("  seen     {}", finding.evidence));
        for fix in sorted(finding, observed) {
            line(&format!("  {:<8} {}", fix.at, fix.line));
        }
    }
    for (what, list) in [("all right", &diagnosis.passed), ("not judged", &diagnosis.unjudged)] {
        if !list.is_empty() {
            line("");
            line(&format!("{what}:"));
            list.iter().for_each(|item| line(&format!("  {item}")));
        }
    }
    line("");
    line(&sum(diagnosis));
    text
}

/// `1 event`, `2 events`.
fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `1 error, 3 warnings`.
fn sum(diagnosis: &Diagnosis) -> String {
    let severities = [
        (Severity::Error, "error", "errors"),
        (Severity::Warning, "warning", "warnings"),
        (Severity::Advice, "piece of advice", "pieces of advice"),
    ];
    let parts = severities.into_iter().filter_map(|(severity, one, several)| {
        let count = diagnosis.count(severity);
        let word = if count == 1 { one } else { several };
        (count > 0).then(|| format!("{count} {word}"))
    });
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() { "nothing wrong was found".to_owned() } else { parts.join(", ") }
}

/// For programs.
pub(super) fn json(observed: &Observed, diagnosis: &Diagnosis) -> Value {
    let head = observed.first.as_ref().ok();
    let ms = |duration: std::time::Duration| duration.as_millis() as u64;
    let delivery: Vec<_> = observed.published.iter().zip(&observed.watch.seen).collect();
    json!({
        "url": ShownUrl(observed.url.as_str()).to_string(),
        "status": head.map(|head| head.status.as_u16()),
        "version": head.map(|head| format!("{:?}", head.version)),
        "by": head.and_then(by),
        "head_ms": head.map(|head| ms(head.took)),
        "first_byte_ms": observed.watch.first_byte.map(ms),
        "listened_ms": ms(observed.listened),
        "events": observed.watch.events,
        "heartbeats": observed.watch.heartbeats(),
        "bytes": observed.watch.bytes,
        "longest_silence_ms": ms(observed.watch.longest_pause),
        "connections": observed.connections.len(),
        "published": delivery.iter().map(|(published, seen)| json!({
            "problem": published.problem,
            "delay_ms": seen.map(|seen| ms(seen.saturating_sub(published.taken))),
        })).collect::<Vec<_>>(),
        "errors": diagnosis.count(Severity::Error),
        "warnings": diagnosis.count(Severity::Warning),
        "worst": diagnosis.worst(),
        "findings": diagnosis.findings,
        "passed": diagnosis.passed,
        "unjudged": diagnosis.unjudged,
    })
}

/// The server that answered, by its own words.
fn by(head: &Head) -> Option<String> {
    let named = ["server", "via"].into_iter().filter_map(|name| head.header(name));
    let named: Vec<_> = named.collect();
    let cloud = ["cf-ray", "x-amz-cf-id", "x-amzn-requestid", "x-azure-ref", "x-served-by"];
    let cloud = cloud.into_iter().find(|name| head.headers.contains_key(*name));
    let names = named.into_iter().chain(cloud.map(str::to_owned)).collect::<Vec<_>>().join(", ");
    Some(names).filter(|names| !names.is_empty())
}

/// The lines of a finding, those for the server that answered first.
fn sorted(finding: &Finding, observed: &Observed) -> Vec<Fix> {
    let by = observed.first.as_ref().ok().and_then(by).unwrap_or_default().to_ascii_lowercase();
    let mut fixes = finding.fixes.clone();
    fixes.sort_by_key(|fix| !by.contains(&fix.at.to_ascii_lowercase()));
    fixes
}
