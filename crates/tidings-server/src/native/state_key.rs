//! The key of an event, and what its publisher expects of it: `?key=`, `?if-version=`.

use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Query};
use tidings_hub::{Draft, EventId, Expected, Key};

/// The names of the parameters.
pub(super) const PARAMETERS: [&str; 2] = ["key", "if-version"];

/// The key of an event, and what its publisher expects of it.
#[derive(Default)]
pub(super) struct StateKey {
    pub(super) key: Option<Key>,
    expected: Option<Expected>,
}

impl StateKey {
    /// Takes them out of a query.
    ///
    /// # Errors
    ///
    /// A 400 for what is no key or no id, and for an expectation of no key.
    pub(super) fn take(query: &mut Query<'_>) -> Result<Self, Problem> {
        let key = query.take("key")?.map(|text| {
            Key::new(&text).map_err(|error| query::bad_value("key", format!("`key` {error}")))
        });
        let version = query.take("if-version")?;
        let expected = version.map(|text| {
            expected(&text).ok_or_else(|| query::bad_value("if-version", VERSION_FORM.into()))
        });
        Self { key: key.transpose()?, expected: expected.transpose()? }.checked("if-version")
    }

    /// The same of the members of a line.
    ///
    /// # Errors
    ///
    /// A 400 that names the member.
    pub(super) fn of_line(key: Option<&str>, version: Option<&str>) -> Result<Self, Problem> {
        let invalid = |field: &str, detail: String| {
            Problem::new(Code::InvalidField, detail).with("field", field)
        };
        let key = key
            .map(|text| Key::new(text).map_err(|error| invalid("key", format!("the key {error}"))));
        let expected = version.map(|text| {
            expected(text).ok_or_else(|| invalid("if_version", VERSION_FORM.to_owned()))
        });
        Self { key: key.transpose()?, expected: expected.transpose()? }.checked("if_version")
    }

    fn checked(self, version: &str) -> Result<Self, Problem> {
        if self.expected.is_some() && self.key.is_none() {
            let detail = format!("`{version}` is about a key: give a `key`, or leave it out");
            return Err(Problem::new(Code::InvalidQuery, detail).with("parameter", version));
        }
        Ok(self)
    }

    /// The event with the key.
    ///
    /// # Errors
    ///
    /// A 400 if the event cannot have one.
    pub(super) fn of(self, draft: Draft) -> Result<Draft, Problem> {
        if self.key.is_some() && draft.ttl_s.is_some() {
            let detail = "leave `ttl` out: subscribers would not learn that the key is over; \
                          remove the key when it is";
            return Err(Problem::new(Code::InvalidQuery, detail).with("parameter", "ttl"));
        }
        if self.key.is_some() && draft.kind.ends_topic() {
            let detail = "leave `key` out: the last event of a topic stands for its end";
            return Err(Problem::new(Code::InvalidQuery, detail).with("parameter", "key"));
        }
        Ok(Draft { key: self.key, expected: self.expected.map(Box::new), ..draft })
    }
}

const VERSION_FORM: &str = "the version of a key is the id of its newest event, or `none`";

fn expected(text: &str) -> Option<Expected> {
    match text {
        "none" => Some(Expected::Absent),
        _ => EventId::new(text).ok().filter(|_| !text.is_empty()).map(Expected::Version),
    }
}
