//! What a backend answered.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tidings_hub::{Grant, Matcher, Timestamp};

use super::outcome::Granted;
use super::rule::{Action, AuthorizeRule};
use crate::auth::claim::Claim;
use crate::auth::invalid_token::InvalidToken;
use crate::auth::who::Who;
use crate::clock;
use crate::error::BoxError;
use crate::limits::{AUTHORIZE_EXPIRES_MAX, AUTHORIZE_SUBJECT_BYTES_MAX};
use crate::outbound;

/// Why a question has no answer. For the log: clients learn nothing of it.
#[derive(Debug)]
pub(super) enum Failure {
    /// The backend cannot be reached, or its answer cannot be read.
    Exchange(BoxError),
    /// No answer came in time.
    Timeout,
    /// A status that is neither yes nor no.
    Status(StatusCode),
    /// The body is not JSON.
    Json(serde_json::Error),
    /// A member of the body cannot be understood.
    Member(InvalidToken),
    /// `expires_in` is not a number of at least one second.
    ExpiresIn,
    /// `sub` is too long, holds a control character, or is no text.
    Subject,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(error) => f.write_str(&outbound::causes(&**error)),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Status(status) => {
                write!(f, "the status is {status}; 200 is yes, 401 and 403 are no")
            }
            Self::Json(error) => write!(f, "the body is not JSON: {error}"),
            Self::Member(error) => write!(f, "the body cannot be understood: {error}"),
            Self::ExpiresIn => f.write_str("`expires_in` is not a number of seconds, at least 1"),
            Self::Subject => {
                f.write_str("`sub` is no text, too long, or holds a control character")
            }
        }
    }
}

impl Error for Failure {}

/// What the body of a 200 grants: nothing beyond the topics of the rule, and nothing but the action
/// that was asked about.
pub(super) fn granted(
    rule: &AuthorizeRule,
    action: Action,
    body: &[u8],
) -> Result<Granted, Failure> {
    let body: Value = serde_json::from_slice(body).map_err(Failure::Json)?;
    let claim = Claim::read(&body).map_err(Failure::Member)?;
    let Claim { grant: said, .. } = claim.ok_or(Failure::Member(InvalidToken::Tidings))?;
    let good_for = match &body["expires_in"] {
        Value::Null => rule.cache,
        Value::Number(seconds) => {
            let seconds = seconds.as_f64().filter(|seconds| *seconds >= 1.0);
            let seconds = seconds.ok_or(Failure::ExpiresIn)?;
            Duration::try_from_secs_f64(seconds)
                .map_or(AUTHORIZE_EXPIRES_MAX, |time| time.min(AUTHORIZE_EXPIRES_MAX))
        }
        _ => return Err(Failure::ExpiresIn),
    };
    let (mut publish, mut subscribe) = (Vec::new(), Vec::new());
    match action {
        Action::Publish => publish = within(&said.publish, rule.topics()),
        Action::Subscribe => subscribe = within(&said.subscribe, rule.topics()),
    }
    let good_until = after(clock::now(), good_for);
    let grant = Grant {
        publish,
        subscribe,
        presence: within(&said.presence, rule.topics()),
        expires: Some(good_until),
        ..Grant::nothing()
    };
    let who = Who { subject: subject(&body["sub"])?, ..Who::default() };
    Ok(Granted { grant: Arc::new(grant), who: Arc::new(who), good_for, good_until })
}

pub(super) fn after(start: Timestamp, time: Duration) -> Timestamp {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(start.as_millis().saturating_add(millis))
}

/// What `said` grants of the topics that the rule is about. Of two patterns that overlap, and of
/// which none covers the other, nothing is granted.
fn within(said: &[Matcher], ceiling: &[Matcher]) -> Vec<Matcher> {
    let mut granted = Vec::new();
    for said in said {
        if ceiling.iter().any(|own| said.is_covered_by(own)) {
            granted.push(said.clone());
        } else {
            granted.extend(ceiling.iter().filter(|own| own.is_covered_by(said)).cloned());
        }
    }
    granted
}

fn subject(claim: &Value) -> Result<Option<Box<str>>, Failure> {
    let subject = match claim {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(Failure::Subject),
    };
    if subject.len() > AUTHORIZE_SUBJECT_BYTES_MAX || subject.chars().any(char::is_control) {
        return Err(Failure::Subject);
    }
    Ok((!subject.is_empty()).then(|| subject.into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn rule() -> AuthorizeRule {
        let topics = ["orders/**", "news"].map(|text| Matcher::parse(text).unwrap());
        AuthorizeRule::new("http://app/", topics.to_vec(), &["a"], &[] as &[&str]).unwrap()
    }

    fn read(body: &Value, action: Action) -> Result<Granted, Failure> {
        granted(&rule(), action, body.to_string().as_bytes())
    }

    fn texts(matchers: &[Matcher]) -> Vec<String> {
        matchers.iter().map(Matcher::to_string).collect()
    }

    #[test]
    fn an_answer_grants_nothing_beyond_the_rule_and_the_action() {
        let everything = json!({
            "sub": 7, "publish": ["**"], "subscribe": ["**", "orders/7", "users/7"],
            "erase": ["**"], "presence": ["orders/*"], "operate": ["look", "kick"],
        });
        let Granted { grant, who, .. } = read(&everything, Action::Subscribe).unwrap();
        assert_eq!(texts(&grant.subscribe), ["orders/**", "news", "orders/7"]);
        assert_eq!(texts(&grant.presence), ["orders/*"]);
        assert!(grant.publish.is_empty() && grant.erase.is_empty());
        assert!(!grant.may_look() && !grant.operate.kick);
        assert_eq!(who.subject.as_deref(), Some("7"));
        let Granted { grant, .. } = read(&everything, Action::Publish).unwrap();
        assert_eq!(texts(&grant.publish), ["orders/**", "news"]);
        assert!(grant.subscribe.is_empty());
    }

    #[test]
    fn what_cannot_be_understood_is_a_failure_and_never_a_grant() {
        for body in [
            json!(null),
            json!("yes"),
            json!(["orders/7"]),
            json!({"subscribe": "orders/7"}),
            json!({"subscribe": ["a/**/b"]}),
            json!({"expires_in": 0}),
            json!({"expires_in": -1}),
            json!({"expires_in": "60"}),
            json!({"sub": {}}),
            json!({"sub": "a\nb"}),
            json!({"sub": "x".repeat(300)}),
        ] {
            assert!(read(&body, Action::Subscribe).is_err(), "{body}");
        }
        assert!(granted(&rule(), Action::Subscribe, b"<html>").is_err());
        assert!(granted(&rule(), Action::Subscribe, b"").is_err());
    }

    #[test]
    fn an_answer_is_good_for_as_long_as_it_says_and_at_most_a_day() {
        let good_for = |body| read(&body, Action::Subscribe).unwrap().good_for.as_secs();
        assert_eq!(good_for(json!({})), rule().cache.as_secs());
        assert_eq!(good_for(json!({"expires_in": null})), rule().cache.as_secs());
        assert_eq!(good_for(json!({"expires_in": 90})), 90);
        assert_eq!(good_for(json!({"expires_in": 1e9})), 86_400);
        assert_eq!(good_for(json!({"expires_in": 1e300})), 86_400);
    }
}
