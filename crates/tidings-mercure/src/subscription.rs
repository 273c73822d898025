//! One subscription of one subscriber, and how either dialect writes it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidings_hub::Matcher;

use crate::dialect::{Dialect, ONE, ZERO};
use crate::paths::HUB;
use crate::selector::MatchType;

/// The name of a subscriber: a UUID (RFC 9562 §5.4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SubscriberName([u8; 16]);

impl SubscriberName {
    /// A new one.
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 16];
        // Without randomness any name will do; it is not a secret.
        let _ = rand::fill(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Reads what [`Display`](fmt::Display) writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits: String = text.strip_prefix("urn:uuid:")?.split('-').collect();
        let is_hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u128::from_str_radix(&digits, 16).ok()).flatten()?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for SubscriberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("urn:uuid:")?;
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SubscriberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How the words of a subscription are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Exact,
    UrlPattern,
    /// A URI Template, for which 1.0 has no name.
    Template,
}

impl Kind {
    /// The kind of a 0.x topic selector that has become this matcher.
    pub(crate) fn of_selector(matcher: &Matcher) -> Self {
        if matches!(matcher, Matcher::Custom(_)) { Self::Template } else { Self::Exact }
    }

    /// The 1.0 name.
    pub(crate) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Exact => Some("exact"),
            Self::UrlPattern => Some("urlpattern"),
            Self::Template => None,
        }
    }
}

impl From<MatchType> for Kind {
    fn from(match_type: MatchType) -> Self {
        match match_type {
            MatchType::Exact => Self::Exact,
            MatchType::UrlPattern => Self::UrlPattern,
        }
    }
}

/// A subscription, in the words of the subscriber.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) words: Box<str>,
    pub(crate) kind: Kind,
    /// The payload of the token for it.
    pub(crate) payload: Option<Arc<Value>>,
}

impl Subscription {
    /// Its path in the presence API, which is also the topic of its events. `None` if the dialect
    /// cannot name it.
    pub(crate) fn path(&self, dialect: &Dialect, subscriber: SubscriberName) -> Option<String> {
        let mut path = format!("{HUB}/subscriptions/");
        if dialect.is_one {
            path.push_str(self.kind.name()?);
            path.push('/');
        }
        escape(&mut path, &self.words, dialect);
        path.push('/');
        escape(&mut path, &subscriber.to_string(), dialect);
        Some(path)
    }

    /// The payload of its event.
    pub(crate) fn event(
        &self,
        dialect: &Dialect,
        subscriber: SubscriberName,
        active: bool,
    ) -> Option<String> {
        self.document(dialect, subscriber, active, Role::Alone(None))
    }

    /// As a document of its own, current as of `cursor`.
    pub(crate) fn alone(
        &self,
        dialect: &Dialect,
        subscriber: SubscriberName,
        cursor: &str,
    ) -> Option<String> {
        self.document(dialect, subscriber, true, Role::Alone(Some(cursor)))
    }

    fn document(
        &self,
        dialect: &Dialect,
        subscriber: SubscriberName,
        active: bool,
        role: Role<'_>,
    ) -> Option<String> {
        let json = if dialect.is_one {
            serde_json::to_string(&self.one(subscriber, active)?)
        } else {
            serde_json::to_string_pretty(&self.zero(subscriber, active, role)?)
        };
        Some(json.expect("texts only, into a String"))
    }

    fn zero<'a>(
        &'a self,
        subscriber: SubscriberName,
        active: bool,
        role: Role<'a>,
    ) -> Option<Zero<'a>> {
        let (context, last_event_id) = match role {
            Role::Alone(cursor) => (Some(CONTEXT), cursor),
            Role::Member => (None, None),
        };
        Some(Zero {
            context,
            id: self.path(&ZERO, subscriber)?,
            r#type: "Subscription",
            subscriber: subscriber.to_string(),
            topic: &self.words,
            active,
            payload: self.payload.as_deref(),
            last_event_id,
        })
    }

    fn one(&self, subscriber: SubscriberName, active: bool) -> Option<One<'_>> {
        Some(One {
            id: self.path(&ONE, subscriber)?,
            r#type: "subscription",
            subscriber: subscriber.to_string(),
            words: &self.words,
            match_type: self.kind.name()?,
            active,
            payload: self.payload.as_deref(),
        })
    }
}

#[derive(Clone, Copy)]
enum Role<'a> {
    /// By itself, with the cursor it is current as of, if any.
    Alone(Option<&'a str>),
    /// In a collection.
    Member,
}

/// The context of 0.x documents (JSON-LD).
const CONTEXT: &str = "https://mercure.rocks/";

#[derive(Serialize)]
struct Zero<'a> {
    #[serde(rename = "@context", skip_serializing_if = "Option::is_none")]
    context: Option<&'static str>,
    id: String,
    r#type: &'static str,
    subscriber: String,
    topic: &'a str,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Value>,
    #[serde(rename = "lastEventID", skip_serializing_if = "Option::is_none")]
    last_event_id: Option<&'a str>,
}

