use std::error::Error;
use std::fmt;
use std::sync::Arc;

use tidings_hub::StoreCause;

/// Why the servers did not do what they were asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NatsError {
    /// There is no connection to any server at the moment.
    NotConnected,
    /// A server could not be connected to when the hub started.
    Connect(StoreCause),
    /// A server rejected what the hub logs in with, or a credentials file cannot be used.
    LoginRejected(StoreCause),
    /// There was no answer in time.
    NoAnswer,
    /// Nothing listens: the account has no JetStream, the stream is not there or has no leader, or
    /// the user may not ask.
    NobodyListens,
    /// The request could not be sent, or its connection broke.
    Client(StoreCause),
    /// JetStream said no.
    Refused {
        /// Its code, as in the error table of the servers.
        code: u32,
        /// Its words.
        description: Box<str>,
    },
    /// The answer is not what the protocol describes.
    Malformed(StoreCause),
    /// The thread of the client could not be started.
    NoThread(StoreCause),
}

impl NatsError {
    pub(crate) fn client(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Client(Arc::new(source))
    }

    pub(crate) fn malformed(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Malformed(Arc::new(source))
    }

    pub(crate) fn code(&self) -> Option<u32> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl fmt::Display for NatsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => f.write_str("there is no connection to a NATS server"),
            Self::LoginRejected(_) => f.write_str("a NATS server rejected the login"),
            Self::Connect(_) => f.write_str("no NATS server could be connected to"),
            Self::NoAnswer => f.write_str("the NATS servers did not answer in time"),
            Self::NobodyListens => f.write_str("no NATS server answers requests for the stream"),
            Self::Client(_) => f.write_str("a request to the NATS servers failed"),
            Self::Refused { code, description } => {
                write!(f, "JetStream answered: {description} ({code})")
            }
            Self::Malformed(_) => f.write_str("an answer of JetStream cannot be read"),
            Self::NoThread(_) => f.write_str("the thread of the NATS client cannot be started"),
        }
    }
}

impl Error for NatsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect(source)
            | Self::LoginRejected(source)
            | Self::Client(source)
            | Self::Malformed(source)
            | Self::NoThread(source) => Some(&**source),
            Self::NotConnected | Self::NoAnswer | Self::NobodyListens | Self::Refused { .. } => {
                None
            }
        }
    }
}
