//! Validation of a publisher's event fields.

use std::borrow::Cow;
use std::num::NonZeroU32;

use tidings_http::event_retry;
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Query};
use tidings_http::sendable_id;
use tidings_hub::{Draft, Epoch, EventId, EventIdForm, EventType, Topic};

use crate::limits::{FIELD_BYTES_MAX, TTL_RANGE};

/// Makes drafts from the input of one publisher. It keeps the last event type, which often repeats.
pub(super) struct Drafter {
    epoch: Epoch,
    last_type: Option<EventType>,
    /// The time to live of its events, in seconds.
    ttl_s: Option<NonZeroU32>,
}

impl Drafter {
    /// A drafter for the log named `epoch`.
    pub(super) fn new(epoch: Epoch) -> Self {
        Self { epoch, last_type: None, ttl_s: None }
    }

    /// Gives its events this time to live.
    pub(super) fn with_ttl(self, ttl_s: Option<NonZeroU32>) -> Self {
        Self { ttl_s, ..self }
    }

    /// An event on `topic`. With an id, publishing it again changes nothing.
    ///
    /// # Errors
    ///
    /// A 400 that names the field.
    pub(super) fn draft(
        &mut self,
        topic: Topic,
        event_type: Option<&str>,
        id: Option<&str>,
        retry_ms: Option<u64>,
        data: Box<str>,
    ) -> Result<Draft, Problem> {
        if data.contains('\0') {
            return Err(invalid(
                "data",
                "an event cannot contain NUL: encode it, as in JSON `\\u0000`",
            ));
        }
        let id = id.map(|id| event_id(id, self.epoch)).transpose()?;
        Ok(Draft {
            event_type: event_type.map(|text| self.event_type(text)).transpose()?,
            once: id.is_some(),
            id,
            retry_ms: retry_ms.map(event_retry::bounded),
            ttl_s: self.ttl_s,
            ..Draft::new(topic, data)
        })
    }

    fn event_type(&mut self, text: &str) -> Result<EventType, Problem> {
        match &self.last_type {
            Some(last) if last.as_str() == text => Ok(last.clone()),
            _ => {
                let event_type = event_type(text)?;
                self.last_type = Some(event_type.clone());
                Ok(event_type)
            }
        }
    }
}

/// The fields in the query of a request whose body is the data of one event.
pub(super) struct QueryFields<'a> {
    event_type: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    retry_ms: Option<u64>,
}

impl<'a> QueryFields<'a> {
    /// # Errors
    ///
    /// A 400 if one is repeated, or `retry` is not a number.
    pub(super) fn take(query: &mut Query<'a>) -> Result<Self, Problem> {
        let (event_type, id) = (query.take("event")?, query.take("id")?);
        let retry_ms = query.take("retry")?.map(|text| retry_ms(&text)).transpose()?;
        Ok(Self { event_type, id, retry_ms })
    }

    /// The name of a field that was given, if any.
    pub(super) fn any(&self) -> Option<&'static str> {
        let given = [
            ("event", self.event_type.is_some()),
            ("id", self.id.is_some()),
            ("retry", self.retry_ms.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(name, _)| name)
    }

    /// The event on `topic` with `body` as its data.
    ///
    /// # Errors
    ///
    /// A 400 that names the field, or says where the body is not UTF-8.
    pub(super) fn draft(&self, epoch: Epoch, topic: Topic, body: &[u8]) -> Result<Draft, Problem> {
        let data = str::from_utf8(body).map_err(|error| {
            let detail = "the body must be UTF-8 text; encode other bytes as text";
            Problem::new(Code::InvalidUtf8, detail).with("at", error.valid_up_to())
        })?;
        let (event_type, id) = (self.event_type.as_deref(), self.id.as_deref());
        Drafter::new(epoch).draft(topic, event_type, id, self.retry_ms, data.into())
    }
}

fn retry_ms(text: &str) -> Result<u64, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| {
        query::bad_value("retry", "`retry` is a whole number of milliseconds".into())
    })
}

