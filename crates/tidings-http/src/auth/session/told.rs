//! What hubs tell each other of a session that was renewed.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidings_hub::{Grant, Interest, Timestamp};

use super::start::Session;
use super::{SessionId, Sessions, live, value};
use crate::auth::claim::Claim;

/// A session that was renewed at another hub: what it grants now. Not its cookie: what hubs say to
/// each other opens nothing.
#[derive(Debug, Deserialize, Serialize)]
pub struct RenewedSession {
    sid: String,
    exp_ms: u64,
    tidings: serde_json::Value,
}

/// The same, where streams of the session run.
#[derive(Debug)]
pub struct Renewal {
    /// The name of the session.
    pub id: SessionId,
    grant: Arc<Grant>,
}

impl Session {
    /// The message to other hubs after its renewal.
    pub fn renewed(&self) -> RenewedSession {
        RenewedSession {
            sid: self.value.id.hex(),
            exp_ms: self.value.expires.as_millis(),
            tidings: value::claim(&self.value.grant),
        }
    }
}

impl Sessions {
    /// Gives the streams of a session that was renewed at another hub their new grant. `None` if it
    /// has none here, or if what was told cannot be read.
    pub fn renew_told(&self, told: &RenewedSession, before: Duration) -> Option<Renewal> {
        let id = SessionId::of_hex(&told.sid)?;
        let expires = Some(Timestamp::from_millis(told.exp_ms));
        let grant = Claim::read(&told.tidings).ok()??.grant;
        let grant = Arc::new(Grant { expires, ..grant });
        self.live().renew(id, &grant, before).then_some(Renewal { id, grant })
    }
}

impl Renewal {
    /// Whether it covers a stream, of which everybody may read what `everybody` says.
    pub fn covers(&self, interest: &Interest, everybody: &Grant) -> bool {
        live::covers(&self.grant, everybody, interest)
    }
}
