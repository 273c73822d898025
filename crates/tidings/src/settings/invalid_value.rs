//! `InvalidValue`: why a setting cannot have the value that was given.

use tidings_server::ConfigError;

/// The reasons, each a fragment that says what would be right. A list can have several.
#[derive(Debug)]
pub(crate) struct InvalidValue {
    pub(super) reasons: Vec<String>,
}

impl From<String> for InvalidValue {
    fn from(reason: String) -> Self {
        Self { reasons: vec![reason] }
    }
}

impl From<ConfigError> for InvalidValue {
    fn from(error: ConfigError) -> Self {
        error.to_string().into()
    }
}
