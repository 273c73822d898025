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
use tokio::time::timeout;

use crate::api::{self, Done, PublishAck, StreamConfigAsItIs, StreamInfo};
use crate::check::{self, Finding};
use crate::error::NatsError;
use crate::limits::{
    BELL_PATIENCE_MAX, CONNECTION_LOOK_INTERVAL, HEADER_BYTES_MAX, PAYLOAD_BYTES_MIN,
    READ_WINDOW_BYTES, RINGS_MAX,
};
use crate::nats::{Connection, Nats};

/// A stream of JetStream as a [`Journal`].
///
/// Whatever the answer to a read is, it may be from the past: only an append proves what is not
/// there. The shared store is built on that.
#[derive(Debug)]
pub struct NatsJournal {
    pub(crate) nats: Nats,
    pub(crate) connection: Connection,
    /// Rings whenever the stream has stored something; `None` until it is waited for.
    bell: Option<Subscriber>,
    /// The newest sequence heard of. Only a hint for how much to ask for at once.
    pub(crate) last_heard: Seq,
    /// Whether the replicas answer, not only the leader.
    pub(crate) is_direct: bool,
    /// Bytes of blocks that are asked for at once, unless one is larger: fewer on a slow network,
    /// where the last of many answers would come too late.
    pub(crate) read_window: usize,
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

    pub(crate) fn stream(&self) -> &str {
        &self.nats.config.stream
    }

    pub(crate) fn ask<T: serde::de::DeserializeOwned>(
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

    pub(crate) fn info(&self) -> Result<StreamInfo, NatsError> {
        self.ask("STREAM.INFO", &Value::Null)
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
            Err(error) => {
                if let Some(last) = last_sequence(&error) {
                    self.last_heard = self.last_heard.max(Seq::new(last));
                }
                Err(fault(error))
            }
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

    fn bytes(&mut self) -> Result<u64, JournalError> {
        Ok(self.info().map_err(missing_or_away)?.state.bytes)
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

/// The sequence that a message of the stream has.
pub(crate) fn sequence(message: &Message) -> Option<Seq> {
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

/// The last sequence of the stream, if the refusal of an append names it.
fn last_sequence(error: &NatsError) -> Option<u64> {
    match error {
        NatsError::Refused { code: api::WRONG_LAST_SEQUENCE, description } => {
            description.rsplit(' ').next()?.parse().ok()
        }
        _ => None,
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
