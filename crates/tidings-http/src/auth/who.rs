//! The identity behind a credential.

use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::session::live::LiveSession;

/// The identity behind a credential: what operators find, close and deny.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// The name of an API key.
    pub key: Option<Box<str>>,
    /// The subject of a token or of a link (`sub`).
    pub subject: Option<Box<str>>,
    /// The issuer of a token (`iss`).
    pub issuer: Option<Box<str>>,
    /// The session whose cookie was sent.
    pub session: Option<Arc<LiveSession>>,
}

impl Who {
    /// Nobody in particular. Most requests of an open hub are of nobody, so all share one.
    pub fn nobody() -> Arc<Self> {
        static NOBODY: LazyLock<Arc<Who>> = LazyLock::new(Arc::default);
        Arc::clone(&NOBODY)
    }

    /// Whether it is nobody in particular.
    pub fn is_nobody(&self) -> bool {
        let Self { key, subject, issuer, session } = self;
        key.is_none() && subject.is_none() && issuer.is_none() && session.is_none()
    }

    /// The bearer of the API key called `name`.
    pub fn of_key(name: &str) -> Self {
        Self { key: Some(name.into()), ..Self::default() }
    }

    /// The bearer of a token with these claims.
    pub fn of_claims(subject: &Value, issuer: &Value) -> Self {
        Self { subject: text(subject), issuer: text(issuer), ..Self::default() }
    }
}

/// A name in a claim. Some issuers write the number of a user as a number.
fn text(claim: &Value) -> Option<Box<str>> {
    match claim {
        Value::String(text) if !text.is_empty() => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}
