//! The key of an event, whether the event is a piece of its value, and what its publisher expects
//! of it: `?key=`, `?append=`, `?at=`, `?if-version=`.

use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Query};
use tidings_hub::{Draft, EventId, Expected, Key, NoString, Piece, Pointer};

/// The names of the parameters.
pub(super) const PARAMETERS: [&str; 4] = ["key", "append", "at", "if-version"];

/// The key of an event, and what its publisher says about it.
#[derive(Default)]
pub(super) struct StateKey {
    pub(super) key: Option<Key>,
    /// Whether the event is added to the value of the key, and where.
    piece: Option<Piece>,
    expected: Option<Expected>,
}

/// The same as text.
#[derive(Clone, Copy, Default)]
pub(super) struct KeyFields<'a> {
    pub(super) key: Option<&'a str>,
    pub(super) append: Option<&'a str>,
    pub(super) at: Option<&'a str>,
    pub(super) version: Option<&'a str>,
}

impl StateKey {
    /// Takes them out of a query.
    ///
    /// # Errors
    ///
    /// A 400 that names the parameter that is wrong, or contradicts another.
    pub(super) fn take(query: &mut Query<'_>) -> Result<Self, Problem> {
        let [key, append, at, version] = PARAMETERS.map(|name| query.take(name));
        let (key, append, at, version) = (key?, append?, at?, version?);
        let fields = KeyFields {
            key: key.as_deref(),
            append: append.as_deref(),
            at: at.as_deref(),
            version: version.as_deref(),
        };
        Self::of_fields(fields, "if-version", query::bad_value)
    }

    /// The same of the members of a line.
    ///
    /// # Errors
    ///
    /// A 400 that names the member.
    pub(super) fn of_line(fields: KeyFields<'_>) -> Result<Self, Problem> {
        let invalid = |field: &'static str, detail: String| {
            Problem::new(Code::InvalidField, detail).with("field", field)
        };
        Self::of_fields(fields, "if_version", invalid)
    }

    /// `version` is what the version is called, and `invalid` the answer to a wrong value.
    fn of_fields(
        KeyFields { key, append, at, version }: KeyFields<'_>,
        version_name: &'static str,
        invalid: impl Fn(&'static str, String) -> Problem,
    ) -> Result<Self, Problem> {
        let both = |name: &'static str, detail: String| {
            Err(Problem::new(Code::InvalidQuery, detail).with("parameter", name))
        };
        let (name, text) = match (key, append) {
            (Some(_), Some(_)) => {
                let detail = "give `key` to publish the value whole, or `append` to add to it";
                return both("append", detail.to_owned());
            }
            (None, Some(text)) => ("append", Some(text)),
            (text, None) => ("key", text),
        };
        if at.is_some() && append.is_none() {
            let detail = "`at` says where in the value a piece is added: give the key as `append`";
            return both("at", detail.to_owned());
        }
        if version.is_some() && text.is_none() {
            let detail = format!(
                "`{version_name}` is about a key: give a `key` or `append`, or leave it out"
            );
            return both(version_name, detail);
        }
        let key = text.map(|text| {
            Key::new(text).map_err(|error| invalid(name, format!("the key in `{name}` {error}")))
        });
        let at = at.map(|text| {
            Pointer::new(text).map_err(|error| {
                invalid("at", format!("`at` is a JSON pointer such as /delta: this one {error}"))
            })
        });
        let expected = version.map(|text| {
            expected(text).ok_or_else(|| invalid(version_name, VERSION_FORM.to_owned()))
        });
        let at = at.transpose()?;
        let piece = append.is_some().then_some(Piece { at, from: 0 });
        Ok(Self { key: key.transpose()?, piece, expected: expected.transpose()? })
    }

    /// Whether the event is added to the value of the key.
    pub(super) fn is_piece(&self) -> bool {
        self.piece.is_some()
    }

    /// The event with the key.
    ///
    /// # Errors
    ///
    /// A 400 if the event cannot have one, a 422 if its data has nothing to add to the value.
    pub(super) fn of(self, draft: Draft) -> Result<Draft, Problem> {
        let name = if self.is_piece() { "append" } else { "key" };
        if self.key.is_some() && draft.ttl_s.is_some() {
            let detail = "leave `ttl` out: subscribers would not learn that the key is over; \
                          remove the key when it is";
            return Err(Problem::new(Code::InvalidQuery, detail).with("parameter", "ttl"));
        }
        if self.key.is_some() && draft.kind.ends_topic() {
            let detail =
                format!("leave `{name}` out: the last event of a topic stands for its end");
            return Err(Problem::new(Code::InvalidQuery, detail).with("parameter", name));
        }
        if let Some(at) = self.piece.as_ref().and_then(|piece| piece.at.as_ref()) {
            at.find(&draft.data).map_err(|error| no_text(at, error))?;
        }
        Ok(Draft {
            key: self.key,
            piece: self.piece.map(Box::new),
            expected: self.expected.map(Box::new),
            ..draft
        })
    }
}

/// The answer to a piece that has nothing to add to its value.
fn no_text(at: &Pointer, error: NoString) -> Problem {
    let detail = match error {
        NoString::NotJson => "with `at`, the data of the event is JSON; this is not",
        NoString::NotThere => {
            "the data of the event has no string at `at` that could be added to the value"
        }
    };
    Problem::new(Code::InvalidPiece, detail).with("at", at.as_str())
}

const VERSION_FORM: &str = "the version of a key is the id of its newest event, or `none`";

fn expected(text: &str) -> Option<Expected> {
    match text {
        "none" => Some(Expected::Absent),
        _ => EventId::new(text).ok().filter(|_| !text.is_empty()).map(Expected::Version),
    }
}
