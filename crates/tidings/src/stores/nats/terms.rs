//! The settings that all hubs on a log need alike, as they stand in the description of the stream.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use tidings_store_disk::{Promise, Rule};
use tidings_store_shared::Terms;

use crate::hub_config::HubConfig;
use crate::settings::{format_bytes, format_duration};

/// Bytes of the text of the rules. At the edge: a digest stands for them. A description has 4 KiB
/// for all settings together.
const RULES_BYTES_MAX: usize = 1024;

/// The settings that all hubs on a log need alike: any of them drops events for all, and what one
/// keeps all have to keep.
pub(super) fn terms(hub: &HubConfig) -> Terms {
    let disk = &hub.store.disk;
    let topics_max = match hub.engine.topics_max {
        usize::MAX => "unlimited".to_owned(),
        count => count.to_string(),
    };
    Terms::new([
        ("retention-bytes", format_bytes(disk.retention_bytes)),
        ("retention-age", format_duration(disk.retention_age)),
        ("retention-rules", rules(&disk.rules)),
        ("max-topics", topics_max),
    ])
}

/// The rules in order, without their names: `runs/** age 1 hour, notify/** keep-last 50`.
fn rules(rules: &[Rule]) -> String {
    if rules.is_empty() {
        return "none".to_owned();
    }
    let text = rules.iter().map(rule).collect::<Vec<_>>().join(", ");
    if text.len() <= RULES_BYTES_MAX {
        return text;
    }
    let hash = digest(&SHA256, text.as_bytes());
    let mut short = format!("{} rules with the digest ", rules.len());
    for byte in &hash.as_ref()[..8] {
        let _ = write!(short, "{byte:02x}");
    }
    short
}

fn rule(rule: &Rule) -> String {
    let topics = rule.topics.iter().map(|topic| without_marks(&topic.to_string()));
    let mut words: Vec<_> = topics.collect();
    match rule.promise {
        Some(Promise::Last(count)) => words.push(format!("keep-last {count}")),
        Some(Promise::State) => words.push("state".to_owned()),
        None => {}
    }
    words.extend(rule.age.map(|age| format!("age {}", format_duration(age))));
    words.extend(rule.bytes.map(|bytes| format!("bytes {}", format_bytes(bytes))));
    words.join(" ")
}

/// `text` without what separates settings, rules and their parts.
fn without_marks(text: &str) -> String {
    let mut without = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '%' | '=' | ';' | ',' => {
                let _ = write!(without, "%{:02X}", u32::from(char));
            }
            _ if char.is_control() || char.is_whitespace() => {
                let _ = write!(without, "%{:02X}", u32::from(char));
            }
            _ => without.push(char),
        }
    }
    without
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::num::NonZeroU32;
    use std::time::Duration;

    use tidings_hub::Matcher;

    use super::*;

    fn of(topics: &[&str], promise: Option<Promise>) -> Rule {
        let topics = topics.iter().map(|text| Matcher::parse(text).unwrap()).collect();
        Rule { name: "a name".into(), topics, age: None, bytes: None, promise }
    }

    #[test]
    fn rules_read_as_an_operator_writes_them() {
        assert_eq!(rules(&[]), "none");
        let last = NonZeroU32::new(50).map(Promise::Last);
        let age = Some(Duration::from_secs(3600));
        let all = [
            Rule { age, bytes: Some(256 << 20), ..of(&["runs/**", "jobs/*"], None) },
            of(&["notify/**"], last),
            Rule { age: Some(Duration::from_secs(90)), ..of(&["boards/**"], Some(Promise::State)) },
        ];
        let text = rules(&all);
        assert_eq!(
            text,
            "runs/** jobs/* age 1 hour bytes 256 MiB, notify/** keep-last 50, boards/** state age \
             90 seconds"
        );
        let mut other = all.clone();
        other.swap(0, 1);
        assert_ne!(rules(&other), text, "the first that matches counts");
        other.swap(0, 1);
        other[1].name = "another".into();
        assert_eq!(rules(&other), text, "a name keeps nothing");
    }

    #[test]
    fn a_topic_cannot_end_the_setting_or_the_rule_that_it_is_in() {
        let strange = of(&["a=b;c,d e%"], NonZeroU32::new(1).map(Promise::Last));
        let text = rules(&[strange]);
        assert_eq!(text, "a%3Db%3Bc%2Cd%20e%25 keep-last 1");
        let terms = Terms::new([("retention-rules", text)]);
        assert_eq!(Terms::parse(&terms.to_string()), terms);
    }

    #[test]
    fn many_rules_are_a_digest_that_another_number_changes() {
        let rule = |n: u64| Rule {
            bytes: Some(n),
            ..of(&[&format!("a/long/name/of/topics/that/a/rule/is/for/{n}")], None)
        };
        let mut all: Vec<_> = (1..=32).map(rule).collect();
        let text = rules(&all);
        assert!(text.starts_with("32 rules with the digest ") && text.len() < 50, "{text}");
        assert_eq!(rules(&all.clone()), text);
        all[31].bytes = Some(7);
        assert_ne!(rules(&all), text);
    }
}
