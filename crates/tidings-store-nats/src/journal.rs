use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message, Subscriber};
use bytes::Bytes;
use futures_core::Stream;
use jiff::Timestamp;
use serde_json::{Value, json};
use tidings_store_shared::{AppendFault, Journal, JournalError, Nonce, Seq, SeqBounds, Terms};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::api::{self, Done, PublishAck, Stored, StreamConfigAsItIs, StreamInfo};
use crate::check::{self, Finding};
use crate::error::NatsError;
use crate::limits::{
    BELL_PATIENCE_MAX, CONNECTION_LOOK_INTERVAL, HEADER_BYTES_MAX, PAYLOAD_BYTES_MIN,
    READ_WINDOW_BYTES, READ_WINDOW_BYTES_MAX, READS_AT_ONCE_MAX, READS_QUICK, READS_SLOW,
    REQUEST_PATIENCE, RINGS_MAX,
};
use crate::nats::{Connection, Nats};

/// A stream of JetStream as a [`Journal`].
///
/// Whatever the answer to a read is, it may be from the past: only an append proves what is not
/// there. The shared store is built on that.
#[derive(Debug)]
pub struct NatsJournal {
    nats: Nats,
    connection: Connection,
    /// Rings whenever the stream has stored something; `None` until it is waited for.
    bell: Option<Subscriber>,
    /// The newest sequence heard of. Only a hint for how much to ask for at once.
    last_heard: Seq,
    /// Whether the replicas answer, not only the leader.
    is_direct: bool,
    /// Bytes of blocks that are asked for at once, unless one is larger: fewer on a slow network,
    /// where the last of many answers would come too late.
    read_window: usize,
}

impl NatsJournal {
    /// A connection to the stream, for one thread. It is restored by itself whenever it is lost; if
    /// no server can be reached now, it is made as soon as one can.
    ///
    /// # Errors
    ///
    /// [`NatsError::Connect`] if the servers refuse the hub, or a certificate cannot be read.
    pub fn connect(nats: &Nats) -> Result<Self, NatsError> {
        let connection = Connection { client: nats.runtime.block_on(nats.connect(RINGS_MAX))? };
        let nats = nats.clone();
        Ok(Self {
            nats,
            connection,
            bell: None,
            last_heard: Seq::ZERO,
            is_direct: true,
            read_window: READ_WINDOW_BYTES,
        })
    }

