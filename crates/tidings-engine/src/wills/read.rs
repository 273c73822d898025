//! Notes about wills, read from the log.

use std::collections::BTreeMap;

use tidings_hub::{Interest, Log, Position, ReadError, ReadQuery, Topic};

use super::last_will::LastWill;
use super::note::Note;
use crate::limits::{PAGE_BYTES_MAX, PAGE_RECORDS_MAX};

/// A will in the log that is not crossed out.
pub(crate) struct OpenNote {
    /// The position of its note.
    pub(crate) position: Position,
    pub(crate) will: LastWill,
    /// The hub of its publisher.
    pub(crate) run: Option<u32>,
    /// Where the loss of its publisher was noted.
    pub(crate) lost: Option<Position>,
}

/// The wills that `store` has up to `head` and that are not crossed out.
pub(crate) fn open_notes(store: &dyn Log, head: Position) -> Result<Vec<OpenNote>, ReadError> {
    let mut open = BTreeMap::new();
    read_notes(store, store.bounds().first.previous(), head, |position, note| match note {
        Note::Will(will, run) => {
            open.insert(position, OpenNote { position, will, run, lost: None });
        }
        Note::Lost(will) => {
            open.entry(will).and_modify(|open| open.lost = Some(position));
        }
        Note::Done(will) => {
            open.remove(&will);
        }
        Note::Asked { .. } | Note::There(_) => {}
    })?;
    Ok(open.into_values().collect())
}

/// Hands the notes after `after` and up to `upto` to `each`, in order.
pub(crate) fn read_notes(
    store: &dyn Log,
    mut after: Position,
    upto: Position,
    mut each: impl FnMut(Position, Note),
) -> Result<(), ReadError> {
    let interest = Interest::notes();
    let mut told = Position::ZERO;
    while after < upto {
        let page = store.read(&ReadQuery {
            after,
            upto,
            told,
            interest: Some(&interest),
            records_max: PAGE_RECORDS_MAX,
            bytes_max: PAGE_BYTES_MAX,
        });
        let page = match page {
            // Only what is there is asked for.
            Err(ReadError::Expired { lost, .. }) => {
                told = lost;
                continue;
            }
            page => page?,
        };
        for record in &page.records {
            if let Some(note) = Note::read(record) {
                each(record.position(), note);
            }
        }
        after = page.reached;
    }
    Ok(())
}

/// The will whose note is at `position`; `None` if retention has dropped it.
pub(crate) fn read_will(
    store: &dyn Log,
    position: Position,
) -> Result<Option<LastWill>, ReadError> {
    let mut found = None;
    read_notes(store, position.previous(), position, |_, note| {
        if let Note::Will(will, _) = note {
            found = Some(will);
        }
    })?;
    Ok(found)
}

/// Whether there are notes after `seen`. Most often there are none, and nothing has to be read.
pub(crate) fn has_notes_after(store: &dyn Log, seen: Position) -> Result<bool, ReadError> {
    let notes = store.catalog().topic(&Topic::of_notes())?;
    Ok(notes.is_some_and(|notes| notes.last > seen))
}
