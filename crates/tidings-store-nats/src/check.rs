//! What can be seen of the servers and the stream before a hub trusts them with its events.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{self, StreamInfo};
use crate::config::NatsConfig;
use crate::limits::{CLOCK_GAP_MAX, PAYLOAD_BYTES_MIN};
use crate::version::Version;

/// Something about the servers or the stream that endangers events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub what: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// A hub cannot work like that.
    Impossible,
    /// Acknowledged events can be lost: a hub starts only if the operator says so.
    Unsafe,
    /// A hub works, and something could be better.
    Advice,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.hint)
    }
}

/// The first version without a way to lose a stream by kills alone.
const SAFE: Version = Version(2, 10, 23);
/// The first version whose compare-and-set holds while leaders change.
const RECOMMENDED: Version = Version(2, 14, 4);
/// The oldest version that is tested.
const OLDEST: Version = Version(2, 9, 10);

/// Looks at what the servers say of themselves and, if it exists, of the stream.
pub(crate) fn findings(
    version: &str,
    payload_max: usize,
    config: &NatsConfig,
    stream: Option<&StreamInfo>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |severity, what: String, hint| {
        findings.push(Finding { severity, what, hint });
    };
    use Severity::{Advice, Impossible, Unsafe};
    let upgrade = "upgrade the servers to 2.14.4 or later, with `sync_interval: always`";
    match Version::parse(version) {
        Some(known) if known < OLDEST => {
            found(Impossible, format!("the NATS server is version {known}"), upgrade);
        }
        Some(known) if known < SAFE => found(
            Unsafe,
            format!(
                "NATS {known} can lose acknowledged events when a server is killed or a \
                     machine loses power"
            ),
            upgrade,
        ),
        Some(known) if known < RECOMMENDED => {
            found(Advice, format!("the NATS server is version {known}"), upgrade);
        }
        Some(_) => {}
        None => found(Advice, format!("the NATS server says it is version {version:?}"), upgrade),
    }
    if payload_max < PAYLOAD_BYTES_MIN {
        found(
            Impossible,
            format!(
                "the servers take messages of at most {payload_max} bytes, and an event of \
                     the hub can be larger"
            ),
            "set `max_payload: 8MB` on every server",
        );
    }
    let replicas = stream.map_or(config.replicas, |stream| stream.config.num_replicas);
    if replicas < 3 {
        found(
            Unsafe,
            format!("{replicas} of the servers would have the log: if it fails, events are lost"),
            "use three servers or more, and a stream with three replicas",
        );
    }
    if let Some(stream) = stream {
        of_stream(stream, &config.stream, &mut found);
    }
    findings
}

/// Compares this machine's clock, which showed these times when a question was sent and answered,
/// with the servers': the time of their answer `now`, or, of servers that do not say it, the time
/// at which they stored the `last` message.
pub(crate) fn clock(
    here: RangeInclusive<Timestamp>,
    now: Option<Timestamp>,
    last: Option<Timestamp>,
) -> Option<Finding> {
    let gap = |early: Timestamp, late: Timestamp| {
        let gap = Duration::try_from(late.duration_since(early)).unwrap_or_default();
        Some(gap).filter(|gap| *gap > CLOCK_GAP_MAX)
    };
    let (asked, answered) = here.into_inner();
    // A message is not from the future, and nothing follows from an old one.
    let behind = now.or(last).and_then(|there| gap(answered, there));
    let ahead = now.and_then(|there| gap(there, asked));
    let (gap, way) = behind.map(|gap| (gap, "behind")).or(ahead.map(|gap| (gap, "ahead of")))?;
    let what = format!(
        "the clock of this machine is {} s {way} that of the NATS servers, so the hub would drop \
         events at the wrong time, for all hubs",
        gap.as_secs()
    );
    let hint = "set the clocks of all machines by the same source, such as with chrony";
    Some(Finding { severity: Severity::Unsafe, what, hint })
}

