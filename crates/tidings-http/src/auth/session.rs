//! Sessions: a browser exchanges its token for a cookie that no page can read.
//!
//! The value of the cookie is the hub's own ([`value`]), signed with a key of the hub and good for
//! nothing else. There is no state per session, so sessions survive a restart. What the hub keeps
//! is what its streams need: the sessions that have some ([`live`]), whose ends move when the
//! cookie is renewed; and those that were ended before their time ([`revoked`]).

pub mod cookie;
mod identify;
pub mod live;
pub mod revoked;
pub mod start;
pub mod told;
pub(crate) mod value;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{digest, hmac, rand};
use http::header::HeaderMap;

use crate::clock;
use crate::error::ConfigError;
use crate::limits::{SESSION_AGE_MAX, SESSION_RENEWALS_PER_S};
use crate::rate_limiter::RateLimiter;
use cookie::{Jar, SessionName};
use live::LiveSessions;
use revoked::RevokedSessions;
use value::Value;

/// All sessions of a hub. Clones are the same.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    /// The first one signs; all of them are accepted.
    keys: Vec<hmac::Key>,
    age_max: Duration,
    is_insecure: bool,
    live: LiveSessions,
    revoked: RevokedSessions,
    renewals: RateLimiter,
}

/// What the cookies of a request say.
#[derive(Debug)]
pub(crate) enum Found<S = Value> {
    Session(Box<S>),
    /// There is a cookie, which is good no more.
    Stale,
    Nothing,
}

/// The random name of a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub(crate) [u8; 16]);

impl Sessions {
    /// Fewest characters of a secret.
    pub const SECRET_LENGTH_MIN: usize = 32;

    /// Sessions whose cookies are signed with the first of `secrets`, and accepted with any of
    /// them: while secrets change there are two. They end after `age_max` unless they are renewed.
    /// Without `is_secure`, cookies also work without TLS, on a network that is trusted.
    ///
    /// # Errors
    ///
    /// [`ConfigError::SessionSecret`].
    pub fn new<S: AsRef<[u8]>>(
        secrets: &[S],
        age_max: Duration,
        is_secure: bool,
        revoked: RevokedSessions,
    ) -> Result<Self, ConfigError> {
        let length_min = Self::SECRET_LENGTH_MIN;
        if secrets.is_empty() || secrets.iter().any(|secret| secret.as_ref().len() < length_min) {
            return Err(ConfigError::SessionSecret { length_min });
        }
        let key = |secret: &S| hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref());
        Ok(Self::with_keys(secrets.iter().map(key).collect(), age_max, is_secure, revoked))
    }

    fn with_keys(
        keys: Vec<hmac::Key>,
        age_max: Duration,
        is_secure: bool,
        revoked: RevokedSessions,
    ) -> Self {
        let renewals = RateLimiter::new(SESSION_RENEWALS_PER_S);
        let is_insecure = !is_secure;
        let live = LiveSessions::default();
        Self(Arc::new(Inner { keys, age_max, is_insecure, live, revoked, renewals }))
    }

    /// The age at which they end unless they are renewed.
    pub fn age_max(&self) -> Duration {
        self.0.age_max
    }

    /// Sessions that are subscribed at this moment.
    pub(crate) fn live(&self) -> &LiveSessions {
        &self.0.live
    }

    /// Sessions that were ended before their time.
    pub fn revoked(&self) -> &RevokedSessions {
        &self.0.revoked
    }

    /// Whether cookies are sent without TLS, too.
    pub fn is_insecure(&self) -> bool {
        self.0.is_insecure
    }

    /// What the cookies of a request say about the session called `name`.
    pub(crate) fn find(&self, headers: &HeaderMap, name: &SessionName) -> Found {
        let mut is_stale = false;
        for jar in Jar::ALL {
            let values = cookie::values(headers, &name.cookie(jar, self.is_insecure()));
            // Two of one name cannot both be the hub's.
            if let [value] = &values[..]
                && let Some(value) = self.open(value, name)
            {
                return Found::Session(Box::new(value));
            }
            is_stale |= !values.is_empty();
        }
        if is_stale { Found::Stale } else { Found::Nothing }
    }

    /// What a cookie says, if the hub made it for a session of that name and it is good now.
    fn open(&self, text: &str, name: &SessionName) -> Option<Value> {
        let value = self.0.keys.iter().find_map(|key| Value::open(text, key))?;
        let is_good = value.name == name.as_str()
            && value.expires > clock::now()
            && !self.0.revoked.has(value.id);
        is_good.then_some(value)
    }

    /// The text of a cookie.
    fn seal(&self, value: &Value) -> String {
        value.seal(&self.0.keys[0])
    }

    /// A secret for another `purpose` than cookies, for each of the hub's secrets, the first one
    /// first. Neither tells the other.
    pub(crate) fn derived(&self, purpose: &'static str) -> impl Iterator<Item = hmac::Tag> {
        self.0.keys.iter().map(move |key| hmac::sign(key, purpose.as_bytes()))
    }

    /// Charges a renewal of `session`. Returns how long to wait for the next one, if that is now.
    fn charge(&self, session: SessionId) -> Option<Duration> {
        let key = u64::from_le_bytes(session.0[..8].try_into().expect("eight bytes"));
        let wait = self.0.renewals.charge_now(key, 0);
        if wait.is_zero() {
            self.0.renewals.charge_now(key, 1);
        }
        Some(wait).filter(|wait| !wait.is_zero())
    }
}

impl SessionId {
    fn new() -> Self {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).expect("the system has random bytes");
        Self(bytes)
    }

    /// Its text in hexadecimal digits.
    fn hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    fn of_hex(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
        Some(Self(number.to_be_bytes()))
    }

    /// What operators know the session by: it does not tell the name itself.
    pub fn public(self) -> String {
        short_name(&self.0)
    }
}

/// Eight hexadecimal digits that name a secret without telling it.
pub(crate) fn short_name(secret: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, secret);
    digest.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// With a key of this process: its sessions end with it.
impl Default for Sessions {
    fn default() -> Self {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random);
        let key = key.expect("the system has random bytes");
        Self::with_keys(vec![key], SESSION_AGE_MAX, true, RevokedSessions::default())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("age_max", &self.0.age_max).finish_non_exhaustive()
    }
}

/// The name is a secret.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.public())
    }
}
