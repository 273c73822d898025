use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tidings_engine::ConnectionId;
use tidings_hub::{CloseReason, Interest, Matcher, Timestamp};

use crate::auth::who::Who;
use crate::limits::NOTIFY_FACT_BYTES_MAX;

/// A stream that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened<'a> {
    pub(crate) id: ConnectionId,
    pub(crate) who: &'a Arc<Who>,
    /// As far as trusted proxies tell.
    pub(crate) address: Option<IpAddr>,
    pub(crate) interest: &'a Interest,
    pub(crate) since: Timestamp,
}

/// Something for a receiver to know, as it stands in a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) kind: Kind,
    pub(super) json: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Connected,
    Gone,
}

impl Fact {
    /// A stream was opened.
    pub(super) fn connected(opened: Opened<'_>, with_address: bool) -> Self {
        let Opened { id, who, address, interest, since } = opened;
        let mut fact = named(id, who);
        let address = address.filter(|_| with_address);
        fact.extend(address.map(|address| ("address".into(), address.to_string().into())));
        let wanted = interest.wanted();
        let mut bytes = 0;
        let topics: Vec<_> = wanted
            .iter()
            .map(Matcher::to_string)
            .take_while(|topic| {
                // As JSON, each of its bytes has at most two: it has no control characters.
                bytes += 2 * topic.len() + 3;
                bytes <= NOTIFY_FACT_BYTES_MAX
            })
            .collect();
        let more = wanted.len() - topics.len();
        fact.insert("topics".into(), topics.into());
        fact.extend((more > 0).then(|| ("more_topics".into(), more.into())));
        fact.insert("since".into(), since.rfc3339().into());
        Self { kind: Kind::Connected, json: Value::Object(fact).to_string().into() }
    }

    /// It has ended.
    pub(super) fn gone(id: ConnectionId, who: &Who, reason: CloseReason, at: Timestamp) -> Self {
        let mut fact = named(id, who);
        fact.insert("reason".into(), reason.name().into());
        fact.insert("at".into(), at.rfc3339().into());
        Self { kind: Kind::Gone, json: Value::Object(fact).to_string().into() }
    }
}

fn named(id: ConnectionId, who: &Who) -> Map<String, Value> {
    let mut fact = Map::new();
    fact.insert("id".into(), json!(id.to_string()));
    for (name, value) in [("sub", &who.subject), ("iss", &who.issuer), ("key", &who.key)] {
        fact.extend(value.as_deref().map(|value| (name.into(), value.into())));
    }
    fact
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_fact_has_a_bound_and_says_how_many_topics_it_leaves_out() {
        let topic = |number| Matcher::parse(&format!("{}-{number}", "\"ü".repeat(1300))).unwrap();
        let wanted: Vec<_> = (0..100).map(topic).collect();
        let who = Who { subject: Some("7".into()), ..Who::default() };
        let (who, interest) = (&Arc::new(who), &Interest::new(wanted.clone(), wanted));
        let (id, since) = ("00000001-a".parse().unwrap(), Timestamp::from_millis(0));
        let fact = Fact::connected(Opened { id, who, address: None, interest, since }, true);
        assert!(fact.json.len() <= NOTIFY_FACT_BYTES_MAX + 1024, "{}", fact.json.len());
        let fact: Value = serde_json::from_str(&fact.json).unwrap();
        let listed = fact["topics"].as_array().unwrap().len();
        assert!(listed > 0);
        assert_eq!(fact["more_topics"], 100 - listed);
        assert_eq!((&fact["sub"], &fact["id"]), (&json!("7"), &json!("00000001-a")));
    }
}
