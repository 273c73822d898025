use crate::settings::setting::{Default, Section, Setting, Value};
use crate::settings::value;
use crate::store_kind::StoreKind;

pub(super) const SECTION: Section = Section {
    title: "History",
    settings: &[
        Setting {
            name: "store",
            heading: None,
            value: Value::One("STORE"),
            default: Default::Is(r#""disk""#),
            is_common: true,
            help: "Where history is kept: disk, memory (lost at the end) or nats (shared) [disk]",
            note: "Where it is kept: \"disk\", in the folder above; \"memory\", lost when the hub \
                   stops; or \"nats\", shared by several hubs (see Cluster).",
            set: |hub, given| {
                hub.store.kind = given.read(value::store)?;
                Ok(())
            },
        },
        Setting {
            name: "durability",
            heading: None,
            value: Value::One("WHAT"),
            default: Default::Is(r#""fsync""#),
            is_common: false,
            help: "What an acknowledged event on disk survives: fsync (a power cut) or os (a \
             crash) [fsync]",
            note: "What an acknowledged event on disk survives: \"fsync\", a power cut; \
             \"os\", a crash of the hub.",
            set: |hub, given| {
                match given.read(value::durability)? {
                    Some(durability) => hub.store.disk.durability = durability,
                    None => hub.store.kind = StoreKind::Memory,
                }
                Ok(())
            },
        },
        Setting {
            name: "retention-bytes",
            heading: Some("History"),
            value: Value::One("SIZE"),
            default: Default::Is(r#""1GiB""#),
            is_common: true,
            help: "How much history is kept [1GiB]",
            note: "Size and age of the history. The oldest events are dropped when either is \
                   reached.",
            set: |hub, given| {
                hub.store.disk.retention_bytes = given.bytes()?;
                Ok(())
            },
        },
        Setting {
            name: "retention-age",
            heading: Some("History"),
            value: Value::One("DURATION"),
            default: Default::Is(r#""7d""#),
            is_common: true,
            help: "How long history is kept [7d]",
            note: "",
            set: |hub, given| {
                hub.store.disk.retention_age = given.duration()?;
                Ok(())
            },
        },
        Setting {
            name: "recent-bytes",
            heading: Some("History"),
            value: Value::One("SIZE"),
            default: Default::Is(r#""64MiB""#),
            is_common: false,
            help: "Bytes of the newest history held in memory [64MiB]",
            note: "The newest history, held in memory for subscribers that are a little behind.",
            set: |hub, given| {
                hub.store.disk.recent_bytes_max = given.memory_bytes()?;
                Ok(())
            },
        },
        Setting {
            name: "ring-bytes",
            heading: Some("History"),
            value: Value::One("SIZE"),
            default: Default::Is(r#""128MiB""#),
            is_common: false,
            help: "Memory for the events being sent to live subscribers [128MiB]",
            note: "Memory for the events being sent to live subscribers.",
            set: |hub, given| {
                hub.engine.ring_bytes_max = given.memory_bytes()?;
                Ok(())
            },
        },
    ],
};
