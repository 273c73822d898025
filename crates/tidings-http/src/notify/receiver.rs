use std::fmt;

use http::Uri;

use super::secrets::NotifySecrets;
use crate::error::ConfigError;
use crate::outbound;

/// Where the hub sends the news of connections.
#[derive(Clone)]
pub struct NotifyReceiver {
    url: Uri,
    secrets: NotifySecrets,
    /// Whether messages have the addresses of clients.
    pub addresses: bool,
}

impl NotifyReceiver {
    /// The receiver at `url`, which knows the `secrets`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Notify`], which says what is wrong with the URL.
    pub fn new(url: &str, secrets: NotifySecrets) -> Result<Self, ConfigError> {
        let parsed = outbound::parse_url(url);
        let url = parsed.map_err(|reason| ConfigError::Notify {
            url: outbound::without_query(url),
            reason: reason.into(),
        })?;
        Ok(Self { url, secrets, addresses: false })
    }

    /// The secrets that sign what it gets.
    pub fn secrets(&self) -> &NotifySecrets {
        &self.secrets
    }

    pub(super) fn url(&self) -> &Uri {
        &self.url
    }

    /// Where it is, without what may be a secret. For the log and for operators.
    pub fn place(&self) -> String {
        outbound::without_query(&self.url.to_string())
    }
}

impl fmt::Debug for NotifyReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifyReceiver").field("url", &self.place()).finish_non_exhaustive()
    }
}
