//! The requests of JetStream that are used, and their answers, as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidings_store_shared::Terms;

use crate::error::NatsError;
use crate::limits::DUPLICATE_WINDOW;

/// Error codes of JetStream.
pub(crate) const NO_MESSAGE: u32 = 10037;
pub(crate) const NO_STREAM: u32 = 10059;
pub(crate) const WRONG_LAST_SEQUENCE: u32 = 10071;
/// A stream of this name is there, with another configuration.
pub(crate) const STREAM_EXISTS: u32 = 10058;

/// Answers that say that nothing was stored: too little room or too few servers, not the leader, no
/// stream, a message that is too large or for another stream, a sealed stream.
const NOT_STORED: [u32; 11] =
    [10003, 10008, 10009, 10023, 10028, 10039, 10047, 10054, 10059, 10060, 10109];

/// Whether the answer `code` to a message says that it was not stored.
pub(crate) fn is_surely_not_stored(code: u32) -> bool {
    NOT_STORED.contains(&code)
}

#[derive(Debug, Deserialize)]
struct Answer {
    error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    #[serde(default)]
    code: u32,
    #[serde(default)]
    err_code: u32,
    #[serde(default)]
    description: Box<str>,
}

/// Reads an answer.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, NatsError> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(NatsError::malformed)?;
    if let Some(Refusal { code, err_code, description }) = answer.error {
        let code = if err_code == 0 { code } else { err_code };
        return Err(NatsError::Refused { code, description });
    }
    serde_json::from_slice(bytes).map_err(NatsError::malformed)
}

/// The acknowledgement of a message.
#[derive(Debug, Deserialize)]
pub(crate) struct PublishAck {
    pub(crate) seq: u64,
}

/// `STREAM.INFO`.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: StreamConfig,
    pub(crate) state: StreamState,
    /// The time of the answer; servers before 2.10 do not say it.
    #[serde(default)]
    pub(crate) ts: Option<Box<str>>,
    #[serde(default)]
    pub(crate) cluster: ClusterInfo,
}

/// The servers that have the stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ClusterInfo {
    pub(crate) leader: Option<String>,
    pub(crate) replicas: Vec<Replica>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Replica {
    pub(crate) current: bool,
    pub(crate) offline: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StreamState {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) bytes: u64,
    /// The time at which the last message was stored; of an empty stream, a time long ago.
    #[serde(default)]
    pub(crate) last_ts: Option<Box<str>>,
}

/// The configuration of a stream as the servers have it, whatever is in it.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamConfigAsItIs {
    pub(crate) config: Value,
}

/// What matters of a stream's configuration; what is not there has its default.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StreamConfig {
    pub(crate) subjects: Vec<String>,
    pub(crate) retention: String,
    pub(crate) storage: String,
    pub(crate) num_replicas: usize,
    pub(crate) max_age: i64,
    pub(crate) max_msgs: i64,
    pub(crate) max_msgs_per_subject: i64,
    pub(crate) max_msg_size: i64,
    pub(crate) sealed: bool,
    pub(crate) no_ack: bool,
    pub(crate) allow_direct: bool,
    pub(crate) mirror: Option<Value>,
    pub(crate) sources: Option<Value>,
    pub(crate) republish: Option<Republish>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Republish {
    pub(crate) dest: String,
}

/// `STREAM.MSG.GET`.
#[derive(Debug, Deserialize)]
pub(crate) struct Stored {
    pub(crate) message: StoredMessage,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StoredMessage {
    #[serde(default)]
    data: String,
}

impl StoredMessage {
    pub(crate) fn block(&self) -> Result<Bytes, NatsError> {
        STANDARD.decode(&self.data).map(Bytes::from).map_err(NatsError::malformed)
    }
}

/// What only says that it is done.
#[derive(Debug, Deserialize)]
pub(crate) struct Done {}

/// The subject to which the blocks of a stream are published.
pub(crate) fn log_subject(stream: &str) -> String {
    format!("tidings.log.{stream}")
}

/// The subject to which a stream republishes the headers of what it has stored.
pub(crate) fn bell_subject(stream: &str) -> String {
    format!("tidings.bell.{stream}")
}

/// The subject of what the hubs on a stream say to each other.
pub(crate) fn hubs_subject(stream: &str) -> String {
    format!("tidings.hubs.{stream}")
}

/// The description of a stream, for those who list the streams.
const DESCRIPTION: &str = "The log of Tidings hubs. Only they may publish to its subject.";

/// What stands between that and the settings that the hubs have agreed on. The description is the
/// one place for them that every version of the servers has.
const BEFORE_TERMS: &str = " Settings of the hubs: ";

/// The description with these settings.
pub(crate) fn description(terms: &Terms) -> String {
    format!("{DESCRIPTION}{BEFORE_TERMS}{terms}")
}

/// The settings in a description; `None` if there are none.
pub(crate) fn terms_in(description: &str) -> Option<Terms> {
    let (_, terms) = description.split_once(BEFORE_TERMS)?;
    Some(Terms::parse(terms))
}

/// The configuration of a new stream. Messages stay until a hub purges them, and none can be
/// deleted from the middle.
pub(crate) fn new_stream(name: &str, replicas: usize) -> Value {
    json!({
        "name": name,
        "description": DESCRIPTION,
        "subjects": [log_subject(name)],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "num_replicas": replicas,
        "max_consumers": -1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "max_msg_size": -1,
        "duplicate_window": u64::try_from(DUPLICATE_WINDOW.as_nanos()).unwrap_or(0),
        "deny_delete": true,
        "allow_direct": true,
        "republish": {
            "src": log_subject(name),
            "dest": bell_subject(name),
            "headers_only": true,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_the_hubs_read_back_from_the_description() {
        let terms = Terms::new([("max-topics", "7".to_owned()), ("retention-age", "1 day".into())]);
        assert_eq!(terms_in(&description(&terms)), Some(terms));
        assert_eq!(terms_in(DESCRIPTION), None);
    }

    #[test]
    fn a_refusal_is_told_from_an_answer() {
        let ack: PublishAck = read(br#"{"stream":"x","seq":7}"#).expect("an answer");
        assert_eq!(ack.seq, 7);
        let refused = r#"{"error":{"code":400,"err_code":10071,"description":"wrong last"}}"#;
        let error = read::<PublishAck>(refused.as_bytes()).expect_err("a refusal");
        assert_eq!(error.code(), Some(WRONG_LAST_SEQUENCE));
        assert!(matches!(read::<PublishAck>(b"{}"), Err(NatsError::Malformed(_))));
        assert!(matches!(read::<PublishAck>(b"no"), Err(NatsError::Malformed(_))));
    }
}
