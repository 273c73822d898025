use crate::settings::setting::{Default, Section, Setting, Value};
use crate::settings::value;

pub(super) const SECTION: Section = Section {
    title: "Subscribers",
    settings: &[
        Setting {
            name: "max-subscribers",
            heading: Some("Subscribers"),
            value: Value::One("N"),
            default: Default::Is(r#""auto""#),
            is_common: true,
            help: "Subscribers at once [auto: by the limit of open files]",
            note: "Subscribers at once. One above the limit is asked to retry later. \"auto\": the \
             system's limit of open files, less what the hub itself needs.",
            set: |hub, given| {
                hub.runtime.subscribers_max = given.auto_or_count()?;
                Ok(())
            },
        },
        Setting {
            name: "max-arrival-rate",
            heading: Some("Subscribers"),
            value: Value::One("N"),
            default: Default::Is(r#""unlimited""#),
            is_common: false,
            help: "Subscribers let in per second [unlimited]",
            note: "Subscribers let in per second, after as many at once: when all come back \
             together, the rest are told to wait a moment. \"unlimited\", or a number.",
            set: |hub, given| {
                hub.engine.arrival_rate_max = given.unlimited_or_count()?;
                Ok(())
            },
        },
        Setting {
            name: "heartbeat",
            heading: Some("Subscribers"),
            value: Value::One("DURATION"),
            default: Default::Is(r#""15s""#),
            is_common: true,
            help: "A silence that ends with a heartbeat [15s]",
            note: "Heartbeat interval for idle subscribers, ±10 % jitter.",
            set: |hub, given| {
                hub.engine.heartbeat = given.duration()?;
                Ok(())
            },
        },
        Setting {
            name: "retry",
            heading: Some("Subscribers"),
            value: Value::One("DURATION"),
            default: Default::Is(r#""2s""#),
            is_common: true,
            help: "How long those who lost their connection wait [2s]",
            note: "How long a subscriber whose connection is lost waits before it comes back, \
             give or take half.",
            set: |hub, given| {
                hub.server.http.retry = given.duration()?;
                Ok(())
            },
        },
        Setting {
            name: "retry-refused",
            heading: Some("Subscribers"),
            value: Value::One("DURATION"),
            default: Default::Is(r#""10s""#),
            is_common: false,
            help: "How long a subscriber rejected for lack of room waits before it retries [10s]",
            note: "The same, for a subscriber rejected for lack of room.",
            set: |hub, given| {
                hub.server.http.retry_refused = given.duration()?;
                Ok(())
            },
        },
        Setting {
            name: "peer-patience",
            heading: Some("Subscribers"),
            value: Value::One("DURATION"),
            default: Default::Is(r#""60s""#),
            is_common: false,
            help: "When a subscriber that acknowledges nothing counts as gone [60s]",
            note: "How long a subscriber's system may acknowledge nothing before it counts as \
             gone.",
            set: |hub, given| {
                hub.engine.peer_patience = given.duration()?;
                Ok(())
            },
        },
        Setting {
            name: "max-connection-age",
            heading: Some("Subscribers"),
            value: Value::One("DURATION"),
            default: Default::Is(r#""never""#),
            is_common: true,
            help: "Older connections are told to come back [never]",
            note: "Connections older than this are told to come back: through a load \
             balancer, perhaps to another hub. \"never\": they live as long as they \
             live.",
            set: |hub, given| {
                hub.engine.connection_age_max = given.read(value::never_or_duration)?;
                Ok(())
            },
        },
    ],
};
