//! The rules of retention, as `tidings check` shows them: with their defaults.

use tidings_hub::Topic;
use tidings_store_disk::{Promise, Rule};

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_config::HubConfig;
use crate::settings::{Origin, Settings, format_bytes, format_duration};

/// The lines about a rule.
pub(super) fn rule(rule: &Rule, origin: &Origin, hub: &HubConfig) -> String {
    let topics: Vec<_> =
        rule.topics.iter().map(|topic| format!("{:?}", topic.to_string())).collect();
    let head = format!("[[retention]] {:<30} # {origin}", format!("{:?}", rule.name));
    format!("{head}\n  topics = [{}]\n  {}", topics.join(", "), kept(rule, hub))
}

/// What a rule keeps, in words.
fn kept(rule: &Rule, hub: &HubConfig) -> String {
    let disk = &hub.store.disk;
    let bytes = format_bytes(rule.bytes.unwrap_or(disk.retention_bytes));
    let age = format_duration(rule.age.unwrap_or(disk.retention_age));
    match (rule.promise, rule.age) {
        (Some(Promise::State), _) => format!(
            "keeps the newest event of each key until it is removed, and the newest event without \
             a key of each topic; others for {age}; all in no more than {bytes}"
        ),
        (None, _) => format!("keeps events for {age}, and no more than {bytes} of them"),
        (Some(Promise::Last(count)), None) => {
            format!("keeps the last {count} events of each topic, in no more than {bytes}")
        }
        (Some(Promise::Last(count)), Some(_)) => format!(
            "keeps the last {count} events of each topic, and others for {age}, in no more than \
             {bytes}"
        ),
    }
}

/// Which rule events on `topic` fall under.
///
/// # Errors
///
/// It is not a topic.
pub(super) fn explain(settings: &Settings, topic: &str) -> Result<String, CliError> {
    let parsed = Topic::new(topic).map_err(|error| {
        CliError::new(ExitCode::Usage, format!("{topic:?} is not a topic")).because(error)
    })?;
    let matching = settings.retention.iter().find_map(|table| {
        let matcher = table.rule.topics.iter().find(|matcher| matcher.matches(&parsed))?;
        Some((table, matcher))
    });
    Ok(match matching {
        Some((table, matcher)) => format!(
            "{topic}: the rule {:?} ({matcher}) {}\n",
            table.rule.name,
            kept(&table.rule, &settings.hub)
        ),
        None => {
            let disk = &settings.hub.store.disk;
            format!(
                "{topic}: no rule; retention-age and retention-bytes keep it for {}, in no more \
                 than {} with all others\n",
                format_duration(disk.retention_age),
                format_bytes(disk.retention_bytes)
            )
        }
    })
}