#[derive(Serialize)]
struct One<'a> {
    id: String,
    r#type: &'static str,
    subscriber: String,
    #[serde(rename = "match")]
    words: &'a str,
    match_type: &'static str,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Value>,
}

#[derive(Serialize)]
struct ZeroCollection<'a> {
    #[serde(rename = "@context")]
    context: &'static str,
    id: &'a str,
    r#type: &'static str,
    #[serde(rename = "lastEventID")]
    last_event_id: &'a str,
    subscriptions: Vec<Zero<'a>>,
}

#[derive(Serialize)]
struct OneCollection<'a> {
    id: &'a str,
    r#type: &'static str,
    subscriptions: Vec<One<'a>>,
}

/// The document of several at `id`, current as of `cursor`.
pub(crate) fn collection<'a>(
    dialect: &Dialect,
    id: &str,
    cursor: &str,
    all: impl Iterator<Item = (SubscriberName, &'a Subscription)>,
) -> String {
    let json = if dialect.is_one {
        let subscriptions = all.filter_map(|(subscriber, one)| one.one(subscriber, true)).collect();
        serde_json::to_string(&OneCollection { id, r#type: "subscriptions", subscriptions })
    } else {
        let member = |(subscriber, one): (SubscriberName, &'a Subscription)| {
            one.zero(subscriber, true, Role::Member)
        };
        serde_json::to_string_pretty(&ZeroCollection {
            context: CONTEXT,
            id,
            r#type: "Subscriptions",
            last_event_id: cursor,
            subscriptions: all.filter_map(member).collect(),
        })
    };
    json.expect("texts only, into a String")
}

/// Appends `text` as one segment of a path: all but the unreserved characters (RFC 3986 §2.3)
/// percent-encoded.
fn escape(out: &mut String, text: &str, dialect: &Dialect) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push_str(dialect.escaped_space),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const NAME: SubscriberName = SubscriberName([0xab; 16]);
    const NAME_ESCAPED: &str = "urn%3Auuid%3Aabababab-abab-abab-abab-abababababab";

    fn subscription(words: &str, kind: Kind) -> Subscription {
        Subscription { words: words.into(), kind, payload: None }
    }

    #[test]
    fn a_subscription_is_a_path_in_either_dialect() {
        let topic = subscription("https://x/{id} é", Kind::Template);
        let escaped = "https%3A%2F%2Fx%2F%7Bid%7D";
        let zero = topic.path(&ZERO, NAME).unwrap();
        assert_eq!(zero, format!("{HUB}/subscriptions/{escaped}+%C3%A9/{NAME_ESCAPED}"));
        assert_eq!(topic.path(&ONE, NAME), None, "1.0 knows no templates");
        let pattern = subscription("/a b", Kind::UrlPattern).path(&ONE, NAME).unwrap();
        assert_eq!(pattern, format!("{HUB}/subscriptions/urlpattern/%2Fa%20b/{NAME_ESCAPED}"));
    }

    #[test]
    fn an_event_has_the_form_of_its_dialect() {
        let mut topic = subscription("a", Kind::Exact);
        topic.payload = Some(Arc::new(serde_json::json!({ "user": 1 })));
        let zero = topic.event(&ZERO, NAME, true).unwrap();
        let lines: Vec<_> = zero.lines().collect();
        assert_eq!(lines[1], "  \"@context\": \"https://mercure.rocks/\",");
        assert_eq!(lines[2], format!("  \"id\": \"{HUB}/subscriptions/a/{NAME_ESCAPED}\","));
        assert!(zero.contains("\"type\": \"Subscription\"") && zero.contains("\"user\": 1"));
        let one = topic.event(&ONE, NAME, false).unwrap();
        let name = NAME.to_string();
        assert_eq!(
            one,
            format!(
                "{{\"id\":\"{HUB}/subscriptions/exact/a/{NAME_ESCAPED}\",\"type\":\"subscription\",\
                 \"subscriber\":\"{name}\",\"match\":\"a\",\"match_type\":\"exact\",\
                 \"active\":false,\"payload\":{{\"user\":1}}}}"
            )
        );
    }

    #[test]
    fn names_are_random_uuids() {
        let name = SubscriberName::random().to_string();
        assert_eq!(name.len(), "urn:uuid:".len() + 36);
        assert_eq!(name.as_bytes()["urn:uuid:".len() + 14], b'4');
        assert!(SubscriberName::random() != SubscriberName::random());
        let other = SubscriberName::random();
        assert_eq!(SubscriberName::parse(&other.to_string()), Some(other));
        assert_eq!(SubscriberName::parse("urn:uuid:1"), None);
    }
}
