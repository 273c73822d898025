//! Signed links: URLs that may be read until a moment, made by a backend without asking the hub.
//!
//! What is signed is what the hub *means* by a URL, not how the URL is spelt: the end, the subject
//! and the topics, each on a line. None of them can hold a line feed, so there is one reading.
//!
//! ```text
//! "tidings-link-v1" LF until LF subject LF topic (LF topic)*
//! ```

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use tidings_hub::{Matcher, Timestamp};

use crate::error::ConfigError;
use crate::problem::{Code, Problem};

/// A key that signs links.
#[derive(Clone)]
pub struct LinkKey {
    id: String,
    key: hmac::Key,
    /// It signs links to these topics only.
    topics: Vec<Matcher>,
}

/// What a link says.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// Its end, in seconds since 1970.
    pub until: u64,
    /// Its user; empty for none.
    pub subject: &'a str,
    /// The topics and patterns that may be read with it, in the order of the URL.
    pub topics: &'a [&'a str],
}

/// A link as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct LinkRequest<'a> {
    /// The id of the key and the signature: `a.caZ0…`.
    pub signature: &'a str,
    /// The end.
    pub until: &'a str,
    /// The subject; empty for none.
    pub subject: &'a str,
    /// The topics of the path and of the query, in their order.
    pub topics: &'a [&'a str],
}

/// Why a link is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidLink {
    /// A part is missing, has the wrong form, or does not fit the signature.
    Signature,
    /// `until` is not a number of seconds.
    Until,
    /// `until` is in milliseconds.
    Milliseconds,
    /// The key may not sign links to one of the topics.
    Topics,
    /// It has ended.
    Expired,
    /// It ends later than the hub allows.
    TooLong,
}

impl fmt::Display for InvalidLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature => "the signature does not fit the link",
            Self::Until => "`until` is not a number of seconds since 1970",
            Self::Milliseconds => "`until` is in milliseconds; sign seconds",
            Self::Topics => "the key of the link may not sign links to these topics",
            Self::Expired => "the link has expired",
            Self::TooLong => "the link is good for longer than the hub allows",
        })
    }
}

impl LinkKey {
    /// Fewest characters of a secret.
    pub const LENGTH_MIN: usize = 32;

    /// The key `id` with `secret`, whose text is the key, byte for byte. It signs links to `topics`
    /// and to no others.
    ///
    /// # Errors
    ///
    /// [`ConfigError::LinkKeyId`], [`ConfigError::WeakLinkKey`].
    pub fn new(id: &str, secret: &str, topics: Vec<Matcher>) -> Result<Self, ConfigError> {
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(is_id) {
            return Err(ConfigError::LinkKeyId { id: id.to_owned() });
        }
        if secret.len() < Self::LENGTH_MIN || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            let (id, length_min) = (id.to_owned(), Self::LENGTH_MIN);
            return Err(ConfigError::WeakLinkKey { id, length_min });
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Ok(Self { id: id.to_owned(), key, topics })
    }

    /// The name in links.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The value of `sig` for `link`.
    pub fn sign(&self, link: &Link<'_>) -> String {
        let mac = hmac::sign(&self.key, link.text().as_bytes());
        format!("{}.{}", self.id, BASE64_URL_SAFE_NO_PAD.encode(mac))
    }

    /// Whether the key may sign links to all of `topics`.
    pub fn may_sign(&self, topics: &[Matcher]) -> bool {
        let is_covered = |asked: &Matcher| self.topics.iter().any(|own| asked.is_covered_by(own));
        topics.iter().all(is_covered)
    }

