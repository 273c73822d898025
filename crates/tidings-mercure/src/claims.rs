//! The claims of a verified token, in either shape.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tidings_http::auth::claim::Claim;
use tidings_http::auth::invalid_token::InvalidToken;
use tidings_http::auth::token;
use tidings_http::auth::who::Who;
use tidings_hub::limits::TOPIC_BYTES_MAX;
use tidings_hub::{Grant, Interest, Matcher, Timestamp, Topic};

use crate::dialect::{CLAIM_SELECTORS_MAX, DETAILS_MAX, Dialect, ONE, ZERO};
use crate::paths::HUB;
use crate::selector::{MatchType, Patterns, topic_selector};
use crate::site::Site;

/// What the bearer of a token may do here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// Topics that it may publish to; `None` if it may not publish at all.
    pub(crate) publish: Option<Vec<Matcher>>,
    /// Topics whose private events it may receive.
    pub(crate) subscribe: Vec<Matcher>,
    /// Topics whose subscribers it may know, if it is a grant in the hub's own words: then it may
    /// read only `subscribe`, and no public events on other topics. `None` for a grant in the words
    /// of the protocol, where subscribers are known to whoever may subscribe to their paths.
    presence: Option<Vec<Matcher>>,
    /// When it expires; its streams end then too.
    pub(crate) expires: Option<Timestamp>,
    /// The payload for its bearer's subscriptions.
    payload: Payload,
    /// The identity of its bearer.
    pub(crate) who: Arc<Who>,
}

/// The payload of a token about its bearer, which presence shows.
#[derive(Clone, Debug, Default)]
enum Payload {
    #[default]
    None,
    /// For all subscriptions (0.x).
    All(Arc<Value>),
    /// For the subscriptions that a grant covers; the first grant that does counts (1.0).
    Granted(Vec<(Vec<Matcher>, Option<Arc<Value>>)>),
}

impl Access {
    pub(crate) fn may_publish(&self, topic: &Topic) -> bool {
        let mut matchers = self.publish.iter().flatten();
        matchers.any(|matcher| matcher.matches(topic))
    }

    /// Access by an API key, an application or an open hub: the same as on the native API.
    pub(crate) fn of_grant(grant: &Grant) -> Self {
        Self {
            publish: Some(grant.publish.clone()),
            subscribe: grant.subscribe.clone(),
            presence: Some(grant.presence.clone()),
            expires: grant.expires,
            payload: Payload::None,
            who: Who::nobody(),
        }
    }

    /// The same for this bearer.
    pub(crate) fn with(self, who: &Arc<Who>) -> Self {
        Self { who: Arc::clone(who), ..self }
    }

    /// What a subscriber that asks for `wanted` receives. The protocol lets it ask for anything; it
    /// is sent what it may receive: public events, events of the topics in `open`, and what is
    /// granted.
    ///
    /// Everybody may read `everybody`, too, except private events. `hears` says whether it may also
    /// have events about subscribers.
    pub(crate) fn interest(
        &self,
        wanted: Vec<Matcher>,
        open: &[Matcher],
        everybody: &[Matcher],
        hears: bool,
    ) -> Interest {
        let mut private = self.subscribe.clone();
        let Some(presence) = &self.presence else {
            return Interest::new(wanted, private).within_topics(&[open, everybody].concat());
        };
        // As natively: nothing else of the grant is in it, so that readers of the same topics form
        // one group, and a narrower grant closes only streams that it does not cover.
        let is_own = |asked: &&Matcher| private.iter().any(|own| asked.is_covered_by(own));
        let is_public = |asked: &Matcher| everybody.iter().any(|one| asked.is_covered_by(one));
        if wanted.iter().all(|asked| is_own(&asked) || is_public(asked)) {
            let own = wanted.iter().filter(is_own).cloned().collect();
            return Interest::new(wanted, own);
        }
        if hears && presence.contains(&Matcher::All) {
            let paths = Matcher::parse(&format!("{HUB}/subscriptions/**"));
            private.push(paths.expect("a constant pattern"));
        }
        Interest::new(wanted, private).within_grant_and(everybody)
    }

    /// Whether subscription events are for it, where it asks for them and its interest has them. A
    /// right to read every topic does not include them.
    pub(crate) fn may_hear_of_subscribers(&self) -> bool {
        self.presence.as_ref().is_none_or(|presence| presence.contains(&Matcher::All))
    }

    /// Whether it may know who subscribes with these words, or with any; `None` if the protocol's
    /// own rule decides.
    pub(crate) fn may_know_subscribers(&self, words: Option<&str>) -> Option<bool> {
        let presence = self.presence.as_ref()?;
        Some(presence.iter().any(|granted| match words {
            Some(words) => covers(granted, words),
            None => *granted == Matcher::All,
        }))
    }

