use std::fmt;

use url::Url;

/// The hub to check, and its keys.
#[derive(Clone)]
pub struct Plan {
    /// URL of the hub, with or without `/.well-known/mercure`.
    pub url: Url,
    /// The secret of publishers' tokens (HS256).
    pub publisher_secret: Vec<u8>,
    /// The secret of subscribers' tokens (HS256).
    pub subscriber_secret: Vec<u8>,
    /// Issuer of 1.0 tokens. Without it, checks that need one are skipped.
    pub issuer: Option<String>,
    /// Audience of 1.0 tokens; `None` means the hub's URL.
    pub audience: Option<String>,
    /// How a hub with TLS is recognised; `None` trusts what the system trusts.
    pub tls: Option<rustls::ClientConfig>,
}

impl Plan {
    pub(crate) fn audience(&self) -> String {
        self.audience.clone().unwrap_or_else(|| self.hub().into())
    }

    fn hub(&self) -> Url {
        let mut url = self.url.clone();
        url.set_path(HUB);
        url.set_query(None);
        url.set_fragment(None);
        url
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// Path of a hub.
pub(crate) const HUB: &str = "/.well-known/mercure";
