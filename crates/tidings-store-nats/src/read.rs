//! Reading blocks of a stream.
//!
//! The leader is asked for the first two of a page, whatever was heard of the stream: a hub begins
//! a page with the newest block that it has, and a bell can be lost. (A stream that was put back
//! from a backup rings none.) What is heard of beyond that is asked for at once, and of any
//! replica; a replica may be behind, so the leader is asked for what it does not have.

use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use serde_json::json;
use tidings_store_shared::Seq;
use tokio::task::JoinSet;

use crate::api::{self, Stored};
use crate::error::NatsError;
use crate::journal::{NatsJournal, sequence};
use crate::limits::{
    READ_WINDOW_BYTES_MAX, READS_AT_ONCE_MAX, READS_QUICK, READS_SLOW, REQUEST_PATIENCE,
};

impl NatsJournal {
    /// Blocks after `after`: at least two if there are two, unless the first has `bytes_max`.
    pub(crate) fn read_from(
        &mut self,
        after: Seq,
        bytes_max: usize,
    ) -> Result<Vec<(Seq, Bytes)>, NatsError> {
        // A reader that wants one block asks for one byte.
        let count = if bytes_max > 1 { 2 } else { 1 };
        let mut blocks = self.get(after, count)?;
        if blocks.is_empty() {
            // It may have been trimmed.
            let state = self.info()?.state;
            self.last_heard = self.last_heard.max(Seq::new(state.last_seq));
            if state.first_seq <= after.get() + 1 || state.first_seq > state.last_seq {
                return Ok(Vec::new());
            }
            blocks = self.get(Seq::new(state.first_seq - 1), count)?;
        }
        if blocks.len() as u64 == count {
            self.read_on(&mut blocks, bytes_max);
        }
        let mut bytes = 0;
        let is_wanted = |(_, block): &(Seq, Bytes)| {
            let had = bytes;
            bytes += block.len();
            had < bytes_max
        };
        Ok(blocks.into_iter().take_while(is_wanted).collect())
    }

    /// Reads what comes after `blocks`, until they have `bytes_max`. What was read was read: an
    /// error ends the page.
    fn read_on(&mut self, blocks: &mut Vec<(Seq, Bytes)>, bytes_max: usize) {
        // The end that was heard of is the end, unless there was more already.
        let mut may_go_on = false;
        while let Some((newest, _)) = blocks.last() {
            let newest = *newest;
            if newest > self.last_heard {
                self.last_heard = newest;
                may_go_on = true;
            }
            let bytes: usize = blocks.iter().map(|(_, block)| block.len()).sum();
            if bytes >= bytes_max {
                return;
            }
            let left = self.last_heard.get() - newest.get();
            if left == 0 && !may_go_on {
                return;
            }
            // No more than will fit, by the size of those so far; and not many by that of a few.
            let fitting = |room: usize| room / (bytes / blocks.len()).max(1);
            let count = usize::try_from(left).unwrap_or(usize::MAX);
            let count = count.min(fitting(bytes_max - bytes) + 1).min(blocks.len());
            let count = count.min(fitting(self.read_window).clamp(1, READS_AT_ONCE_MAX));
            let mut more = match self.is_direct && count > 1 {
                true => self.get_of_any(newest, count).unwrap_or_default(),
                false => Vec::new(),
            };
            if more.is_empty() {
                more = self.get(newest, 1).unwrap_or_default();
            }
            if more.is_empty() {
                // What was heard of may have been lost since.
                self.last_heard = newest;
                return;
            }
            blocks.append(&mut more);
        }
    }

    /// `count` blocks after `after`, as the leader has them: up to the first that is missing.
    fn get(&self, after: Seq, count: u64) -> Result<Vec<(Seq, Bytes)>, NatsError> {
        if !self.connection.is_connected() {
            return Err(NatsError::NotConnected);
        }
        let answers = self.nats.runtime.block_on(async {
            let mut asked = JoinSet::new();
            for seq in (1..=count).map(|number| after.get() + number) {
                let connection = self.connection.clone();
                let request = format!("STREAM.MSG.GET.{}", self.stream());
                asked.spawn(async move {
                    let body = json!({ "seq": seq });
                    (seq, connection.ask::<Stored>(request, &body).await)
                });
            }
            asked.join_all().await
        });
        let blocks = answers.into_iter().map(|(seq, answer)| match answer {
            Ok(Stored { message }) => (seq, message.block().map(Some)),
            Err(error) if error.code() == Some(api::NO_MESSAGE) => (seq, Ok(None)),
            Err(error) => (seq, Err(error)),
        });
        upto_missing(blocks.collect())
    }

    /// The same, asked of any replica.
    fn get_of_any(&mut self, after: Seq, count: usize) -> Result<Vec<(Seq, Bytes)>, NatsError> {
        let began = Instant::now();
        let connection = &self.connection;
        let subject = format!("$JS.API.DIRECT.GET.{}", self.stream());
        let answers = self.nats.runtime.block_on(async {
            let mut asked = JoinSet::new();
            for number in 1..=count as u64 {
                let seq = after.get() + number;
                let (connection, subject) = (connection.clone(), subject.clone());
                asked.spawn(async move {
                    let body = json!({ "seq": seq }).to_string().into();
                    let none = HeaderMap::new();
                    (seq, connection.send(subject, none, body, REQUEST_PATIENCE).await)
                });
            }
            asked.join_all().await
        });
        self.read_window = read_window(self.read_window, began.elapsed());
        let is_deaf = |(_, answer): &(_, Result<Message, NatsError>)| {
            matches!(answer, Err(NatsError::NobodyListens))
        };
        if answers.iter().any(is_deaf) {
            self.is_direct = false;
        }
        let blocks = answers.into_iter().map(|(seq, answer)| {
            let block = answer.map(|message| is_block(&message, seq).then_some(message.payload));
            (seq, block)
        });
        upto_missing(blocks.collect())
    }
}

/// The blocks before the first one that is missing, or of which the request failed; the error if
/// there is none before that.
fn upto_missing(
    mut answers: Vec<(u64, Result<Option<Bytes>, NatsError>)>,
) -> Result<Vec<(Seq, Bytes)>, NatsError> {
    answers.sort_unstable_by_key(|(seq, _)| *seq);
    let mut blocks = Vec::with_capacity(answers.len());
    for (seq, answer) in answers {
        match answer {
            Ok(Some(block)) => blocks.push((Seq::new(seq), block)),
            Err(error) if blocks.is_empty() => return Err(error),
            Ok(None) | Err(_) => break,
        }
    }
    Ok(blocks)
}

/// Bytes of blocks to ask for at once after `before` of them took `elapsed`.
fn read_window(before: usize, elapsed: Duration) -> usize {
    if elapsed > READS_SLOW {
        (before / 2).max(1)
    } else if elapsed < READS_QUICK {
        (before * 2).min(READ_WINDOW_BYTES_MAX)
    } else {
        before
    }
}

/// Whether the answer to a direct request is the block at `seq`, and not that there is none.
fn is_block(message: &Message, seq: u64) -> bool {
    message.status.is_none() && sequence(message) == Some(Seq::new(seq))
}
