//! `Layer`: the settings of one source, as texts.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tidings_hub::Operate;
use tidings_server::{AuthorizeAction, KeyLimits, OnFailure};
use tidings_store_disk::Rule;

use super::given::Given;
use super::origin::Origin;

/// The settings of one source: a file, the environment, the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    pub(crate) values: BTreeMap<&'static str, Given>,
    pub(crate) keys: Vec<KeyTable>,
    pub(crate) jwt_keys: Vec<JwtKeyTable>,
    pub(crate) link_keys: Vec<LinkKeyTable>,
    pub(crate) authorize: Vec<AuthorizeTable>,
    pub(crate) notify: Vec<NotifyTable>,
    pub(crate) retention: Vec<RetentionTable>,
    /// Mistakes that the source itself shows.
    pub(crate) problems: Vec<SettingProblem>,
}

/// One table of `[[keys]]`.
#[derive(Clone, Debug)]
pub(crate) struct KeyTable {
    pub(crate) name: String,
    /// Exactly one of these two is there.
    pub(crate) key: Option<String>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) publish: Vec<String>,
    pub(crate) subscribe: Vec<String>,
    pub(crate) erase: Vec<String>,
    pub(crate) presence: Vec<String>,
    pub(crate) operate: Operate,
    pub(crate) limits: KeyLimits,
    pub(crate) origin: Origin,
}

/// One table of `[[jwt-keys]]`.
#[derive(Clone, Debug)]
pub(crate) struct JwtKeyTable {
    /// Empty with a [`url`](Self::url) means: whichever its keys are for.
    pub(crate) algorithm: String,
    /// Exactly one of these three is there.
    pub(crate) key: Option<String>,
    pub(crate) key_file: Option<PathBuf>,
    /// Where a set of keys is.
    pub(crate) url: Option<String>,
    pub(crate) role: Option<Role>,
    pub(crate) issuer: Option<String>,
    pub(crate) limits: KeyLimits,
    pub(crate) origin: Origin,
}

/// One table of `[[link-keys]]`.
#[derive(Clone, Debug)]
pub(crate) struct LinkKeyTable {
    pub(crate) id: String,
    /// Exactly one of these two is there.
    pub(crate) secret: Option<String>,
    pub(crate) secret_file: Option<PathBuf>,
    pub(crate) topics: Vec<String>,
    pub(crate) origin: Origin,
}

/// One table of `[[authorize]]`. What is absent has its default.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizeTable {
    pub(crate) url: String,
    pub(crate) topics: Vec<String>,
    pub(crate) cookies: Vec<String>,
    pub(crate) forward: Vec<String>,
    pub(crate) send_topics: Option<bool>,
    pub(crate) send_address: Option<bool>,
    pub(crate) actions: Option<Vec<AuthorizeAction>>,
    pub(crate) cache: Option<Duration>,
    pub(crate) cache_refused: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) waiting: Option<usize>,
    pub(crate) wait: Option<Duration>,
    pub(crate) on_failure: Option<OnFailure>,
    pub(crate) stale_max: Option<Duration>,
    pub(crate) origin: Origin,
}

/// One table of `[[notify]]`.
#[derive(Clone, Debug)]
pub(crate) struct NotifyTable {
    pub(crate) url: String,
    /// One of these two has something.
    pub(crate) secrets: Vec<String>,
    pub(crate) secret_files: Vec<PathBuf>,
    pub(crate) addresses: Option<bool>,
    pub(crate) origin: Origin,
}

/// One table of `[[retention]]`.
#[derive(Clone, Debug)]
pub(crate) struct RetentionTable {
    pub(crate) rule: Rule,
    pub(crate) origin: Origin,
}

/// The purpose of a key's tokens, where it is restricted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Publisher,
    Subscriber,
}

/// A setting that cannot be understood.
#[derive(Clone, Debug)]
pub(crate) struct SettingProblem {
    pub(crate) origin: Origin,
    message: String,
    pub(crate) hint: Option<String>,
}

impl SettingProblem {
    /// The value of `key` is wrong.
    pub(crate) fn new(origin: Origin, key: &str, message: impl fmt::Display) -> Self {
        let message = match origin {
            // Their origin names the setting.
            Origin::Flag(_) | Origin::Environment(_) => message.to_string(),
            _ => format!("{key}: {message}"),
        };
        Self { origin, message, hint: None }
    }

    /// Something at this place is wrong.
    pub(crate) fn at(origin: Origin, message: impl Into<String>) -> Self {
        Self { origin, message: message.into(), hint: None }
    }

    /// Adds advice.
    #[must_use]
    pub(crate) fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}
