//! The end of a token, and another token for a stream that runs.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use tidings_engine::ConnectionId;
use tidings_hub::{Matcher, Timestamp};

use super::invalid_token::InvalidToken;
use super::refusal::{invalid, unauthorized};
use super::token::Bearer;
use super::{ApiKey, Auth, Caller, bearer};
use crate::clock;
use crate::config::HttpConfig;
use crate::lease::Lease;
use crate::problem::{Code, Problem};

impl Auth {
    /// What a token in the header of a request would renew a stream to.
    ///
    /// # Errors
    ///
    /// A 401 for a token that is not good, and a 409 for an API key, which has no end.
    pub async fn renewing(&self, parts: &Parts) -> Result<Bearer, Problem> {
        let token = bearer(&parts.headers)?.ok_or_else(|| {
            let detail = "send the new token as `Authorization: Bearer <token>`";
            unauthorized(Code::TokenRequired, detail, None)
        })?;
        if ApiKey::find(&self.api_keys, &token).is_some() {
            let detail = "an API key has no end, so it prolongs nothing: open the stream with it";
            return Err(Problem::new(Code::NotRenewable, detail));
        }
        let known = self.signed(&token).await?;
        self.check_denied(&known.says.who, parts)?;
        Ok(known.says.clone())
    }

    /// Charges a renewal of a stream's token. Returns how long to wait for the next one, if that is
    /// now.
    pub fn charge_renewal(&self, connection: ConnectionId) -> Option<Duration> {
        let key = connection.number();
        let wait = self.renewals.charge_now(key, 0);
        if wait.is_zero() {
            self.renewals.charge_now(key, 1);
        }
        Some(wait).filter(|wait| !wait.is_zero())
    }
}

impl Caller {
    /// How long a stream of `wanted` runs, if another token can prolong it.
    pub fn lease(&self, wanted: &[Matcher], config: &HttpConfig) -> Option<Arc<Lease>> {
        let end = self.ends(wanted).filter(|_| self.is_renewable)?;
        Some(Arc::new(Lease::new(clock::now(), end, config.expiring_before)))
    }

    /// Waits until the caller's token expires (forever if it does not), then returns the 401 that
    /// says so.
    pub async fn expired(&self) -> Problem {
        Self::ended(self.grant.expires).await
    }

    /// The same for a caller whose right ends at `end`.
    pub async fn ended(end: Option<Timestamp>) -> Problem {
        let Some(end) = end else { return std::future::pending().await };
        clock::reached(end).await;
        invalid(&InvalidToken::Expired)
    }
}
