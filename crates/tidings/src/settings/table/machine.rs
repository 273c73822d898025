use crate::settings::setting::{Default, Section, Setting, Value};
use crate::settings::value;
use crate::threads;

pub(super) const SECTION: Section = Section {
    title: "The machine",
    settings: &[
        Setting {
            name: "shards",
            heading: Some("Machine and log"),
            value: Value::One("N"),
            default: Default::Is(r#""auto""#),
            is_common: true,
            help: "Threads that write to subscribers [auto: one for each processor but one]",
            note: "Threads that write to subscribers, and threads that answer requests. \"auto\": \
                   by the processors.",
            set: |hub, given| {
                hub.engine.shards = given.auto_or_count()?.unwrap_or_else(threads::shards_default);
                Ok(())
            },
        },
        Setting {
            name: "workers",
            heading: Some("Machine and log"),
            value: Value::One("N"),
            default: Default::Is(r#""auto""#),
            is_common: false,
            help: "Threads that answer requests, and one fewer for HTTP/1.1 \
                   [auto: one for each processor]",
            note: "",
            set: |hub, given| {
                hub.runtime.workers =
                    given.auto_or_count()?.unwrap_or_else(threads::workers_default);
                Ok(())
            },
        },
        Setting {
            name: "engine",
            heading: Some("Machine and log"),
            value: Value::One("WHICH"),
            default: Default::Is(r#""auto""#),
            is_common: true,
            help: "What writes to HTTP/1.1 sockets: auto or portable [auto]",
            note: "\"auto\": on Linux the shards write to HTTP/1.1 sockets directly. \
                   \"portable\": everything goes through the HTTP library, as on other systems.",
            set: |hub, given| {
                hub.engine.portable = given.read(value::portable)?;
                Ok(())
            },
        },
    ],
};