    /// Finds what a link grants that one of `keys` signed, and until when.
    ///
    /// # Errors
    ///
    /// [`InvalidLink`]. What it says of a link with a bad signature helps nobody to forge one.
    pub fn verify(keys: &[Self], link: &LinkRequest<'_>) -> Result<Granted, InvalidLink> {
        let LinkRequest { signature, subject, topics, .. } = *link;
        let until = seconds(link.until)?;
        let has_control = |text: &str| text.chars().any(char::is_control);
        if topics.is_empty()
            || subject.len() > SUBJECT_BYTES_MAX
            || has_control(subject)
            || topics.iter().any(|topic| has_control(topic))
        {
            return Err(InvalidLink::Signature);
        }
        let (id, mac) = signature.split_once('.').ok_or(InvalidLink::Signature)?;
        let key = keys.iter().find(|key| key.id == id).ok_or(InvalidLink::Signature)?;
        // The strict alphabet: no padding, no spare bits.
        let mac = BASE64_URL_SAFE_NO_PAD.decode(mac).map_err(|_| InvalidLink::Signature)?;
        let text = Link { until, subject, topics }.text();
        // In constant time; a shorter mac is none.
        hmac::verify(&key.key, text.as_bytes(), &mac).map_err(|_| InvalidLink::Signature)?;
        let matchers =
            topics.iter().map(|text| Matcher::parse(text)).collect::<Result<Vec<_>, _>>();
        let topics = matchers.map_err(|_| InvalidLink::Topics)?;
        if !key.may_sign(&topics) {
            return Err(InvalidLink::Topics);
        }
        Ok(Granted { topics, until: Timestamp::from_millis(until * 1000) })
    }
}

/// What a link with a good signature grants.
#[derive(Debug)]
pub struct Granted {
    /// The topics that may be read.
    pub topics: Vec<Matcher>,
    /// The end, which may be in the past.
    pub until: Timestamp,
}

impl Granted {
    /// When the link is accepted no more, if clocks may differ by `leeway`.
    ///
    /// # Errors
    ///
    /// [`InvalidLink::Expired`], and [`InvalidLink::TooLong`] for one that is good for more than
    /// `age_max` from now.
    pub fn ends(
        &self,
        now: Timestamp,
        leeway: Duration,
        age_max: Duration,
    ) -> Result<Timestamp, InvalidLink> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let (now, until) = (now.as_millis(), self.until.as_millis());
        let end = until.saturating_add(millis(leeway));
        if end <= now {
            return Err(InvalidLink::Expired);
        }
        if until > now.saturating_add(millis(age_max)).saturating_add(millis(leeway)) {
            return Err(InvalidLink::TooLong);
        }
        Ok(Timestamp::from_millis(end))
    }
}

