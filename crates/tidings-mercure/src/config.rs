use tidings_http::auth::JwtKey;
use tidings_http::error::ConfigError;
use tidings_http::origin;
use tidings_hub::Matcher;
use url::Url;

/// Configuration of the Mercure protocol, fixed at the start.
///
/// The default is on and uses the hub's own keys
/// ([`HttpConfig::jwt_keys`](tidings_http::HttpConfig::jwt_keys)) for publishers and subscribers
/// alike.
#[derive(Clone, Debug)]
pub struct MercureConfig {
    /// Whether `/.well-known/mercure` is served.
    pub enabled: bool,
    /// Whether clients without a token may subscribe to public events.
    pub anonymous: bool,
    /// Topics whose events are public here although they were published on the native API. Events
    /// published there on other topics require a grant.
    pub public: Vec<Matcher>,
    /// Enables the presence API and subscription events.
    pub subscriptions: bool,
    /// Keys of 0.x tokens. A role without any uses the hub's own.
    pub keys: MercureKeys,
    /// Issuers whose 1.0 tokens are accepted.
    pub issuers: Vec<MercureIssuer>,
    /// The URL by which 1.0 tokens name this hub (`aud`), and against which relative topics are
    /// resolved. Without it, the URL that the request was sent to.
    pub resource: Option<MercureResource>,
    /// Pages that may publish with only a cookie, besides those of the hub's own origin.
    pub publish_origins: PublishOrigins,
}

impl Default for MercureConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            anonymous: false,
            public: Vec::new(),
            subscriptions: true,
            keys: MercureKeys::default(),
            issuers: Vec::new(),
            resource: None,
            publish_origins: PublishOrigins::default(),
        }
    }
}

impl MercureConfig {
    /// Whether there is any key of its own.
    pub(crate) fn has_keys(&self) -> bool {
        let keys = self.issuers.iter().map(|issuer| &issuer.keys).chain([&self.keys]);
        keys.into_iter().any(|keys| !keys.publisher.is_empty() || !keys.subscriber.is_empty())
    }
}

/// Keys by the role of their tokens: a subscriber's key does not accept a publisher's token.
#[derive(Clone, Debug, Default)]
pub struct MercureKeys {
    /// For publishers.
    pub publisher: Vec<JwtKey>,
    /// For subscribers.
    pub subscriber: Vec<JwtKey>,
}

/// An issuer of 1.0 tokens (RFC 9068).
#[derive(Clone, Debug)]
pub struct MercureIssuer {
    /// The `iss` of its tokens, byte for byte.
    pub name: String,
    /// Its keys; no others are tried for its tokens.
    pub keys: MercureKeys,
}

/// An absolute URL that names a hub.
#[derive(Clone, Debug)]
pub struct MercureResource {
    pub(crate) text: String,
    pub(crate) url: Url,
}

impl MercureResource {
    /// The hub at `text`, such as `https://example.com/.well-known/mercure`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Url`].
    pub fn new(text: &str) -> Result<Self, ConfigError> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| ConfigError::Url { text: text.to_owned() })?;
        Ok(Self { text: text.to_owned(), url })
    }
}

/// Origins of web pages, each with at most one wildcard.
#[derive(Clone, Debug, Default)]
pub struct PublishOrigins(Vec<(String, Option<String>)>);

impl PublishOrigins {
    /// Each is like `https://example.com`, or `https://*.example.com`, or `*`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Origin`] for one that is empty or has two wildcards.
    pub fn new<I>(origins: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let parse = |origin: I::Item| {
            let text = origin.as_ref();
            let lower = text.to_ascii_lowercase();
            if lower.is_empty() || lower.matches('*').count() > 1 {
                return Err(ConfigError::Origin { text: text.to_owned() });
            }
            // The default port of the scheme is left out.
            let default_port = if lower.starts_with("https:") { ":443" } else { ":80" };
            let lower = lower.strip_suffix(default_port).unwrap_or(&lower);
            Ok(match lower.split_once('*') {
                Some((before, after)) => (before.to_owned(), Some(after.to_owned())),
                None => (origin::canonical(lower).unwrap_or_else(|| lower.to_owned()), None),
            })
        };
        origins.into_iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether pages of `origin`, as browsers write it, are among them.
    pub(crate) fn contains(&self, origin: &str) -> bool {
        let origin = origin::canonical(origin).unwrap_or_else(|| origin.to_ascii_lowercase());
        self.0.iter().any(|(before, after)| match after {
            None => origin == *before,
            Some(after) => {
                // The wildcard stands for at least one character.
                origin.len() > before.len() + after.len()
                    && origin.starts_with(before.as_str())
                    && origin.ends_with(after.as_str())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn origins_are_exact_or_have_one_wildcard() {
        let origins =
            PublishOrigins::new(["https://app.example", "https://*.example.com"]).unwrap();
        for (origin, expected) in [
            ("https://app.example", true),
            ("https://APP.example", true),
            ("https://app.example:443", true),
            ("https://a.example.com:443", true),
            ("https://app.example:8443", false),
            ("http://app.example", false),
            ("https://a.b.example.com", true),
            ("https://.example.com", false),
            ("https://example.com", false),
            ("https://aexample.com", false),
            ("https://x.example.com.evil", false),
        ] {
            assert_eq!(origins.contains(origin), expected, "{origin}");
        }
        assert!(PublishOrigins::new(["*"]).unwrap().contains("null"));
        assert!(!PublishOrigins::default().contains("https://app.example"));
        assert!(PublishOrigins::new(["https://*.*.example"]).is_err());
        assert!(PublishOrigins::new([""]).is_err());
    }

    #[test]
    fn a_resource_is_an_absolute_url() {
        assert!(MercureResource::new("https://example.com/.well-known/mercure").is_ok());
        for bad in ["", "/x", "example.com", "ftp://example.com/", "urn:x"] {
            assert!(MercureResource::new(bad).is_err(), "{bad}");
        }
    }
}