    /// Access by the claim `tidings`: the same as on the native API.
    fn of_claim(claim: Claim, expires: Option<Timestamp>) -> Self {
        let payload = claim.payload.map(|payload| Arc::new(Value::Object(payload)));
        let payload = payload.map_or(Payload::None, Payload::All);
        Self { expires, payload, ..Self::of_grant(&claim.grant) }
    }

    /// The token's payload for a subscription with these words.
    pub(crate) fn payload(&self, words: &str) -> Option<Arc<Value>> {
        match &self.payload {
            Payload::None => None,
            Payload::All(payload) => Some(Arc::clone(payload)),
            Payload::Granted(grants) => {
                let is_covered = |matcher: &Matcher| covers(matcher, words);
                let mut grants = grants.iter();
                grants.find(|(matchers, _)| matchers.iter().any(is_covered))?.1.clone()
            }
        }
    }
}

/// Whether a grant of `matcher` covers the subscriptions with these words. `*` is not a topic, but
/// a grant for everything covers it too.
fn covers(matcher: &Matcher, words: &str) -> bool {
    match matcher {
        Matcher::All => true,
        _ => words != "*" && Topic::new(words).is_ok_and(|topic| matcher.matches(&topic)),
    }
}

/// The claims of both shapes; the claims of the other shape may be anything.
#[derive(Deserialize)]
pub(crate) struct Claims {
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    iss: Value,
    #[serde(default)]
    sub: Value,
    #[serde(default)]
    aud: Value,
    /// In the hub's own words; if it is there, the others are not read.
    #[serde(default)]
    tidings: Value,
    #[serde(default)]
    mercure: Value,
    /// The same under a URL, for issuers that require the names of claims to be URLs.
    #[serde(default, rename = "https://mercure.rocks/")]
    namespaced: Value,
    #[serde(default)]
    authorization_details: Value,
}

/// The claim of a 0.x token.
#[derive(Deserialize)]
struct Rights {
    #[serde(default)]
    publish: Option<Vec<String>>,
    #[serde(default)]
    subscribe: Option<Vec<String>>,
    #[serde(default)]
    payload: Option<Value>,
}

/// An entry of the `authorization_details` of a 1.0 token (RFC 9396 §2).
#[derive(Deserialize)]
struct Detail {
    actions: Vec<String>,
    topics: Vec<TopicMatcher>,
    #[serde(default)]
    payload: Option<serde_json::Map<String, Value>>,
}

#[derive(Deserialize)]
struct TopicMatcher {
    #[serde(rename = "match")]
    words: String,
    #[serde(default)]
    match_type: Option<String>,
}

/// The type of our entries.
pub(crate) const DETAIL_TYPE: &str = "https://mercure.rocks/authorization-detail";

/// Why a token is not accepted. The texts contain no part of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unacceptable {
    /// Its signature or its times.
    Verification(InvalidToken),
    /// No issuer of this name is configured, or it names none.
    Issuer,
    /// It is meant for another audience.
    Audience,
    /// It has no expiry.
    Endless,
    /// The `mercure` claim is malformed.
    Claim,
    /// The claim has too many selectors.
    TooManySelectors,
    /// A selector of the claim is invalid.
    Selector(String),
    /// The `authorization_details` are not an array, or too many.
    Details,
    /// One of our entries in them is invalid: its place, and why.
    Detail(usize, String),
}

impl fmt::Display for Unacceptable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verification(error) => error.fmt(f),
            Self::Issuer => {
                f.write_str("the issuer of the token is not one that the hub knows (iss)")
            }
            Self::Audience => f.write_str("the token is meant for another audience (aud)"),
            Self::Endless => f.write_str("the token has no expiry (exp)"),
            Self::Claim => f.write_str("the mercure claim of the token is malformed"),
            Self::TooManySelectors => {
                write!(f, "a claim of the token has more than {CLAIM_SELECTORS_MAX} selectors")
            }
            Self::Selector(what) => write!(f, "a selector of the token {what}"),
            Self::Details => write!(
                f,
                "authorization_details of the token is not an array, or has more than \
                 {DETAILS_MAX} entries or matchers"
            ),
            Self::Detail(place, what) => {
                write!(f, "entry {place} of authorization_details of the token {what}")
            }
        }
    }
}

impl From<InvalidToken> for Unacceptable {
    fn from(error: InvalidToken) -> Self {
        Self::Verification(error)
    }
}

/// The dialect of `token` by its shape; `None` if it has neither shape. Nothing is verified.
pub(crate) fn shape(token: &str) -> Option<&'static Dialect> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    let is_access_token = header.typ.is_some_and(|typ| {
        let typ = typ.to_ascii_lowercase();
        typ == "at+jwt" || typ == "application/at+jwt"
    });
    Some(if is_access_token { &ONE } else { &ZERO })
}

/// The issuer that a 1.0 token claims. Nothing is verified.
pub(crate) fn claimed_issuer(token: &str) -> Option<String> {
    let claims = jsonwebtoken::dangerous::insecure_decode::<Claims>(token).ok()?.claims;
    claims.iss.as_str().map(str::to_owned)
}

