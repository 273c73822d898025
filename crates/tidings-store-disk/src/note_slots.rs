//! Reading what the table of newest records keeps of each record. A log with keys is read for that
//! when it is opened, so no record is made of what is read: its kind, topic and key are enough.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use tidings_hub::{Position, ReadError, Record, SlotNote, SlotNotes};

use crate::DiskStore;
use crate::error::Fault;
use crate::read::{Reader, Taken};
use crate::record::TopicTexts;
use crate::records::Entry;
use crate::segment::SegmentLog;
use crate::state::Shared;

impl DiskStore {
    /// Makes the table of newest records while the log is opened: another thread enters the notes
    /// of some records while this one reads the next ones. That takes about as long as reading.
    pub(crate) fn complete_slots_at_opening(&self) -> io::Result<()> {
        let slots = &self.shared.slots;
        thread::scope(|scope| {
            let (full, to_take_in) = mpsc::sync_channel::<SlotNotes<'_>>(0);
            let (empty, taken_in) = mpsc::channel();
            let thread = thread::Builder::new().name("tidings-slots".to_owned());
            thread.spawn_scoped(scope, move || {
                for mut notes in to_take_in {
                    slots.take_in(&mut notes);
                    if empty.send(notes).is_err() {
                        return;
                    }
                }
            })?;
            let mut is_first = true;
            let completed = slots.complete_at_opening(self, |notes| {
                // The thread is there until this end of the channel is gone.
                full.send(notes).expect("the thread takes in notes");
                if std::mem::take(&mut is_first) {
                    return SlotNotes::new(slots);
                }
                taken_in.recv().expect("the thread takes in notes")
            });
            completed.map_err(io::Error::other)
        })
    }
}

impl Shared {
    /// See `Log::note_slots`.
    pub(crate) fn note_slots(
        &self,
        after: Position,
        upto: Position,
        notes: &mut SlotNotes<'_>,
    ) -> Result<Position, ReadError> {
        loop {
            let (lanes, first, from, to) = {
                let state = self.read_state();
                let from = after.max(state.first().previous());
                (Arc::clone(&state.lanes), state.hot_first(), from, upto.min(state.head))
            };
            if to <= from {
                return Ok(after.max(to));
            }
            match self.scan(&mut SlotReader(notes), &lanes, from, to) {
                // A segment has gone meanwhile: it was dropped, or its records are in runs.
                Err(ReadError::Expired { .. }) if self.read_state().hot_first() > first => {}
                reached => return reached,
            }
        }
    }
}

/// Takes the notes of all records that have a slot.
struct SlotReader<'r, 'n>(&'r mut SlotNotes<'n>);

impl Reader for SlotReader<'_, '_> {
    type Item = SlotNote;

    fn admit(
        &mut self,
        log: &SegmentLog,
        entry: &Entry<'_>,
        texts: &mut TopicTexts,
    ) -> Result<Option<SlotNote>, Fault> {
        let (position, view) = (entry.position, &entry.view);
        if view.piece.is_none() {
            return Ok(self.0.note_of(position, view.kind, view.topic, view.key));
        }
        // The text of a piece is known only from its data.
        let unreadable = || log.unreadable(position);
        let mut draft = view.head(texts).ok_or_else(unreadable)?;
        draft.data = view.data().ok_or_else(unreadable)?.into();
        Ok(self.0.note_of_draft(position, &draft))
    }

    fn position_of(note: &SlotNote) -> Position {
        note.position()
    }

    fn take(&mut self, note: SlotNote) -> Taken {
        self.0.add(note);
        Taken::AndGoOn
    }

    fn offer(&mut self, record: &Arc<Record>) -> Taken {
        self.0.add_record(record);
        Taken::AndGoOn
    }
}
