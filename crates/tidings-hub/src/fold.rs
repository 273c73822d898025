use std::sync::Arc;

use crate::pointer::Pointer;
use crate::record::Record;

/// The pieces of a value, put together in log order.
///
/// Texts are added to one another. Everything else, the rest of the JSON, the type, the id, is that
/// of the newest piece.
#[derive(Debug)]
pub(crate) struct Fold {
    at: Option<Pointer>,
    text: String,
    newest: Option<Arc<Record>>,
}

/// A piece that does not continue what is before it: something between them is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap;

impl Fold {
    /// A value that grows at `at`.
    pub(crate) fn new(at: Option<Pointer>) -> Self {
        Self { at, text: String::new(), newest: None }
    }

    /// Adds the next event of the key.
    pub(crate) fn add(&mut self, record: &Arc<Record>) -> Result<(), Gap> {
        let text = record.text_at(self.at.as_ref()).map_err(|_| Gap)?;
        match &record.piece {
            None if record.kind.is_removal() => return Err(Gap),
            None => self.text.clear(),
            Some(piece) if piece.at != self.at || piece.from != self.text.len() as u64 => {
                return Err(Gap);
            }
            Some(_) => {}
        }
        self.text.push_str(&record.data[text]);
        self.newest = Some(Arc::clone(record));
        Ok(())
    }

    /// The newest piece with all of the value in its place; `None` without pieces.
    pub(crate) fn into_whole(self) -> Option<Record> {
        let newest = self.newest?;
        let data = match &self.at {
            None => self.text,
            Some(at) => {
                let string = at.find(&newest.data).ok()?;
                let (before, after) = (&newest.data[..string.start], &newest.data[string.end..]);
                [before, &self.text, after].concat()
            }
        };
        Some(newest.with_whole(data.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draft, EventType, Key, Piece, Position, Timestamp, Topic};

    fn record(position: u64, data: &str, from: Option<(u64, Option<&str>)>) -> Arc<Record> {
        let mut draft = Draft::new(Topic::new("a").expect("a valid topic"), data);
        draft.key = Key::new("k").ok();
        draft.event_type = EventType::new(format!("t{position}")).ok();
        draft.piece = from.map(|(from, at)| {
            let at = at.map(|at| Pointer::new(at).expect("a pointer"));
            Box::new(Piece { at, from })
        });
        Arc::new(Record::new(draft, Position::new(position), Timestamp::default()))
    }

    fn whole(records: &[Arc<Record>], at: Option<&str>) -> Result<Option<Record>, Gap> {
        let mut fold = Fold::new(at.map(|at| Pointer::new(at).expect("a pointer")));
        for record in records {
            fold.add(record)?;
        }
        Ok(fold.into_whole())
    }

    #[test]
    fn texts_are_added_and_all_else_is_of_the_newest_piece() {
        let records = [record(1, "The ", None), record(3, "sky", Some((4, None)))];
        let value = whole(&records, None).expect("no gap").expect("a value");
        assert_eq!((&*value.data, value.position()), ("The sky", Position::new(3)));
        assert_eq!(value.event_type_or_default(), "t3");
        assert_eq!(value.piece, None);
        let records = [
            record(1, r#"{"delta":"a\n","n":1}"#, Some((0, Some("/delta")))),
            record(2, r#"{ "n": 2, "delta" : "é" }"#, Some((3, Some("/delta")))),
        ];
        let value = whole(&records, Some("/delta")).expect("no gap").expect("a value");
        assert_eq!(&*value.data, r#"{ "n": 2, "delta" : "a\né" }"#);
    }

    #[test]
    fn a_value_without_one_of_its_pieces_is_none() {
        let records = [
            record(1, "a", Some((0, None))),
            record(2, "b", Some((1, None))),
            record(3, "c", Some((2, None))),
        ];
        for lost in 0..2 {
            let left: Vec<_> =
                (0..3).filter(|at| *at != lost).map(|at| records[at].clone()).collect();
            assert_eq!(whole(&left, None), Err(Gap), "without piece {lost}");
        }
        let elsewhere = [records[0].clone(), record(2, r#"{"d":"b"}"#, Some((1, Some("/d"))))];
        assert_eq!(whole(&elsewhere, None), Err(Gap));
    }
}
