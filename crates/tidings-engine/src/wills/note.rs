use std::time::Duration;

use tidings_hub::{Draft, Expected, Kind, Position, Record, Topic};

use super::last_will::LastWill;

/// What the log says about wills. A will is known by the position of its note.
#[derive(Debug, PartialEq)]
pub(crate) enum Note {
    /// A publisher has left a will, at the hub with this run. (Notes of older versions name none.)
    Will(LastWill, Option<u32>),
    /// The publisher of the will was lost before this note.
    Lost(Position),
    /// The will was carried out, or never will be.
    Done(Position),
    /// The hub `by` asks whether the hub `run` is there.
    Asked { run: u32, by: u32 },
    /// The hub with this run is there.
    There(u32),
}

impl Note {
    /// The note as it is stored: a word, and lines after it.
    pub(crate) fn draft(&self) -> Draft {
        let note = |text: String| Draft { kind: Kind::Note, ..Draft::new(Topic::of_notes(), text) };
        match self {
            Self::Will(LastWill { topic, event_type, data, patience }, run) => {
                let head = run.map_or_else(|| "will".into(), |run| format!("will-at\n{run:08x}"));
                Draft {
                    event_type: event_type.clone(),
                    retry_ms: Some(patience.as_millis().try_into().unwrap_or(u64::MAX)),
                    ..note(format!("{head}\n{topic}\n{data}"))
                }
            }
            Self::Lost(will) => note(format!("lost\n{}", will.get())),
            Self::Done(will) => note(format!("done\n{}", will.get())),
            Self::Asked { run, by } => note(format!("asked\n{run:08x}\n{by:08x}")),
            Self::There(run) => note(format!("there\n{run:08x}")),
        }
    }

    /// The same for a hub that has read all notes up to `seen`: it is stored only if there are no
    /// others.
    pub(crate) fn draft_after(&self, seen: Position) -> Draft {
        Draft { expected: Some(Box::new(Expected::NothingAfter(seen))), ..self.draft() }
    }

    /// The note that `record` is; `None` if it says something else.
    pub(crate) fn read(record: &Record) -> Option<Self> {
        if record.kind != Kind::Note {
            return None;
        }
        let (word, rest) = record.data.split_once('\n')?;
        let position = || rest.parse().ok().map(Position::new);
        let hub = |text: &str| u32::from_str_radix(text, 16).ok();
        let will = |text: &str| {
            let (topic, data) = text.split_once('\n')?;
            Some(LastWill {
                topic: Topic::new(topic).ok()?,
                event_type: record.event_type.clone(),
                data: data.into(),
                patience: Duration::from_millis(record.retry_ms?),
            })
        };
        match word {
            "will" => Some(Self::Will(will(rest)?, None)),
            "will-at" => {
                let (run, rest) = rest.split_once('\n')?;
                Some(Self::Will(will(rest)?, Some(hub(run)?)))
            }
            "lost" => position().map(Self::Lost),
            "done" => position().map(Self::Done),
            "asked" => {
                let (run, by) = rest.split_once('\n')?;
                Some(Self::Asked { run: hub(run)?, by: hub(by)? })
            }
            "there" => hub(rest).map(Self::There),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidings_hub::{EventType, Timestamp};

    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let will = |event_type: Option<&str>, data: &str, run: Option<u32>| {
            let will = LastWill {
                topic: Topic::new("a/b").unwrap(),
                event_type: event_type.map(|name| EventType::new(name).unwrap()),
                data: data.into(),
                patience: Duration::from_millis(1500),
            };
            Note::Will(will, run)
        };
        let (at, time) = (Position::new(9), Timestamp::default());
        for note in [
            will(None, "", None),
            will(Some("error"), "two\nlines\n", None),
            will(Some("error"), "two\nlines\n", Some(0x1f)),
            Note::Lost(Position::new(7)),
            Note::Done(Position::new(8)),
            Note::Asked { run: u32::MAX, by: 0 },
            Note::There(7),
        ] {
            assert_eq!(Note::read(&Record::new(note.draft(), at, time)), Some(note));
        }
        for data in ["", "will", "will\na", "will-at\nx\na\nb", "lost\nx", "asked\n1", "other\n1"] {
            let draft = Draft { kind: Kind::Note, ..Draft::new(Topic::of_notes(), data) };
            assert_eq!(Note::read(&Record::new(draft, at, time)), None, "{data:?}");
        }
    }
}