/// The time to live that `text` says, in seconds; `None` if it is no such time.
fn ttl_s(text: &str) -> Option<NonZeroU32> {
    let ttl = query::duration(text).filter(|ttl| TTL_RANGE.contains(ttl))?;
    let ttl_s = u32::try_from(ttl.as_millis().div_ceil(1000)).ok()?;
    NonZeroU32::new(ttl_s)
}

/// What [`ttl_s`] takes.
const TTL_FORM: &str = "`ttl` is a duration from 1s to 366d, such as `5m`";

/// The time to live in a query.
pub(super) fn take_ttl(query: &mut Query<'_>) -> Result<Option<NonZeroU32>, Problem> {
    let Some(text) = query.take("ttl")? else { return Ok(None) };
    ttl_s(&text).map(Some).ok_or_else(|| query::bad_value("ttl", TTL_FORM.into()))
}

/// The same in a line.
pub(super) fn ttl_of_line(text: &str) -> Result<NonZeroU32, Problem> {
    ttl_s(text).ok_or_else(|| invalid("ttl", TTL_FORM))
}

/// The prefix of event types that are reserved for the hub's own events.
pub(super) const RESERVED_PREFIX: &str = "tidings.";

fn event_type(text: &str) -> Result<EventType, Problem> {
    check_length("event", text)?;
    if text.starts_with(RESERVED_PREFIX) {
        return Err(invalid("event", "types that begin with `tidings.` are reserved for the hub"));
    }
    EventType::new(text).map_err(|error| invalid("event", format!("the event type {error}")))
}

fn event_id(text: &str, epoch: Epoch) -> Result<EventId, Problem> {
    check_length("id", text)?;
    let id = EventId::new(text).map_err(|error| invalid("id", format!("the id {error}")))?;
    if let Some(problem) = sendable_id::problem(text) {
        return Err(invalid("id", problem));
    }
    if matches!(EventIdForm::of(text, epoch), EventIdForm::Ours(_)) {
        return Err(invalid(
            "id",
            "this id has the form of the hub's own ids; choose another or none",
        ));
    }
    Ok(id)
}

fn check_length(name: &'static str, text: &str) -> Result<(), Problem> {
    if text.len() <= FIELD_BYTES_MAX {
        return Ok(());
    }
    Err(invalid(name, format!("`{name}` can have at most {FIELD_BYTES_MAX} bytes")))
}

fn invalid(name: &'static str, detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(Code::InvalidField, detail).with("field", name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn draft(event_type: Option<&str>, id: Option<&str>) -> Result<Draft, Problem> {
        let epoch = Epoch::parse("k7q2ma").unwrap();
        let topic = Topic::new("a").unwrap();
        Drafter::new(epoch).draft(topic, event_type, id, None, "x".into())
    }

    #[test]
    fn a_time_to_live_is_a_duration_of_a_second_to_a_year_in_whole_seconds() {
        for (text, expected) in [
            ("1s", Some(1)),
            ("1s1ms", Some(2)),
            ("5m", Some(300)),
            ("366d", Some(366 * 86_400)),
            ("366d1ms", None),
            ("999ms", None),
            ("0s", None),
            ("", None),
            ("5", None),
            ("-5m", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(ttl_s(text).map(NonZeroU32::get), expected, "{text:?}");
        }
    }

    #[test]
    fn an_id_makes_a_publish_repeatable() {
        assert!(draft(None, Some("order-17")).unwrap().once);
        assert!(!draft(None, None).unwrap().once);
    }

    #[test]
    fn a_field_that_would_break_a_stream_or_a_resume_is_rejected() {
        let long = "x".repeat(FIELD_BYTES_MAX + 1);
        for id in ["", "a\nb", "a\rb", "a\0b", "a\u{1}b", " a", "a ", "k7q2ma:5", &long] {
            assert_eq!(draft(None, Some(id)).unwrap_err().code(), Code::InvalidField, "{id:?}");
        }
        for event_type in ["", "a\nb", "a\rb", "a\0b", "tidings.reset", &long] {
            let refused = draft(Some(event_type), None).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidField, "{event_type:?}");
        }
        assert!(draft(Some("tidings"), Some("zzzzzz:5")).is_ok());
    }
}
