use std::fmt;

use url::Url;

/// Which hub, and with which keys.
#[derive(Clone)]
pub struct Plan {
    /// The hub's URL, with or without `/.well-known/mercure`.
    pub url: Url,
    /// The secret of publishers' tokens (HS256).
    pub publisher_secret: Vec<u8>,
    /// The secret of subscribers' tokens (HS256).
    pub subscriber_secret: Vec<u8>,
    /// Who issues 1.0 tokens. Without it the checks that need one are skipped.
    pub issuer: Option<String>,
    /// For which hub they are; without it, for its URL.
    pub audience: Option<String>,
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

/// Where a hub is.
pub(crate) const HUB: &str = "/.well-known/mercure";
