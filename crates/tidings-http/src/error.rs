//! Errors, one enum per operation. (Errors as clients see them are in `problem.rs`.)

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tidings_hub::InvalidMatcher;

/// Any error: the error type of bodies.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a configuration is invalid. The operator's fault; the server does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no address to listen on.
    NoAddress,
    /// There are addresses to redirect from, and no TLS to redirect to.
    RedirectWithoutTls,
    /// Other machines can reach the address, and nothing keeps them from publishing.
    Unprotected {
        /// The address.
        address: SocketAddr,
    },
    /// The setting must be more than zero.
    Zero {
        /// The field of the configuration.
        name: &'static str,
    },
    /// `event_bytes_max` is more than clients can be expected to accept.
    EventTooLarge {
        /// Maximum value, in bytes.
        bytes_max: usize,
    },
    /// `head_bytes_max` is too little for a token, or more than is read at a time.
    HeadBytes {
        /// Minimum value, in bytes.
        bytes_min: usize,
        /// Maximum value, in bytes.
        bytes_max: usize,
    },
    /// Two protocols have the same name, or one has the name of a route.
    FaceName {
        /// The name.
        name: &'static str,
    },
    /// A static file has the path of something that the server answers itself.
    PagePath {
        /// The path.
        path: &'static str,
    },
    /// `drain_max` is less than `drain_window`.
    DrainTooShort,
    /// There are too many keys that sign links.
    TooManyLinkKeys {
        /// Maximum number.
        max: usize,
    },
    /// Two keys that sign links have the same id.
    LinkKeyTwice {
        /// The id.
        id: String,
    },
    /// The id of a key that signs links cannot stand in a link.
    LinkKeyId {
        /// The id.
        id: String,
    },
    /// A secret that signs links is too easy to guess.
    WeakLinkKey {
        /// The id of the key.
        id: String,
        /// The least number of characters.
        length_min: usize,
    },
    /// `link_age_max` is too much.
    LinkAge {
        /// Maximum value.
        max: Duration,
    },
    /// A secret that signs the cookies of sessions is missing or too easy to guess.
    SessionSecret {
        /// The least number of characters.
        length_min: usize,
    },
    /// The age at which sessions end is too much.
    SessionAge {
        /// Maximum value.
        max: Duration,
    },
    /// `leeway` is more than clocks can be expected to differ.
    Leeway {
        /// Maximum value.
        max: Duration,
    },
    /// There are too many rules by which a backend is asked.
    TooManyAuthorizeRules {
        /// Maximum number.
        max: usize,
    },
    /// A rule by which a backend is asked is wrong.
    Authorize {
        /// The URL of the backend, without its query.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// There are too many receivers of what happens to connections.
    TooManyReceivers {
        /// Maximum number.
        max: usize,
    },
    /// A receiver of what happens to connections is wrong.
    Notify {
        /// Its URL, without its query.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A secret that signs what a receiver gets is not one of Standard Webhooks.
    NotifySecret,
    /// A receiver has no secret, or too many.
    NotifySecretCount {
        /// Maximum number.
        max: usize,
    },
    /// An API key is too easy to guess, or cannot be sent in a header.
    WeakApiKey {
        /// The name of the key.
        name: String,
        /// The least number of characters.
        length_min: usize,
    },
    /// A secret is shorter than its algorithm asks for (RFC 7518 §3.2).
    ShortSecret {
        /// The least number of bytes.
        bytes_min: usize,
    },
    /// There is no such algorithm for signing tokens, or it is not supported.
    Algorithm {
        /// The name.
        name: String,
    },
    /// The text is not a public key in PEM of the kind that its algorithm uses.
    PublicKey {
        /// The name of the algorithm.
        algorithm: String,
    },
    /// The text is not an absolute `http` or `https` URL.
    Url {
        /// The text.
        text: String,
    },
    /// The text is not the URL of a key set.
    KeySetUrl {
        /// The text.
        text: String,
    },
    /// The text is neither an address nor a network.
    Network {
        /// The text.
        text: String,
    },
    /// A topic matcher of a key is invalid.
    Matcher {
        /// The text.
        text: String,
        /// What is wrong with it.
        error: InvalidMatcher,
    },
    /// The text is not a host such as `hub.example`.
    Host {
        /// The text.
        text: String,
    },
    /// The text is not a web origin such as `https://example.com`.
    Origin {
        /// The text.
        text: String,
    },
    /// Every origin may use the hub with the credentials of its visitors.
    AnyOriginWithCredentials,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("there is no address to listen on"),
            Self::RedirectWithoutTls => {
                f.write_str("there is no TLS to redirect to: give a certificate and its key")
            }
            Self::Unprotected { address } => write!(
                f,
                "{address} can be reached from other machines, and there are no keys: \
                 configure a key, listen on a loopback address, or say that the hub is open"
            ),
            Self::Zero { name } => write!(f, "{name} must be more than zero"),
            Self::FaceName { name } => {
                write!(f, "a protocol needs another name than {name:?}, which is taken")
            }
            Self::PagePath { path } => {
                write!(f, "no static file can be at {path}: the hub answers there itself")
            }
            Self::EventTooLarge { bytes_max } => {
                write!(f, "event_bytes_max can be at most {bytes_max}")
            }
            Self::HeadBytes { bytes_min, bytes_max } => {
                write!(f, "head_bytes_max can be {bytes_min} to {bytes_max}")
            }
            Self::TooManyLinkKeys { max } => {
                write!(f, "there can be at most {max} keys that sign links")
            }
            Self::LinkKeyTwice { id } => write!(f, "two keys that sign links have the id {id:?}"),
            Self::LinkKeyId { id } => write!(
                f,
                "{id:?} is not an id of a key that signs links: give up to 32 letters, digits, \
                 `-` or `_`"
            ),
            Self::WeakLinkKey { id, length_min } => write!(
                f,
                "the key {id:?} that signs links must have at least {length_min} characters, all \
                 of them visible ASCII"
            ),
            Self::LinkAge { max } => write!(f, "link_age_max can be at most {max:?}"),
            Self::SessionSecret { length_min } => write!(
                f,
                "a secret that signs the cookies of sessions must have at least {length_min} bytes"
            ),
            Self::SessionAge { max } => write!(f, "sessions can last at most {max:?}"),
            Self::Leeway { max } => write!(f, "leeway can be at most {max:?}"),
            Self::TooManyAuthorizeRules { max } => {
                write!(f, "there can be at most {max} rules by which a backend is asked")
            }
            Self::Authorize { url, reason } => {
                write!(f, "the rule that asks {url:?}: {reason}")
            }
            Self::TooManyReceivers { max } => {
                write!(f, "there can be at most {max} receivers of what happens to connections")
            }
            Self::Notify { url, reason } => write!(f, "the receiver {url:?}: {reason}"),
            Self::NotifySecret => f.write_str(
                "a secret of a receiver is `whsec_` and base64 of 24 to 64 bytes; make one: echo \
                 whsec_$(openssl rand -base64 32)",
            ),
            Self::NotifySecretCount { max } => {
                write!(f, "a receiver needs a secret, and can have {max} while it changes")
            }
            Self::DrainTooShort => f.write_str("drain_max must be at least drain_window"),
            Self::WeakApiKey { name, length_min } => write!(
                f,
                "the API key {name:?} must have at least {length_min} characters, all of them \
                 visible ASCII"
            ),
            Self::ShortSecret { bytes_min } => {
                write!(f, "a secret for this algorithm must have at least {bytes_min} bytes")
            }
            Self::Algorithm { name } => write!(
                f,
                "{name:?} is not a supported algorithm: HS256, HS384, HS512, RS256, RS384, RS512, \
                 PS256, PS384, PS512, ES256, ES384 and EdDSA are"
            ),
            Self::PublicKey { algorithm } => {
                write!(f, "the key for {algorithm} is not a public key of that kind in PEM")
            }
            Self::Url { text } => write!(f, "{text:?} is not an http or https URL"),
            Self::KeySetUrl { text } => write!(f, "{text:?} is not an http, https or file URL"),
            Self::Network { text } => {
                write!(f, "{text:?} is neither an address nor a network such as 10.0.0.0/8")
            }
            Self::Matcher { text, .. } => write!(f, "{text:?} is not a topic matcher"),
            Self::Host { text } => write!(
                f,
                "{text:?} is not a host: give a name or an address without a port, or * for all"
            ),
            Self::Origin { text } => write!(
                f,
                "{text:?} is not an origin: give scheme, host and port if any, as in \
                 https://example.com"
            ),
            Self::AnyOriginWithCredentials => {
                f.write_str("credentials can be allowed only for named origins")
            }
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Matcher { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Why the server did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// The configuration is wrong.
    Config(ConfigError),
    /// An address cannot be bound: another process has it, or this one lacks permission.
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        error: io::Error,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(_) => f.write_str("the configuration is wrong"),
            Self::Listen { address, .. } => write!(f, "cannot bind {address}"),
        }
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Listen { error, .. } => Some(error),
        }
    }
}

impl From<ConfigError> for BindError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