impl Claims {
    /// The identity of the bearer.
    pub(crate) fn who(&self) -> Arc<Who> {
        Arc::new(Who::of_claims(&self.sub, &self.iss))
    }

    /// As a 0.x token.
    pub(crate) fn zero(self, token: &str, leeway: Duration) -> Result<Access, Unacceptable> {
        let expires = token::end(self.exp, leeway);
        if let Some(claim) = token::own_claim(token, &self.tidings)? {
            return Ok(Access::of_claim(claim, expires));
        }
        let claim = if self.namespaced.is_null() { self.mercure } else { self.namespaced };
        let rights: Option<Rights> =
            serde_json::from_value(claim).map_err(|_| Unacceptable::Claim)?;
        let Some(rights) = rights else {
            return Ok(Access { expires, ..Access::default() });
        };
        Ok(Access {
            publish: rights.publish.map(selectors).transpose()?,
            subscribe: selectors(rights.subscribe.unwrap_or_default())?,
            presence: None,
            expires,
            who: Who::nobody(),
            payload: rights.payload.map_or(Payload::None, |payload| Payload::All(payload.into())),
        })
    }

    /// As a 1.0 token, of the issuer whose key it was verified with.
    pub(crate) fn one(
        self,
        token: &str,
        leeway: Duration,
        site: &Site,
        patterns: &Patterns,
    ) -> Result<Access, Unacceptable> {
        let expires = token::end(self.exp, leeway).ok_or(Unacceptable::Endless)?;
        let is_ours = |audience: &Value| audience.as_str().is_some_and(|aud| site.is_audience(aud));
        let meant = match &self.aud {
            Value::Array(audiences) => audiences.iter().any(is_ours),
            audience => is_ours(audience),
        };
        if !meant {
            return Err(Unacceptable::Audience);
        }
        if let Some(claim) = token::own_claim(token, &self.tidings)? {
            return Ok(Access::of_claim(claim, Some(expires)));
        }
        let mut access =
            Access { publish: Some(Vec::new()), expires: Some(expires), ..Access::default() };
        let entries = match self.authorization_details {
            Value::Null => return Ok(access),
            Value::Array(entries) => entries,
            _ => return Err(Unacceptable::Details),
        };
        let ours =
            entries.into_iter().enumerate().filter(|(_, entry)| entry["type"] == DETAIL_TYPE);
        let ours: Vec<_> = ours.collect();
        if ours.len() > DETAILS_MAX {
            return Err(Unacceptable::Details);
        }
        let mut payloads = Vec::new();
        let mut matchers_left = DETAILS_MAX;
        for (place, entry) in ours {
            let wrong = |what: String| Unacceptable::Detail(place, what);
            let detail: Detail = serde_json::from_value(entry)
                .map_err(|_| wrong("needs actions and topics of the right types".into()))?;
            if detail.topics.is_empty() || detail.actions.iter().any(String::is_empty) {
                return Err(wrong("has no topics, or an empty action".into()));
            }
            matchers_left =
                matchers_left.checked_sub(detail.topics.len()).ok_or(Unacceptable::Details)?;
            let matchers = detail.matchers(site, patterns).map_err(wrong)?;
            for action in &detail.actions {
                match action.as_str() {
                    "publish" => {
                        access.publish.get_or_insert_default().extend_from_slice(&matchers)
                    }
                    "subscribe" => access.subscribe.extend_from_slice(&matchers),
                    _ => {}
                }
            }
            if detail.actions.iter().any(|action| action == "subscribe") {
                let payload = detail.payload.map(|payload| Arc::new(Value::Object(payload)));
                payloads.push((matchers, payload));
            }
        }
        if payloads.iter().any(|(_, payload)| payload.is_some()) {
            access.payload = Payload::Granted(payloads);
        }
        Ok(access)
    }
}

impl Detail {
    fn matchers(&self, site: &Site, patterns: &Patterns) -> Result<Vec<Matcher>, String> {
        let matcher = |topic: &TopicMatcher| {
            let name = topic.match_type.as_deref().unwrap_or("exact");
            let kind = MatchType::named(name).ok_or("has a match_type that is not known")?;
            if topic.words.is_empty() || topic.words.len() > TOPIC_BYTES_MAX {
                return Err(format!("has a match that is empty or over {TOPIC_BYTES_MAX} bytes"));
            }
            let matcher = patterns.matcher(kind, &topic.words, &site.url);
            matcher.map_err(|error| format!("has a match that {error}"))
        };
        self.topics.iter().map(matcher).collect()
    }
}

fn selectors(words: Vec<String>) -> Result<Vec<Matcher>, Unacceptable> {
    if words.len() > CLAIM_SELECTORS_MAX {
        return Err(Unacceptable::TooManySelectors);
    }
    let matcher = |words: &String| {
        topic_selector(words).map_err(|error| Unacceptable::Selector(error.to_string()))
    };
    words.iter().map(matcher).collect()
}
