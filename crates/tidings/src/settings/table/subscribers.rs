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
            help: "Concurrent subscribers [auto: by the limit of open files]",
            note: "Concurrent subscribers. One above the limit is asked to retry later. \"auto\": \
                   the system's limit of open files, less what the hub itself needs.",
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
            help: "Subscribers admitted per second [unlimited]",
            note: "Subscribers admitted per second, after a burst of the same size. When all \
                   reconnect at once, the rest are asked to retry shortly. \"unlimited\", or a \
                   number.",
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
            help: "Heartbeat interval for idle subscribers [15s]",
            note: "Heartbeat interval for idle subscribers, ±10 % jitter.",
            set: |hub, given| {
                hub.engine.heartbeat = given.duration()?;
                Ok(())
            },
        },
        Setting {
            name: "compression",
            heading: Some("Subscribers"),
            value: Value::One("WHICH"),
            default: Default::Is(r#""off""#),
            is_common: false,
            help: "Compression for subscribers that accept gzip: off, public (among events of the \
                   same topics) or all (among all events) [off]",
            note: "Compresses streams and pages of history, once for all subscribers that read \
                   gzip. \"public\": events refer only to others on the same topics; \"all\": also \
                   to those on other topics. Private events never do. See \
                   docs/operating/compression.md.",
            set: |hub, given| {
                hub.engine.compression = given.read(value::compression)?;
                Ok(())
            },
        },
        Setting {
            name: "compression-memory",
            heading: Some("Subscribers"),
            value: Value::One("SIZE"),
            default: Default::Is(r#""64MiB""#),
            is_common: false,
            help: "Memory for the earlier events that compressed events refer to [64MiB]",
            note: "Memory for the earlier events that compressed events refer to: 12 KiB for each \
                   subscription with several events a second. Without it, each event is compressed \
                   alone.",
            set: |hub, given| {
                hub.engine.compression_bytes_max = given.memory_bytes()?;
                Ok(())
            },
        },
        Setting {
            name: "retry",
            heading: Some("Subscribers"),
            value: Value::One("DURATION"),
            default: Default::Is(r#""2s""#),
            is_common: true,
            help: "Reconnection delay of subscribers [2s]",
            note: "Reconnection delay of a subscriber that lost its connection, ±50 % jitter.",
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
            help: "Reconnection delay of subscribers that are rejected because the hub is full \
                   [10s]",
            note: "The same, for a subscriber that is rejected because the hub is full.",
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
            help: "Time without a TCP acknowledgement after which a subscriber counts as gone \
                   [60s]",
            note: "Time without a TCP acknowledgement after which a subscriber counts as gone.",
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
            help: "Age at which connections are asked to reconnect [never]",
            note: "Age at which connections are asked to reconnect: through a load balancer, \
                   perhaps to another hub. \"never\": no limit.",
            set: |hub, given| {
                hub.engine.connection_age_max = given.read(value::never_or_duration)?;
                Ok(())
            },
        },
    ],
};
