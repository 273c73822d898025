//! Last wills of publishers: left, crossed out, and carried out.

use std::sync::Arc;
use std::time::Instant;

use tidings_hub::{Draft, Expected, Kind, Position, with_causes};

use super::{Engine, Inner};
use crate::error::PublishError;
use crate::limits::{NOTES_INTERVAL, READ_RETRY, RETENTION_INTERVAL};
use crate::wills::{
    Elsewhere, Errand, LastWill, Note, OpenNote, Stage, Task, Waiting, Wills, block_on,
    has_notes_after, open_notes, read_notes, read_will,
};

/// A will that is in the log, whose publisher is there. The publisher is lost when this is dropped.
#[derive(Debug)]
pub struct OpenWill {
    wills: Arc<Wills>,
    position: Position,
    /// What comes next, if it is not the loss.
    next: Option<Next>,
}

#[derive(Debug)]
enum Next {
    Nothing,
    Withdrawal,
}

impl OpenWill {
    /// What crosses it out: to be published together with the last event of its publisher, so that
    /// no crash comes between them.
    pub fn crossed_out(&self) -> Draft {
        Note::Done(self.position).draft()
    }

    /// [That](Self::crossed_out) is published.
    pub fn done(mut self) {
        self.next = Some(Next::Nothing);
    }

    /// The topic is not its publisher's, who has ended nothing and was not lost: crosses it out,
    /// soon.
    pub fn withdraw(mut self) {
        self.next = Some(Next::Withdrawal);
    }
}

impl Drop for OpenWill {
    fn drop(&mut self) {
        match self.next {
            None => self.wills.advance(self.position, Stage::Lost),
            Some(Next::Nothing) => self.wills.remove(self.position),
            Some(Next::Withdrawal) => self.wills.advance(self.position, Stage::Withdrawn),
        }
    }
}

impl Engine {
    /// Writes `will` into the log. From then on it is carried out when its publisher is lost, by
    /// this engine or the next one over the same log.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: there is no will.
    pub async fn leave_will(&self, will: LastWill) -> Result<OpenWill, PublishError> {
        let reserved = self.inner.wills.reserve()?;
        let engine = self.clone();
        // If nobody waits for it any more, the will is there nevertheless, and its publisher lost.
        let leaving = self.begin(async move {
            let _reserved = reserved;
            let note = Note::Will(will.clone(), Some(engine.run())).draft();
            let position = engine.publish(vec![note]).await?[0].position;
            let share = engine.topic_share.clone();
            let wills = Arc::clone(&engine.inner.wills);
            wills.set(position, Waiting::new(will, share, Stage::Held));
            Ok(OpenWill { wills, position, next: None })
        });
        leaving.await.unwrap_or(Err(PublishError::Stopping))
    }

    /// The hub with this [run](Self::run), on the same log, has left or is not heard any more. The
    /// wills of its publishers are carried out, unless it says in the log that it runs.
    pub fn hub_left(&self, run: u32) {
        self.inner.wills.elsewhere(|elsewhere| elsewhere.hub_left(run, Instant::now()));
    }

    /// The thread: carries out wills until it is stopped. Those in the log up to `head` are of
    /// publishers of an earlier process, or at another hub.
    pub(super) fn carry_out_wills(&self, head: Position) {
        let wills = &self.inner.wills;
        let Some(mut seen) = self.find_wills(head) else { return };
        let is_shared = self.inner.store.shared().is_some();
        // A hub that has to answer must not be late because it looks too rarely.
        let interval = NOTES_INTERVAL.min(self.inner.config.hub_patience / 8);
        let (mut look_at, mut must_answer) = (is_shared.then(Instant::now), false);
        while let Some(task) = wills.next(look_at) {
            match task {
                Task::Look => {
                    match self.look(seen, &mut must_answer) {
                        Ok(reached) => seen = reached,
                        Err(error) => tracing::debug!(%error, "notes about wills must wait"),
                    }
                    look_at = Some(Instant::now() + interval);
                }
                // Another hub may have carried it out while this one could not reach the log.
                Task::Own(_, Waiting { stage: Stage::Noted(mark, _), .. })
                    if is_shared && mark > seen =>
                {
                    look_at = Some(Instant::now());
                }
                Task::Own(position, waiting) => match self.take_further(position, &waiting) {
                    Ok(Some(stage)) => wills.advance(position, stage),
                    Ok(None) => wills.remove(position),
                    Err(error) => {
                        let topic = waiting.will.topic.as_str();
                        tracing::debug!(%error, topic, "a last will must wait");
                        wills.pause(position, Instant::now() + RETENTION_INTERVAL);
                    }
                },
                Task::Elsewhere(errand) => match self.run_errand(errand, seen) {
                    Ok(()) => {}
                    // What has come is read first.
                    Err(PublishError::TopicContinued { .. }) => look_at = Some(Instant::now()),
                    Err(error) => {
                        tracing::debug!(%error, "a last will at another hub must wait");
                        let end = Instant::now() + RETENTION_INTERVAL;
                        wills.elsewhere(|elsewhere| elsewhere.pause(errand, end));
                    }
                },
            }
        }
    }

