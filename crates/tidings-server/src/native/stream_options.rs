//! Options of a native event stream: `?plain`, `?envelope=json`, `?if=open`.

use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Query};
use tidings_hub::{ControlStyle, EventForm};

/// The options of one native stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamOptions {
    /// No blocks besides events, for readers that parse every block as one.
    pub(super) is_plain: bool,
    /// Every event becomes a message that names its topic.
    pub(super) has_envelope: bool,
    /// The stream opens only if a topic has begun and not ended.
    pub(super) if_open: bool,
}

impl StreamOptions {
    /// Takes the options out of a query.
    ///
    /// # Errors
    ///
    /// A 400 for unknown values, and for options that exclude each other.
    pub(super) fn take(query: &mut Query<'_>) -> Result<Self, Problem> {
        let is_plain = query.flag("plain")?;
        let has_envelope = one_value(query, "envelope", "json")?;
        let if_open = one_value(query, "if", "open")?;
        if is_plain && has_envelope {
            let detail = "`plain` leaves events as they were published: leave out `envelope`";
            return Err(Problem::new(Code::InvalidQuery, detail));
        }
        Ok(Self { is_plain, has_envelope, if_open })
    }

    pub(super) fn control_style(self) -> ControlStyle {
        if self.is_plain { ControlStyle::Nothing } else { ControlStyle::Native }
    }

    pub(super) fn event_form(self) -> EventForm {
        if self.has_envelope { EventForm::Envelope } else { EventForm::AsPublished }
    }
}

/// Whether the parameter `name`, whose only value is `value`, was given.
fn one_value(query: &mut Query<'_>, name: &str, value: &str) -> Result<bool, Problem> {
    match query.take(name)? {
        None => Ok(false),
        Some(given) if given == value => Ok(true),
        Some(_) => Err(query::bad_value(name, format!("`{name}` can only be `{value}`"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn options(query: &str) -> Result<StreamOptions, Code> {
        let mut query = Query::parse(Some(query)).unwrap();
        StreamOptions::take(&mut query).map_err(|problem| problem.code())
    }

    #[test]
    fn options_are_off_unless_they_are_given() {
        let off = StreamOptions { is_plain: false, has_envelope: false, if_open: false };
        assert_eq!(options(""), Ok(off));
        assert_eq!(
            options("plain&if=open"),
            Ok(StreamOptions { is_plain: true, if_open: true, ..off })
        );
        assert_eq!(options("plain="), Ok(StreamOptions { is_plain: true, ..off }));
        assert_eq!(options("envelope=json"), Ok(StreamOptions { has_envelope: true, ..off }));
    }

    #[test]
    fn values_that_are_not_known_and_contradictions_are_refused() {
        for query in ["plain=1", "envelope", "envelope=xml", "if=closed", "if"] {
            assert_eq!(options(query), Err(Code::InvalidParameter), "{query}");
        }
        for query in ["plain&envelope=json", "plain&plain"] {
            assert_eq!(options(query), Err(Code::InvalidQuery), "{query}");
        }
    }
}
