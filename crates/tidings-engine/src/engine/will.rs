//! Last wills of publishers: left, crossed out, and carried out.

use std::sync::Arc;
use std::time::Instant;

use tidings_hub::{Draft, Kind, Position, ReadError, Topic, with_causes};

use super::{Engine, Run};
use crate::error::PublishError;
use crate::limits::{READ_RETRY, RETENTION_INTERVAL};
use crate::wills::{LastWill, Note, Stage, Waiting, Wills, block_on, read_waiting};

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
        let leaving = tokio::spawn(async move {
            let _reserved = reserved;
            let note = Note::Will(will.clone()).draft();
            let position = engine.publish(vec![note]).await?[0].position;
            let share = engine.topic_share.clone();
            let wills = Arc::clone(&engine.inner.wills);
            wills.set(position, Waiting::new(will, share, Stage::Held));
            Ok(OpenWill { wills, position, next: None })
        });
        leaving.await.unwrap_or(Err(PublishError::Stopping))
    }

    /// The thread: carries out wills until it is stopped. Those in the log up to `head` are of
    /// publishers of an earlier process.
    pub(super) fn carry_out_wills(&self, head: Position) {
        let wills = &self.inner.wills;
        let mut head = head;
        // Wills in a copy that is being fetched may be crossed out in what it lacks.
        while self.inner.store.is_fetched().is_err() {
            if wills.sleep(READ_RETRY) {
                return;
            }
            // Of this process there are none yet: nobody publishes before.
            head = self.inner.store.bounds().head;
        }
        loop {
            match read_waiting(&*self.inner.store, head) {
                Ok(waiting) => {
                    for (position, will, mark) in waiting {
                        let stage = Stage::Noted(mark, Instant::now() + will.patience);
                        wills.find(position, Waiting::new(will, None, stage));
                    }
                    break;
                }
                Err(error) => {
                    let reason = with_causes(&error);
                    tracing::error!(reason, "last wills cannot be read; it will be tried again");
                    if wills.sleep(READ_RETRY) {
                        return;
                    }
                }
            }
        }
        while let Some((position, waiting)) = wills.next() {
            match self.take_further(position, &waiting) {
                Ok(Some(stage)) => wills.advance(position, stage),
                Ok(None) => wills.remove(position),
                Err(error) => {
                    let topic = waiting.will.topic.as_str();
                    tracing::debug!(%error, topic, "a last will must wait");
                    wills.pause(position, Instant::now() + RETENTION_INTERVAL);
                }
            }
        }
    }

    /// Does what comes next with a will; `None` if it is crossed out.
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
                // From here on nobody ends the topic without our knowing.
                let run = Run { topic: Some(will.topic.clone()), begins: false };
                let stream = self.with_topic_share(share.clone()).publish_stream(run);
                if !self.is_continued(&will.topic, mark).map_err(PublishError::Unread)? {
                    let last = Draft {
                        kind: Kind::LastEvent,
                        event_type: will.event_type.clone(),
                        ..Draft::new(will.topic.clone(), will.data.clone())
                    };
                    match block_on(stream.publish_whole(vec![last, done.clone()])) {
                        Err(PublishError::TopicEnded { .. }) => {}
                        published => return published.map(|_| None),
                    }
                }
                block_on(self.publish(vec![done])).map(|_| None)
            }
        }
    }

    /// Whether somebody has published to `topic` after `mark`, or it has ended.
    fn is_continued(&self, topic: &Topic, mark: Position) -> Result<bool, ReadError> {
        let state = self.inner.store.catalog().topic(topic)?;
        Ok(state.is_some_and(|state| state.ended || state.last > mark))
    }
}