    /// Finds the wills in the log up to `head`. Returns where it ended; `None` if the engine stops.
    fn find_wills(&self, mut head: Position) -> Option<Position> {
        let Inner { wills, store, config, .. } = &*self.inner;
        // Wills in a copy that is being fetched may be crossed out in what it lacks.
        while store.is_fetched().is_err() {
            if wills.sleep(READ_RETRY) {
                return None;
            }
            // Of this process there are none yet: nobody publishes before.
            head = store.bounds().head;
        }
        let open = loop {
            match open_notes(&**store, head) {
                Ok(open) => break open,
                Err(error) => {
                    let reason = with_causes(&error);
                    tracing::error!(reason, "last wills cannot be read; it will be tried again");
                    if wills.sleep(READ_RETRY) {
                        return None;
                    }
                }
            }
        };
        let is_shared = store.shared().is_some();
        let mut elsewhere = Elsewhere::new(self.run(), config.hub_patience);
        let now = Instant::now();
        for OpenNote { position, will, run, lost } in open {
            match run.filter(|run| is_shared && *run != self.run()) {
                Some(run) => elsewhere.find(position, run, lost, will.patience, now),
                None => {
                    let stage = Stage::Noted(lost.unwrap_or(head), now + will.patience);
                    wills.find(position, Waiting::new(will, None, stage));
                }
            }
        }
        if is_shared {
            wills.share(elsewhere);
        }
        Some(head)
    }

    /// Reads what the hubs of the log have noted after `seen`, and says that this one is there if
    /// one of them has asked. Returns the position up to which it has read.
    fn look(&self, seen: Position, must_answer: &mut bool) -> Result<Position, PublishError> {
        let Inner { wills, store, .. } = &*self.inner;
        let head = store.bounds().head;
        if has_notes_after(&**store, seen).map_err(PublishError::Unread)? {
            let read = read_notes(&**store, seen, head, |position, note| {
                let now = Instant::now();
                let asks = wills.elsewhere(|elsewhere| elsewhere.note(position, &note, now));
                *must_answer |= asks.unwrap_or(false);
                if let Note::Done(will) = note {
                    wills.remove(will);
                }
            });
            read.map_err(PublishError::Unread)?;
        }
        if *must_answer {
            match block_on(self.publish(vec![Note::There(self.run()).draft()])) {
                Ok(_) => *must_answer = false,
                Err(error) => tracing::debug!(%error, "the answer to another hub must wait"),
            }
        }
        Ok(head)
    }

    /// Does what is due about the other hubs, all of whose notes were read up to `seen`.
    fn run_errand(&self, errand: Errand, seen: Position) -> Result<(), PublishError> {
        let Inner { wills, store, .. } = &*self.inner;
        match errand {
            Errand::Ask(run) => {
                let note = Note::Asked { run, by: self.run() }.draft();
                let position = block_on(self.publish(vec![note]))?[0].position;
                let now = Instant::now();
                wills.elsewhere(|elsewhere| elsewhere.asked(run, self.run(), position, now));
            }
            Errand::CarryOut { will, run, mark } => {
                let last_will = read_will(&**store, will).map_err(PublishError::Unread)?;
                if let Some(last_will) = last_will {
                    let topic = last_will.topic.as_str();
                    let done = Note::Done(will).draft_after(seen);
                    let drafts = vec![last_event(&last_will, mark), done.clone()];
                    match block_on(self.publish(drafts)) {
                        Err(PublishError::TopicContinued { topic }) if !topic.is_of_notes() => {
                            block_on(self.publish(vec![done]))?;
                        }
                        published => {
                            published?;
                            tracing::info!(
                                topic,
                                "a last will of the hub {run:08x} was carried out"
                            );
                        }
                    }
                }
                wills.elsewhere(|elsewhere| elsewhere.remove(will));
            }
        }
        Ok(())
    }

    /// Does what comes next with a will of this hub; `None` if it is crossed out.
    fn take_further(
        &self,
        position: Position,
        waiting: &Waiting,
    ) -> Result<Option<Stage>, PublishError> {
        let Waiting { will, share, stage, .. } = waiting;
        let done = Note::Done(position).draft();
        match *stage {
            Stage::Held => Ok(Some(Stage::Held)),
            Stage::Lost => {
                // What the publisher has in the queue is before this note.
                let note = Note::Lost(position).draft();
                let mark = block_on(self.publish(vec![note]))?[0].position;
                Ok(Some(Stage::Noted(mark, Instant::now() + will.patience)))
            }
            Stage::Withdrawn => block_on(self.publish(vec![done])).map(|_| None),
            Stage::Noted(mark, _) => {
                let drafts = vec![last_event(will, mark), done.clone()];
                match block_on(self.with_topic_share(share.clone()).publish(drafts)) {
                    Err(PublishError::TopicContinued { .. }) => {}
                    published => return published.map(|_| None),
                }
                block_on(self.publish(vec![done])).map(|_| None)
            }
        }
    }
}

/// The event of `will`, which is stored only if nobody has published to its topic after `mark`, and
/// the topic has not ended.
fn last_event(will: &LastWill, mark: Position) -> Draft {
    Draft {
        kind: Kind::LastEvent,
        event_type: will.event_type.clone(),
        expected: Some(Box::new(Expected::NothingAfter(mark))),
        ..Draft::new(will.topic.clone(), will.data.clone())
    }
}
