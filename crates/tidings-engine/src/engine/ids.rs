//! The event ids of places in the log.

use tidings_hub::{Bounds, EventId, Mark, Position};

use super::Engine;

impl Engine {
    /// Whether the log made the id, under its name or a former one.
    pub fn is_own(&self, id: &str) -> bool {
        self.inner.store.identity().mark_of(id).is_some()
    }

    /// The positions that can be read now.
    pub fn bounds(&self) -> Bounds {
        self.inner.store.bounds()
    }

    /// Position of the newest record.
    pub fn head(&self) -> Position {
        self.inner.store.bounds().head
    }

    /// The newest record.
    pub fn head_mark(&self) -> Mark {
        self.inner.mark(self.head())
    }

    /// The event ids of `positions`, in their order. Those of a log with checks have them as far
    /// as they are known.
    pub async fn event_ids(&self, positions: Vec<Position>) -> Vec<EventId> {
        let epoch = self.epoch();
        if self.inner.store.shared().is_none() {
            return positions.into_iter().map(|position| position.event_id(epoch)).collect();
        }
        let wanted = positions.clone();
        let read = self.read(move |store| wanted.into_iter().map(|at| store.mark(at)).collect());
        let marks: Vec<Mark> =
            read.await.unwrap_or_else(|_| positions.into_iter().map(Mark::from).collect());
        marks.into_iter().map(|mark| mark.event_id(epoch)).collect()
    }

    /// The event id of `position`; see [`event_ids`](Self::event_ids).
    pub async fn event_id(&self, position: Position) -> EventId {
        self.event_ids(vec![position]).await.remove(0)
    }
}
