//! Presence as one hub says it to another.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidings_http::limits::HUB_MESSAGE_BYTES_MAX;

use super::Session;
use crate::subscription::{Kind, SubscriberName, Subscription};

/// Bytes of a message after which another one is begun. One subscription, the least that stands in
/// a message, is far smaller.
const PART_BYTES: usize = HUB_MESSAGE_BYTES_MAX / 4;

/// What hubs tell each other about their subscribers.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum About {
    /// The number of the last change.
    At(u64),
    /// Changes; the first has this number.
    News { first: u64, changes: Vec<Change> },
    /// A request for the whole list.
    Want,
    /// A part of the list as it was after the change `at`.
    List { at: u64, part: usize, parts: usize, sessions: Vec<Arrived> },
}

/// One change of a hub's list.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    Arrived(Arrived),
    /// The subscriber with this number has left.
    Left(u64),
}

/// A subscriber. One with very many subscriptions is said in pieces, with the same number.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Arrived {
    pub(crate) number: u64,
    subscriber: String,
    subscriptions: Vec<Spoken>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Spoken {
    words: Box<str>,
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Value>,
}

impl Arrived {
    /// A subscriber of this hub, in pieces that fit into messages.
    pub(crate) fn pieces(number: u64, session: &Session) -> Vec<Self> {
        let subscriber = session.subscriber.to_string();
        let spoken = session.subscriptions.iter().map(Spoken::from).collect();
        let pieces = parts(spoken);
        let piece = |subscriptions| Self { number, subscriber: subscriber.clone(), subscriptions };
        pieces.into_iter().map(piece).collect()
    }

    /// As a subscriber on the list, with what was `known` of it before. `None` if it has no valid
    /// name.
    pub(crate) fn session(self, known: Option<&Session>) -> Option<Arc<Session>> {
        let subscriber = SubscriberName::parse(&self.subscriber)?;
        let before = known.map(|known| known.subscriptions.to_vec()).unwrap_or_default();
        let new = self.subscriptions.into_iter().map(Subscription::from);
        let subscriptions = before.into_iter().chain(new).collect();
        Some(Arc::new(Session { subscriber, subscriptions }))
    }
}

impl From<&Subscription> for Spoken {
    fn from(Subscription { words, kind, payload }: &Subscription) -> Self {
        Self { words: words.clone(), kind: *kind, payload: payload.as_deref().cloned() }
    }
}

impl From<Spoken> for Subscription {
    fn from(Spoken { words, kind, payload }: Spoken) -> Self {
        Self { words, kind, payload: payload.map(Arc::new) }
    }
}

/// Divides `all` so that each part fits into a message. There is at least one part.
pub(crate) fn parts<T: Serialize>(all: Vec<T>) -> Vec<Vec<T>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = 0;
    for one in all {
        let more = serde_json::to_string(&one).map_or(0, |json| json.len() + 1);
        let last = parts.len() - 1;
        if bytes + more > PART_BYTES && !parts[last].is_empty() {
            parts.push(vec![one]);
            bytes = more;
        } else {
            parts[last].push(one);
            bytes += more;
        }
    }
    parts
}