fn of_stream(
    stream: &StreamInfo,
    name: &str,
    found: &mut impl FnMut(Severity, String, &'static str),
) {
    use Severity::{Advice, Impossible, Unsafe};
    let config = &stream.config;
    let subject = api::log_subject(name);
    if config.subjects != [subject.as_str()] {
        found(
            Impossible,
            format!(
                "the stream {name} has the subjects {:?}, and not only {subject:?}",
                config.subjects
            ),
            "let a hub create the stream, or name another with store-stream",
        );
    }
    let is_copy = config.mirror.is_some() || config.sources.is_some();
    if is_copy || config.sealed || config.no_ack || config.retention != "limits" {
        found(
            Impossible,
            format!(
                "the stream {name} is a copy of another, is sealed, acknowledges nothing, or \
                     drops what was read"
            ),
            "let a hub create the stream",
        );
    }
    if config.storage != "file" {
        found(Unsafe, format!("the stream {name} is kept in memory"), "use `storage: file`");
    }
    if config.max_age > 0 || config.max_msgs > 0 || config.max_msgs_per_subject > 0 {
        found(
            Unsafe,
            format!("the stream {name} drops messages by itself, by age or number"),
            "leave retention to the hubs: remove these limits from the stream",
        );
    }
    let size_min = i64::try_from(PAYLOAD_BYTES_MIN).unwrap_or(i64::MAX);
    if config.max_msg_size > 0 && config.max_msg_size < size_min {
        found(
            Impossible,
            format!("the stream {name} takes messages of at most {} bytes", config.max_msg_size),
            "remove `max_msg_size` from the stream",
        );
    }
    let bell = api::bell_subject(name);
    if config.republish.as_ref().is_none_or(|republish| republish.dest != bell) {
        found(
            Advice,
            format!(
                "the stream {name} does not republish to {bell}, so events of other hubs \
                     arrive up to a quarter of a second late"
            ),
            "let a hub create the stream",
        );
    }
    if !config.allow_direct {
        found(
            Advice,
            format!("the stream {name} is read from one server only"),
            "set `allow_direct` on the stream",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> NatsConfig {
        NatsConfig {
            servers: "nats://a".parse().expect("valid"),
            stream: "hub".to_owned(),
            replicas: 3,
            tls: false,
            tls_ca: None,
            tls_identity: None,
            credentials: None,
        }
    }

    /// A stream as a hub creates it, with `changes`.
    fn stream(changes: serde_json::Value) -> StreamInfo {
        let mut config = api::new_stream("hub", 3);
        for (name, value) in changes.as_object().expect("an object") {
            config[name] = value.clone();
        }
        let state = serde_json::json!({ "first_seq": 1, "last_seq": 0, "bytes": 0 });
        let info = serde_json::json!({ "config": config, "state": state });
        serde_json::from_value(info).expect("as JetStream says it")
    }

    fn severities(version: &str, payload: usize, stream: &StreamInfo) -> Vec<Severity> {
        let found = findings(version, payload, &config(), Some(stream));
        found.into_iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn a_stream_that_a_hub_created_on_current_servers_is_well() {
        let own = stream(serde_json::json!({}));
        assert_eq!(severities("2.15.3", 8 << 20, &own), []);
    }

    #[test]
    fn clocks_may_differ_by_some_seconds() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).expect("in range");
        let found = |now, last| clock(at(0)..=at(1), now, last).map(|finding| finding.what);
        for well in [-5, 0, 1, 6] {
            assert_eq!(found(Some(at(well)), Some(at(-9000))), None, "{well}");
        }
        let behind = found(Some(at(38)), None).expect("a finding");
        assert!(behind.contains("37 s behind that"), "{behind}");
        let ahead = found(Some(at(-60)), Some(at(-60))).expect("a finding");
        assert!(ahead.contains("60 s ahead of that"), "{ahead}");
        // An old server says only when the last message came.
        assert_eq!(found(None, Some(at(-9000))), None);
        assert!(found(None, Some(at(100))).is_some());
        assert_eq!(found(None, None), None);
    }

    #[test]
    fn what_endangers_events_is_found() {
        use Severity::{Advice, Impossible, Unsafe};
        let own = stream(serde_json::json!({}));
        assert_eq!(severities("2.9.10", 8 << 20, &own), [Unsafe]);
        assert_eq!(severities("2.8.4", 8 << 20, &own), [Impossible]);
        assert_eq!(severities("2.12.1", 8 << 20, &own), [Advice]);
        assert_eq!(severities("2.15.3", 1 << 20, &own), [Impossible]);
        for (changes, severity) in [
            (serde_json::json!({ "num_replicas": 1 }), Unsafe),
            (serde_json::json!({ "storage": "memory" }), Unsafe),
            (serde_json::json!({ "max_age": 1 }), Unsafe),
            (serde_json::json!({ "retention": "workqueue" }), Impossible),
            (serde_json::json!({ "subjects": ["tidings.log.hub", "x"] }), Impossible),
            (serde_json::json!({ "republish": null }), Advice),
            (serde_json::json!({ "allow_direct": false }), Advice),
        ] {
            let changed = stream(changes.clone());
            assert_eq!(severities("2.15.3", 8 << 20, &changed), [severity], "{changes}");
        }
    }
}
