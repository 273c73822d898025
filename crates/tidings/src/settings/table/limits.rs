use crate::settings::setting::{Default, Section, Setting, Value};

pub(super) const SECTION: Section = Section {
    title: "Limits",
    settings: &[
        Setting {
            name: "max-event-bytes",
            heading: Some("Limits"),
            value: Value::One("SIZE"),
            default: Default::Is(r#""1MiB""#),
            is_common: false,
            help: "The payload of one event [1MiB]",
            note: "Payload of one event, and a value that grows by pieces. A larger one is \
                   rejected with 413.",
            set: |hub, given| {
                hub.server.http.event_bytes_max = given.memory_bytes()?;
                hub.engine.value_bytes_max = hub.server.http.event_bytes_max;
                Ok(())
            },
        },
        Setting {
            name: "max-matchers",
            heading: Some("Limits"),
            value: Value::One("N"),
            default: Default::Is("100"),
            is_common: false,
            help: "Topics and patterns in one subscription [100]",
            note: "Topics and patterns in one subscription. More are rejected with 400.",
            set: |hub, given| {
                hub.server.matchers_max = given.count()?;
                Ok(())
            },
        },
        Setting {
            name: "max-publish-rate",
            heading: Some("Limits"),
            value: Value::One("N"),
            default: Default::Is(r#""unlimited""#),
            is_common: false,
            help: "Events per second published with one token [unlimited]",
            note: "Events per second published with one token, or from one address without a \
                   token, after a burst of the same size. More are rejected with 429; a stream of \
                   events is read more slowly. \"unlimited\".",
            set: |hub, given| {
                hub.server.http.publish_rate_max = given.unlimited_or_count()?;
                Ok(())
            },
        },
        Setting {
            name: "max-topics",
            heading: Some("Limits"),
            value: Value::One("N"),
            default: Default::Is("1000000"),
            is_common: false,
            help: "Topics that have events in the log [1000000]",
            note: "Topics that have events in the log. An event on one more is rejected with 507. \
                   \"unlimited\".",
            set: |hub, given| {
                let count = given.unlimited_or_count()?;
                hub.engine.topics_max = count.map_or(usize::MAX, |count| count.get() as usize);
                Ok(())
            },
        },
        Setting {
            name: "max-keys",
            heading: Some("Limits"),
            value: Value::One("N"),
            default: Default::Is("1000000"),
            is_common: false,
            help: "Keys that have events in the log [1000000]",
            note: "Keys that have events in the log, in all topics together. An event with one \
                   more is rejected with 507. Each takes 40 to 72 bytes of memory, and one that \
                   stands for a value with pieces 40 to 80 more.",
            set: |hub, given| {
                hub.engine.keys_max = given.count()?;
                Ok(())
            },
        },
        Setting {
            name: "max-connections",
            heading: Some("Limits"),
            value: Value::One("N"),
            default: Default::Is(r#""auto""#),
            is_common: false,
            help: "Concurrent connections, HTTP/1.1 subscribers not counted [auto: by open files]",
            note: "Concurrent connections; HTTP/1.1 connections that have become subscribers do \
                   not count. Above the limit only health probes are answered. \"auto\": a quarter \
                   of the limit of open files, at most 16384.",
            set: |hub, given| {
                hub.runtime.connections_max = given.auto_or_count()?;
                Ok(())
            },
        },
        Setting {
            name: "max-connections-per-address",
            heading: Some("Limits"),
            value: Value::One("N"),
            default: Default::Is(r#""unlimited""#),
            is_common: false,
            help: "Concurrent connections from one address [unlimited]",
            note: "Concurrent connections from one address, including subscribers and excepting \
                   trusted proxies; concurrent subscribers from one address, also behind a proxy; \
                   and concurrent subscribers with one token. Above the limit a subscriber is \
                   asked to retry later, and any other request gets 429.",
            set: |hub, given| {
                hub.server.http.connections_per_address_max = given.unlimited_or_count()?;
                Ok(())
            },
        },
        Setting {
            name: "max-subscribers-per-address",
            heading: Some("Limits"),
            value: Value::One("N"),
            default: Default::Is(r#""unlimited""#),
            is_common: false,
            help: "Concurrent subscribers from one address, also behind a trusted proxy \
                   [unlimited]",
            note: "",
            set: |hub, given| {
                hub.server.http.subscribers_per_address_max = given.unlimited_or_count()?;
                Ok(())
            },
        },
        Setting {
            name: "max-subscribers-per-token",
            heading: Some("Limits"),
            value: Value::One("N"),
            default: Default::Is(r#""unlimited""#),
            is_common: false,
            help: "Concurrent subscribers with one token [unlimited]",
            note: "",
            set: |hub, given| {
                hub.server.http.subscribers_per_token_max = given.unlimited_or_count()?;
                Ok(())
            },
        },
        Setting {
            name: "max-streams",
            heading: Some("Limits"),
            value: Value::One("N"),
            default: Default::Is("1024"),
            is_common: false,
            help: "Concurrent requests on one HTTP/2 connection [1024]",
            note: "Concurrent requests on one HTTP/2 connection. Further ones wait.",
            set: |hub, given| {
                hub.server.http.streams_max = given.count()?.try_into().unwrap_or(u32::MAX);
                Ok(())
            },
        },
        Setting {
            name: "max-head-bytes",
            heading: Some("Limits"),
            value: Value::One("SIZE"),
            default: Default::Is(r#""32KiB""#),
            is_common: false,
            help: "Longest request head [32KiB]",
            note: "Size of a request head, above which it is rejected with 431; time for a head, \
                   and pauses in a body or in a publisher's stream of events, after which the \
                   answer is 408; and the time after which an idle connection is closed.",
            set: |hub, given| {
                hub.server.http.head_bytes_max = given.memory_bytes()?;
                Ok(())
            },
        },
        Setting {
            name: "max-head-time",
            heading: Some("Limits"),
            value: Value::One("DURATION"),
            default: Default::Is(r#""10s""#),
            is_common: false,
            help: "Longest time for a request head to arrive [10s]",
            note: "",
            set: |hub, given| {
                hub.server.http.head_time_max = given.duration()?;
                Ok(())
            },
        },
        Setting {
            name: "max-body-pause",
            heading: Some("Limits"),
            value: Value::One("DURATION"),
            default: Default::Is(r#""30s""#),
            is_common: false,
            help: "Longest pause in a request body [30s]",
            note: "",
            set: |hub, given| {
                hub.server.http.body_pause_max = given.duration()?;
                Ok(())
            },
        },
        Setting {
            name: "max-ingest-pause",
            heading: Some("Limits"),
            value: Value::One("DURATION"),
            default: Default::Is(r#""1h""#),
            is_common: false,
            help: "Longest pause in a publisher's stream of events [1h]",
            note: "",
            set: |hub, given| {
                hub.server.ingest_pause_max = given.duration()?;
                Ok(())
            },
        },
        Setting {
            name: "max-idle",
            heading: Some("Limits"),
            value: Value::One("DURATION"),
            default: Default::Is(r#""75s""#),
            is_common: false,
            help: "Time after which an idle connection is closed [75s]",
            note: "",
            set: |hub, given| {
                hub.server.http.idle_max = given.duration()?;
                Ok(())
            },
        },
        Setting {
            name: "drain-window",
            heading: Some("Limits"),
            value: Value::One("DURATION"),
            default: Default::Is(r#""5s""#),
            is_common: false,
            help: "Time over which subscribers are disconnected at shutdown [5s]",
            note: "Shutdown (SIGTERM, Ctrl-C): the time over which subscribers are asked to \
                   reconnect, so that they do not all come back at once, and the time after which \
                   remaining connections are cut. Without connections it ends at once.",
            set: |hub, given| {
                hub.server.http.drain_window = given.duration_or_zero()?;
                Ok(())
            },
        },
        Setting {
            name: "max-drain",
            heading: Some("Limits"),
            value: Value::One("DURATION"),
            default: Default::Is(r#""15s""#),
            is_common: false,
            help: "Time after which remaining connections are cut at shutdown [15s]",
            note: "",
            set: |hub, given| {
                hub.server.http.drain_max = given.duration_or_zero()?;
                Ok(())
            },
        },
    ],
};
