use std::time::Duration;

use tidings_hub::{Draft, Kind, Position, Record, Topic};

use super::last_will::LastWill;

/// What the log says about wills. A will is known by the position of its note.
#[derive(Debug, PartialEq)]
pub(crate) enum Note {
    /// A publisher has left a will.
    Will(LastWill),
    /// The publisher of the will was lost before this note.
    Lost(Position),
    /// The will was carried out, or never will be.
    Done(Position),
}

impl Note {
    /// The note as it is stored: a word, and lines after it.
    pub(crate) fn draft(&self) -> Draft {
        let note = |text: String| Draft { kind: Kind::Note, ..Draft::new(Topic::of_notes(), text) };
        match self {
            Self::Will(LastWill { topic, event_type, data, patience }) => Draft {
                event_type: event_type.clone(),
                retry_ms: Some(patience.as_millis().try_into().unwrap_or(u64::MAX)),
                ..note(format!("will\n{topic}\n{data}"))
            },
            Self::Lost(will) => note(format!("lost\n{}", will.get())),
            Self::Done(will) => note(format!("done\n{}", will.get())),
        }
    }

    /// The note that `record` is; `None` if it says something else.
    pub(crate) fn read(record: &Record) -> Option<Self> {
        if record.kind != Kind::Note {
            return None;
        }
        let (word, rest) = record.data.split_once('\n')?;
        let will = || rest.parse().ok().map(Position::new);
        match word {
            "will" => {
                let (topic, data) = rest.split_once('\n')?;
                Some(Self::Will(LastWill {
                    topic: Topic::new(topic).ok()?,
                    event_type: record.event_type.clone(),
                    data: data.into(),
                    patience: Duration::from_millis(record.retry_ms?),
                }))
            }
            "lost" => will().map(Self::Lost),
            "done" => will().map(Self::Done),
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
        let will = |event_type: Option<&str>, data: &str| {
            Note::Will(LastWill {
                topic: Topic::new("a/b").unwrap(),
                event_type: event_type.map(|name| EventType::new(name).unwrap()),
                data: data.into(),
                patience: Duration::from_millis(1500),
            })
        };
        let (at, time) = (Position::new(9), Timestamp::default());
        for note in [
            will(None, ""),
            will(Some("error"), "two\nlines\n"),
            Note::Lost(Position::new(7)),
            Note::Done(Position::new(8)),
        ] {
            assert_eq!(Note::read(&Record::new(note.draft(), at, time)), Some(note));
        }
        for data in ["", "will", "will\na", "lost\nx", "other\n1"] {
            let draft = Draft { kind: Kind::Note, ..Draft::new(Topic::of_notes(), data) };
            assert_eq!(Note::read(&Record::new(draft, at, time)), None, "{data:?}");
        }
    }
}