/// The answer to a link that is not accepted.
pub(crate) fn refused(why: InvalidLink) -> Problem {
    let (code, hint) = match why {
        InvalidLink::Expired => (Code::LinkExpired, "get a new one"),
        InvalidLink::TooLong => (Code::LinkTooLong, "sign an earlier `until`"),
        _ => (Code::LinkInvalid, "sign until, subject and topics as they are meant"),
    };
    let challenge = HeaderValue::from_static(r#"Bearer realm="tidings""#);
    Problem::new(code, format!("{why}; {hint}")).with_header(WWW_AUTHENTICATE, challenge)
}

/// The answer to a link where nothing is read.
pub fn only_reads() -> Problem {
    let challenge = HeaderValue::from_static(r#"Bearer realm="tidings""#);
    let detail = "a signed link reads topics, at /events and below, and does nothing else";
    Problem::new(Code::LinkInvalid, detail).with_header(WWW_AUTHENTICATE, challenge)
}

impl Link<'_> {
    fn text(&self) -> String {
        let mut text = format!("tidings-link-v1\n{}\n{}", self.until, self.subject);
        for topic in self.topics {
            text.push('\n');
            text.push_str(topic);
        }
        text
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkKey")
            .field("id", &self.id)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

/// Decimal seconds, in the one spelling that was signed.
fn seconds(text: &str) -> Result<u64, InvalidLink> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || (text.len() > 1 && text.starts_with('0')) {
        return Err(InvalidLink::Until);
    }
    match text.len() {
        ..=11 => text.parse().map_err(|_| InvalidLink::Until),
        13.. => Err(InvalidLink::Milliseconds),
        _ => Err(InvalidLink::Until),
    }
}

/// Most bytes of a key's name.
const ID_BYTES_MAX: usize = 32;

/// Most bytes of a link's subject.
pub(super) const SUBJECT_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::Value;

    use super::*;

    fn key(id: &str, topics: &[&str]) -> LinkKey {
        let topics = topics.iter().map(|text| Matcher::parse(text).unwrap()).collect();
        LinkKey::new(id, "0123456789abcdef0123456789abcdef", topics).unwrap()
    }

    fn verify(
        keys: &[LinkKey],
        signature: &str,
        until: &str,
        subject: &str,
        topics: &[&str],
    ) -> Result<Granted, InvalidLink> {
        LinkKey::verify(keys, &LinkRequest { signature, until, subject, topics })
    }

    /// The vectors that backends in other languages are checked against, too.
    fn vectors() -> Vec<(u64, String, Vec<String>, String)> {
        let text = include_str!("../../../../tests/links/vectors.json");
        let vectors: Value = serde_json::from_str(text).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let vector = |one: &Value| {
            let topics = one["topics"].as_array().unwrap().iter().map(text).collect();
            (one["until"].as_u64().unwrap(), text(&one["sub"]), topics, text(&one["sig"]))
        };
        vectors["links"].as_array().unwrap().iter().map(vector).collect()
    }

    #[test]
    fn every_vector_is_signed_and_verified_as_in_every_other_language() {
        let key = key("a", &["**"]);
        assert_eq!(vectors().len(), 10);
        for (until, subject, topics, signature) in vectors() {
            let topics: Vec<_> = topics.iter().map(String::as_str).collect();
            let link = Link { until, subject: &subject, topics: &topics };
            assert_eq!(key.sign(&link), signature);
            let keys = std::slice::from_ref(&key);
            let granted = verify(keys, &signature, &until.to_string(), &subject, &topics).unwrap();
            assert_eq!(granted.topics.len(), topics.len());
            assert_eq!(granted.until.as_millis(), until * 1000);
        }
    }

    #[test]
    fn a_link_that_differs_in_anything_that_is_signed_is_refused() {
        let other = "another secret that is not the first".replace(' ', "-");
        let other = LinkKey::new("b", &other, vec![Matcher::All]).unwrap();
        let keys = [key("a", &["**"]), other];
        let refused = |sig: &str, until: &str, subject: &str, topics: &[&str]| {
            verify(&keys, sig, until, subject, topics).map(|_| ())
        };
        for (until, subject, topics, sig) in vectors() {
            let topics: Vec<_> = topics.iter().map(String::as_str).collect();
            let until = until.to_string();
            let bad = Err(InvalidLink::Signature);
            let mac = sig.strip_prefix("a.").unwrap();
            for place in 0..mac.len() {
                let mut other = mac.as_bytes().to_vec();
                other[place] = if other[place] == b'A' { b'B' } else { b'A' };
                let other = format!("a.{}", String::from_utf8(other).unwrap());
                assert_eq!(refused(&other, &until, &subject, &topics), bad, "{place}");
            }
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(mac).unwrap();
            for bit in 0..bytes.len() * 8 {
                let mut other = bytes.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                let other = format!("a.{}", BASE64_URL_SAFE_NO_PAD.encode(other));
                assert_eq!(refused(&other, &until, &subject, &topics), bad, "{bit}");
            }
            for sig in [
                format!("a.{mac}="),
                format!("a.{}", BASE64_URL_SAFE_NO_PAD.encode(&bytes[..31])),
                format!("a.{}", BASE64_URL_SAFE_NO_PAD.encode([&bytes[..], &[0]].concat())),
                format!("a.{}", &mac[..mac.len() - 2]),
                format!("a.{}", mac.to_ascii_uppercase()),
                format!("a.{}", mac.replace('_', "/").replace('-', "+") + "=="),
                format!("b.{mac}"),
                format!("A.{mac}"),
                format!("c.{mac}"),
                format!("a.{mac}."),
                mac.to_owned(),
                String::new(),
            ] {
                assert_eq!(refused(&sig, &until, &subject, &topics), bad, "{sig}");
            }
            assert_eq!(refused(&sig, &until, &format!("{subject}x"), &topics), bad);
            assert_eq!(refused(&sig, &until, &subject, &[&topics[..], &["x"]].concat()), bad);
            assert_eq!(refused(&sig, &until, &subject, &[]), bad);
            for place in 0..topics.len() {
                for other in [topics[place].to_uppercase(), format!("{}/", topics[place])] {
                    let mut changed = topics.clone();
                    changed[place] = &other;
                    if changed != topics {
                        assert_eq!(refused(&sig, &until, &subject, &changed), bad, "{other}");
                    }
                }
            }
            let reversed: Vec<_> = topics.iter().copied().rev().collect();
            assert_eq!(refused(&sig, &until, &subject, &reversed).is_ok(), reversed == topics);
            let later = (until.parse::<u64>().unwrap() + 1).to_string();
            assert_eq!(refused(&sig, &later, &subject, &topics), bad);
        }
    }

    #[test]
    fn the_order_of_topics_is_signed_and_no_line_can_be_moved() {
        let keys = [key("a", &["**"])];
        let link = Link { until: 1_800_000_000, subject: "u", topics: &["a", "b"] };
        let sig = keys[0].sign(&link);
        let with = |subject, topics: &[&str]| verify(&keys, &sig, "1800000000", subject, topics);
        assert!(with("u", &["a", "b"]).is_ok());
        for (subject, topics) in
            [("u", &["b", "a"][..]), ("u\na", &["b"]), ("u", &["a\nb"]), ("", &["u", "a", "b"])]
        {
            assert_eq!(with(subject, topics).unwrap_err(), InvalidLink::Signature, "{topics:?}");
        }
    }

    #[test]
    fn until_has_one_spelling() {
        let keys = [key("a", &["**"])];
        let with = |until| verify(&keys, "a.x", until, "", &["a"]).unwrap_err();
        for until in ["", "+5", "-5", "05", "1.5", "0x5", "5 ", "\u{665}", "123456789012"] {
            assert_eq!(with(until), InvalidLink::Until, "{until:?}");
        }
        assert_eq!(with("1800000000000"), InvalidLink::Milliseconds);
    }

    #[test]
    fn a_key_signs_links_to_its_own_topics_and_to_no_others() {
        let keys = [key("a", &["orders/**"])];
        for (topic, result) in [
            ("orders/7", Ok(())),
            ("orders/*", Ok(())),
            ("orders", Err(InvalidLink::Topics)),
            ("**", Err(InvalidLink::Topics)),
            ("*/7", Err(InvalidLink::Topics)),
            ("users/7", Err(InvalidLink::Topics)),
        ] {
            let sig = keys[0].sign(&Link { until: 1, subject: "", topics: &[topic] });
            let verified = verify(&keys, &sig, "1", "", &[topic]).map(|_| ());
            assert_eq!(verified, result, "{topic}");
        }
    }

    #[test]
    fn a_link_ends_at_its_end_and_not_too_late() {
        let now = Timestamp::from_millis(1_000_000);
        let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
        for (until, leeway, result) in [
            (999, 0, Err(InvalidLink::Expired)),
            (1000, 0, Err(InvalidLink::Expired)),
            (1000, 1, Ok(1_001_000)),
            (1001, 0, Ok(1_001_000)),
            (1000 + 86_400, 0, Ok(1_000_000 + 86_400_000)),
            (1001 + 86_400, 0, Err(InvalidLink::TooLong)),
        ] {
            let until = Timestamp::from_millis(until * 1000);
            let granted = Granted { topics: Vec::new(), until };
            let ends = granted.ends(now, second * leeway, day).map(Timestamp::as_millis);
            assert_eq!(ends, result);
        }
    }

    #[test]
    fn a_secret_that_protects_nothing_is_rejected() {
        for (id, secret) in [
            ("a", "0123456789abcdef0123456789abcde"),
            ("a", "0123456789abcdef 0123456789abcdef"),
            ("", "0123456789abcdef0123456789abcdef"),
            ("a.b", "0123456789abcdef0123456789abcdef"),
        ] {
            assert!(LinkKey::new(id, secret, Vec::new()).is_err(), "{id} {secret}");
        }
        assert!(!format!("{:?}", key("a", &["b"])).contains("0123"), "a key is not printed");
    }
}
