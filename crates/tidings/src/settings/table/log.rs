use crate::settings::setting::{Default, Section, Setting, Value};
use crate::settings::value;

pub(super) const SECTION: Section = Section {
    title: "The log",
    settings: &[
        Setting {
            name: "log",
            heading: Some("Machine and log"),
            value: Value::One("FILTER"),
            default: Default::Is(r#""info""#),
            is_common: true,
            help: "Log level on standard error: error, warn, info, debug, ... [info]",
            note: "Log level on standard error: \"error\", \"warn\", \"info\", \"debug\", \
             \"trace\", \"off\"; or by part of the program: \
             \"warn,tidings=debug\".",
            set: |hub, given| {
                hub.log.filter = given.read(value::log_filter)?;
                Ok(())
            },
        },
        Setting {
            name: "log-format",
            heading: Some("Machine and log"),
            value: Value::One("FORMAT"),
            default: Default::Is(r#""human""#),
            is_common: true,
            help: "Log format: human or json [human]",
            note: "\"human\" or \"json\".",
            set: |hub, given| {
                hub.log.json = given.read(value::log_json)?;
                Ok(())
            },
        },
    ],
};