    /// Waits for a server, `patience` at most. Returns whether there is one.
    pub fn is_connected_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while !self.connection.is_connected() && Instant::now() < deadline {
            std::thread::sleep(CONNECTION_LOOK_INTERVAL);
        }
        self.connection.is_connected()
    }

    /// What is wrong with the servers or the stream, as far as a client can see.
    ///
    /// # Errors
    ///
    /// [`NatsError`] if they cannot be asked.
    pub fn findings(&mut self) -> Result<Vec<Finding>, NatsError> {
        let info = match self.info() {
            Ok(info) => Some(info),
            Err(error) if error.code() == Some(api::NO_STREAM) => None,
            Err(error) => return Err(error),
        };
        let server = self.connection.client.server_info();
        Ok(check::findings(&server.version, server.max_payload, &self.nats.config, info.as_ref()))
    }

    /// How far this machine's clock is from that of the servers, if that is too far. Only a stream
    /// that exists tells.
    ///
    /// # Errors
    ///
    /// [`NatsError`] if the servers cannot be asked.
    pub fn clock_finding(&mut self) -> Result<Option<Finding>, NatsError> {
        let asked = Timestamp::now();
        let StreamInfo { ts, state, .. } = self.info()?;
        let here = asked..=Timestamp::now();
        let [now, last] = [ts, state.last_ts].map(|text| text?.parse().ok());
        Ok(check::clock(here, now, last))
    }

    /// Name of the server that leads the stream; `None` if none does at the moment, or if there is
    /// only one server.
    ///
    /// # Errors
    ///
    /// [`NatsError`] if the servers cannot be asked.
    pub fn leader(&self) -> Result<Option<String>, NatsError> {
        Ok(self.info()?.cluster.leader)
    }

    /// Number of servers besides the leader that have the whole stream.
    ///
    /// # Errors
    ///
    /// [`NatsError`] if the servers cannot be asked.
    pub fn current_replicas(&self) -> Result<usize, NatsError> {
        let replicas = self.info()?.cluster.replicas;
        Ok(replicas.iter().filter(|replica| replica.current && !replica.offline).count())
    }

    fn stream(&self) -> &str {
        &self.nats.config.stream
    }

    fn ask<T: serde::de::DeserializeOwned>(
        &self,
        request: &str,
        body: &Value,
    ) -> Result<T, NatsError> {
        if !self.connection.is_connected() {
            return Err(NatsError::NotConnected);
        }
        let request = format!("{request}.{}", self.stream());
        self.nats.runtime.block_on(self.connection.ask(request, body))
    }

    /// The configuration of the stream.
    fn config(&self) -> Result<Value, NatsError> {
        let StreamConfigAsItIs { config } = self.ask("STREAM.INFO", &Value::Null)?;
        Ok(config)
    }

    fn info(&self) -> Result<StreamInfo, NatsError> {
        self.ask("STREAM.INFO", &Value::Null)
    }

    /// The block at `seq`, as the leader has it.
    fn get(&self, seq: Seq) -> Result<Option<Bytes>, NatsError> {
        match self.ask("STREAM.MSG.GET", &json!({ "seq": seq.get() })) {
            Ok(Stored { message }) => message.block().map(Some),
            Err(error) if error.code() == Some(api::NO_MESSAGE) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Blocks after `after`, asked for at once and of any replica: up to the first that is missing.
    fn get_many(&mut self, after: Seq, count: usize) -> Result<Vec<(Seq, Bytes)>, NatsError> {
        let began = Instant::now();
        let connection = &self.connection;
        let subject = format!("$JS.API.DIRECT.GET.{}", self.stream());
        let mut answers = self.nats.runtime.block_on(async {
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
        answers.sort_unstable_by_key(|(seq, _)| *seq);
        self.read_window = read_window(self.read_window, began.elapsed());
        let mut blocks = Vec::with_capacity(answers.len());
        for (seq, answer) in answers {
            match answer {
                Ok(message) if is_block(&message, seq) => {
                    blocks.push((Seq::new(seq), message.payload));
                }
                Ok(_) => break,
                Err(NatsError::NobodyListens) => {
                    self.is_direct = false;
                    break;
                }
                // Those before it were read.
                Err(_) if !blocks.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(blocks)
    }

    fn read_from(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, NatsError> {
        let mut after = after;
        let first = match self.get(after.next())? {
            Some(block) => block,
            None => {
                // It may have been trimmed.
                let state = self.info()?.state;
                self.last_heard = self.last_heard.max(Seq::new(state.last_seq));
                if state.first_seq <= after.get() + 1 || state.first_seq > state.last_seq {
                    return Ok(Vec::new());
                }
                after = Seq::new(state.first_seq - 1);
                match self.get(after.next())? {
                    Some(block) => block,
                    None => return Ok(Vec::new()),
                }
            }
        };
        let mut bytes = first.len();
        let mut blocks = vec![(after.next(), first)];
        while bytes < bytes_max {
            let newest = blocks.last().map_or(after, |(seq, _)| *seq);
            let left = self.last_heard.get().saturating_sub(newest.get());
            // No more than will fit, by the size of those so far; and not many by that of a few.
            let fitting = |room: usize| room / (bytes / blocks.len()).max(1);
            let count = usize::try_from(left).unwrap_or(usize::MAX);
            let count = count.min(fitting(bytes_max - bytes) + 1).min(blocks.len());
            let count = count.min(fitting(self.read_window).clamp(1, READS_AT_ONCE_MAX));
            if count == 0 {
                break;
            }
            let more = if self.is_direct {
                self.get_many(newest, count)
            } else {
                let next = self.get(newest.next());
                next.map(|block| block.map(|block| (newest.next(), block)).into_iter().collect())
            };
            let more = match more {
                Ok(more) if !more.is_empty() => more,
                // The replica that was asked may be behind; and what was read was read.
                Ok(_) | Err(_) => break,
            };
            for (seq, block) in more {
                if bytes >= bytes_max {
                    break;
                }
                bytes += block.len();
                blocks.push((seq, block));
            }
        }
        Ok(blocks)
    }
}

impl Journal for NatsJournal {
    fn create(&mut self) -> Result<(), JournalError> {
        let config = api::new_stream(self.stream(), self.nats.config.replicas);
        match self.ask::<Done>("STREAM.CREATE", &config) {
            Err(error) if error.code() != Some(api::STREAM_EXISTS) => Err(away(error)),
            _ => Ok(()),
        }
    }

    fn bounds(&mut self) -> Result<Option<SeqBounds>, JournalError> {
        match self.info() {
            Ok(StreamInfo { state, .. }) => {
                let last = Seq::new(state.last_seq);
                self.last_heard = self.last_heard.max(last);
                // A stream that is empty says 0 or last + 1.
                let first = Seq::new(state.first_seq).max(Seq::new(1));
                Ok(Some(SeqBounds { first: first.min(last.next()), last }))
            }
            Err(error) if error.code() == Some(api::NO_STREAM) => Ok(None),
            Err(error) => Err(away(error)),
        }
    }

    fn append(
        &mut self,
        after: Seq,
        nonce: Nonce,
        block: &[u8],
        patience: Duration,
    ) -> Result<Seq, AppendFault> {
        // The client keeps requests while there is no connection, and sends them later, even those
        // that were given up.
        if !self.connection.is_connected() {
            return Err(AppendFault::NotStored(away(NatsError::NotConnected)));
        }
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Stream", self.stream());
        headers.insert("Nats-Expected-Last-Sequence", after.to_string());
        headers.insert("Nats-Msg-Id", nonce.to_string());
        let subject = api::log_subject(self.stream());
        let body = Bytes::copy_from_slice(block);
        let sent = self.connection.send(subject, headers, body, patience);
        let answer = self.nats.runtime.block_on(sent);
        match answer.and_then(|message| api::read::<PublishAck>(&message.payload)) {
            Ok(PublishAck { seq }) => {
                self.last_heard = self.last_heard.max(Seq::new(seq));
                Ok(Seq::new(seq))
            }
            Err(error) => Err(fault(error)),
        }
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError> {
        self.read_from(after, bytes_max).map_err(missing_or_away)
    }

    fn wait(&mut self, after: Seq, patience: Duration) -> Result<(), JournalError> {
        if self.last_heard > after {
            // Once: what was heard of may have been lost since.
            self.last_heard = after;
            return Ok(());
        }
        let Self { nats, connection, bell, last_heard, .. } = self;
        let deadline = Instant::now() + patience.min(BELL_PATIENCE_MAX);
        nats.runtime.block_on(async {
            if bell.is_none() {
                let subject = api::bell_subject(&nats.config.stream);
                let subscribed = connection.client.subscribe(subject).await;
                *bell = Some(subscribed.map_err(|error| away(NatsError::client(error)))?);
                // It may have rung before.
                return Ok(());
            }
            let Some(subscriber) = bell else { return Ok(()) };
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                let ring = poll_fn(|context| Pin::new(&mut *subscriber).poll_next(context));
                match timeout(left, ring).await {
                    Err(_) => return Ok(()),
                    Ok(None) => {
                        *bell = None;
                        return Err(away(NatsError::NotConnected));
                    }
                    Ok(Some(ring)) => match sequence(&ring) {
                        Some(seq) if seq <= after => {}
                        seq => {
                            *last_heard = seq.unwrap_or(after);
                            return Ok(());
                        }
                    },
                }
            }
        })
    }

    fn trim(&mut self, before: Seq) -> Result<(), JournalError> {
        // Nothing is before the first block. Servers of 2.9 take a purge up to there for a purge of
        // everything.
        if before <= Seq::new(1) {
            return Ok(());
        }
        let body = json!({ "seq": before.get() });
        self.ask::<Done>("STREAM.PURGE", &body).map(|_| ()).map_err(missing_or_away)
    }

    fn terms(&mut self) -> Result<Option<Terms>, JournalError> {
        match self.config() {
            Ok(config) => Ok(config["description"].as_str().and_then(api::terms_in)),
            Err(error) if error.code() == Some(api::NO_STREAM) => Ok(None),
            Err(error) => Err(away(error)),
        }
    }

    fn set_terms(&mut self, terms: &Terms) -> Result<(), JournalError> {
        let mut config = self.config().map_err(missing_or_away)?;
        config["description"] = api::description(terms).into();
        self.ask::<Done>("STREAM.UPDATE", &config).map(|_| ()).map_err(missing_or_away)
    }

    fn block_bytes_max(&self) -> usize {
        let payload = match self.connection.client.server_info().max_payload {
            // Not connected yet.
            0 => PAYLOAD_BYTES_MIN,
            payload => payload,
        };
        payload.saturating_sub(HEADER_BYTES_MAX)
    }
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

fn sequence(message: &Message) -> Option<Seq> {
    let value = message.headers.as_ref()?.get("Nats-Sequence")?;
    value.as_str().parse().ok().map(Seq::new)
}

fn away(error: NatsError) -> JournalError {
    JournalError::Away { source: Arc::new(error) }
}

fn missing_or_away(error: NatsError) -> JournalError {
    match error.code() {
        Some(api::NO_STREAM) => JournalError::Missing,
        _ => away(error),
    }
}

/// What an error of an append says about the block.
fn fault(error: NatsError) -> AppendFault {
    match &error {
        NatsError::Refused { code, .. } if *code == api::WRONG_LAST_SEQUENCE => AppendFault::Behind,
        NatsError::Refused { code, .. } if api::is_surely_not_stored(*code) => {
            AppendFault::NotStored(missing_or_away(error))
        }
        NatsError::NobodyListens => AppendFault::NotStored(away(error)),
        _ => AppendFault::Undecided { source: Arc::new(error) },
    }
}
