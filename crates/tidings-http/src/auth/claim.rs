//! The claim `tidings`: what the bearer of a token may do, in the hub's own words, on every API.
//!
//! A claim of its own, because the words of another protocol's claim mean different things here and
//! there: `["*"]` is one segment on the native API, and may be everything elsewhere.

use serde_json::{Map, Value};
use tidings_hub::{Grant, Matcher, Operate};

use super::invalid_token::InvalidToken;
use crate::limits::{CLAIM_MATCHERS_MAX, CLAIM_PAYLOAD_BYTES_MAX};

/// What the claim says.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What it grants. Its end is another claim (`exp`).
    pub grant: Grant,
    /// What presence shows of the bearer.
    pub payload: Option<Map<String, Value>>,
}

impl Claim {
    /// Reads the claim; `null` is as good as absent, here and in every member. Members with other
    /// names grant nothing.
    ///
    /// # Errors
    ///
    /// [`InvalidToken::Tidings`] and [`InvalidToken::Member`], which names the member.
    pub fn read(claim: &Value) -> Result<Option<Self>, InvalidToken> {
        let members = match claim {
            Value::Null => return Ok(None),
            Value::Object(members) => members,
            _ => return Err(InvalidToken::Tidings),
        };
        let grant = Grant {
            publish: matchers(members, "publish")?,
            subscribe: matchers(members, "subscribe")?,
            erase: matchers(members, "erase")?,
            presence: matchers(members, "presence")?,
            operate: operate(members)?,
            expires: None,
        };
        let payload = match members.get("payload") {
            None | Some(Value::Null) => None,
            Some(Value::Object(payload)) => {
                let length = Value::Object(payload.clone()).to_string().len();
                if length > CLAIM_PAYLOAD_BYTES_MAX {
                    return Err(InvalidToken::Member("payload"));
                }
                Some(payload.clone())
            }
            Some(_) => return Err(InvalidToken::Member("payload")),
        };
        Ok(Some(Self { grant, payload }))
    }
}

/// The list of texts called `name`; empty if it is absent.
fn texts<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Vec<&'a str>, InvalidToken> {
    let wrong = InvalidToken::Member(name);
    match members.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() <= CLAIM_MATCHERS_MAX => {
            items.iter().map(|item| item.as_str().ok_or(wrong)).collect()
        }
        Some(_) => Err(wrong),
    }
}

/// A text that is no matcher invalidates the token: its issuer meant something by it.
fn matchers(
    members: &Map<String, Value>,
    name: &'static str,
) -> Result<Vec<Matcher>, InvalidToken> {
    let matcher = |text| Matcher::parse(text).map_err(|_| InvalidToken::Member(name));
    texts(members, name)?.into_iter().map(matcher).collect()
}

/// Unknown words grant nothing, like unknown members.
fn operate(members: &Map<String, Value>) -> Result<Operate, InvalidToken> {
    let words = texts(members, "operate")?;
    Ok(Operate { look: words.contains(&"look"), kick: words.contains(&"kick") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn the_claim_grants_what_its_members_say_and_nothing_else() {
        let claim = json!({
            "publish": ["a/*"], "subscribe": ["a/**", "b"], "erase": ["a/1"], "presence": ["b"],
            "operate": ["look", "dance"], "payload": {"name": "Jo"}, "own": ["**"],
        });
        let Claim { grant, payload } = Claim::read(&claim).unwrap().unwrap();
        let lists = [&grant.publish, &grant.subscribe, &grant.erase, &grant.presence];
        assert_eq!(lists.map(Vec::len), [1, 2, 1, 1]);
        assert_eq!(grant.operate, Operate { look: true, kick: false });
        assert_eq!(payload.unwrap()["name"], "Jo");
    }

    #[test]
    fn null_is_as_good_as_absent_at_every_level() {
        assert!(Claim::read(&Value::Null).unwrap().is_none());
        let claim = json!({
            "publish": null, "subscribe": null, "erase": null, "presence": null, "operate": null,
            "payload": null,
        });
        assert_eq!(Claim::read(&claim).unwrap().unwrap().grant, Grant::nothing());
    }

    #[test]
    fn a_member_that_cannot_be_understood_invalidates_the_token_and_is_named() {
        assert_eq!(Claim::read(&json!(["a"])).unwrap_err(), InvalidToken::Tidings);
        let many = vec!["a"; CLAIM_MATCHERS_MAX + 1];
        for (name, value) in [
            ("publish", json!("a")),
            ("subscribe", json!(["a/**/b"])),
            ("erase", json!([7])),
            ("presence", json!({})),
            ("subscribe", json!(many)),
            ("operate", json!("look")),
            ("payload", json!("Jo")),
            ("payload", json!({"name": "x".repeat(CLAIM_PAYLOAD_BYTES_MAX)})),
        ] {
            let refused = Claim::read(&json!({ name: value })).unwrap_err();
            assert_eq!(refused, InvalidToken::Member(name));
        }
    }
}
