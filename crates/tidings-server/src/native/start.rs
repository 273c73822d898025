//! The start of a read: `Last-Event-ID`, `?from=`, `?last=`, `?since=`, `?after=`.

use std::borrow::Cow;

use http::header::HeaderMap;
use tidings_http::clock;
use tidings_http::headers::{self, LAST_EVENT_ID};
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Query};
use tidings_hub::{Start, Timestamp};

use crate::limits::LAST_MAX;

/// Takes the id of the client's last event out of a request; `None` if there is none.
///
/// It overrides the start in the query ([`take`]): a client that reconnects sends the id with its
/// original URL, and one that cannot set headers appends it to that URL. The id can be any text
/// that was once in a stream, so no value is an error here. The header overrides the query.
///
/// # Errors
///
/// A 400 if a parameter is repeated.
pub(super) fn cursor(query: &mut Query<'_>, headers: &HeaderMap) -> Result<Option<Start>, Problem> {
    let header = headers.get(LAST_EVENT_ID).map(headers::event_id);
    let mut cursor = header.filter(|id| !id.is_empty());
    for name in CURSORS {
        let given = query.take(name)?.filter(|id| !id.is_empty());
        cursor = cursor.or(given.map(|id| Cow::Owned(id.into_owned())));
    }
    Ok(cursor.map(|id| Start::After(id.into_owned())))
}

/// The names that clients use for the last event id in a query.
pub(super) const CURSORS: [&str; 3] = ["lastEventId", "last_event_id", "lastEventID"];

/// Takes the start out of a query; `None` if it names none.
///
/// # Errors
///
/// A 400 for an invalid value, or for two parameters that contradict each other.
pub(super) fn take(query: &mut Query<'_>) -> Result<Option<Start>, Problem> {
    let from = query.take("from")?;
    let after = query.take("after")?.filter(|id| !id.is_empty());
    let last = query.take("last")?;
    let since = query.take("since")?;
    let is_state = from.as_deref() == Some("state");
    if is_state && last.is_none() && since.is_none() {
        return Ok(Some(Start::State(after.map(Cow::into_owned))));
    }
    let given = [from.is_some(), after.is_some(), last.is_some(), since.is_some()];
    if given.iter().filter(|given| **given).count() > 1 {
        return Err(Problem::new(
            Code::InvalidQuery,
            "give only one of `from`, `after`, `last` and `since`",
        ));
    }
    let start = if let Some(from) = from {
        Some(match &*from {
            "start" => Start::Earliest,
            "now" => Start::Live,
            "" => {
                let detail = "`from` is `start`, `now`, `state` or the id of an event".to_owned();
                return Err(query::bad_value("from", detail));
            }
            _ => Start::After(from.into_owned()),
        })
    } else if let Some(id) = after {
        Some(Start::After(id.into_owned()))
    } else if let Some(count) = last {
        Some(Start::Last(query::number("last", &count, 0, LAST_MAX)?))
    } else if let Some(moment) = since {
        Some(Start::Since(self::moment(&moment)?))
    } else {
        None
    };
    Ok(start)
}

/// Takes out of a query whether a reader that has missed something wants the state instead.
///
/// # Errors
///
/// A 400 for another value.
pub(super) fn wants_state(query: &mut Query<'_>) -> Result<bool, Problem> {
    match query.take(RESET)?.as_deref() {
        None => Ok(false),
        Some("state") => Ok(true),
        Some(_) => Err(query::bad_value(RESET, "`reset` is `state`, or is left out".to_owned())),
    }
}

/// The parameter of [`wants_state`].
pub(super) const RESET: &str = "reset";

/// The start of a reader with this cursor and start; `None` if it has neither. With `wants_state`,
/// one that has missed something gets the state.
pub(super) fn of(cursor: Option<Start>, start: Option<Start>, wants_state: bool) -> Option<Start> {
    match (cursor, start) {
        // Where a state is asked for, the cursor says what the reader has of it.
        (Some(Start::After(id)), Some(Start::State(_))) => Some(Start::State(Some(id))),
        (cursor, start) => match cursor.or(start) {
            Some(Start::After(id)) if wants_state => Some(Start::AfterOrState(id)),
            start => start,
        },
    }
}

/// A time: absolute (`2026-10-12T08:00:00Z`), or a duration before now (`10m`).
fn moment(text: &str) -> Result<Timestamp, Problem> {
    if let Some(ago) = query::duration(text) {
        let ago = ago.as_millis().try_into().unwrap_or(u64::MAX);
        return Ok(Timestamp::from_millis(clock::now().as_millis().saturating_sub(ago)));
    }
    // A `+` that was not percent-encoded has become a space.
    let parsed: Result<jiff::Timestamp, _> = text.replace(' ', "+").parse();
    let moment = parsed.map_err(|_| {
        query::bad_value(
            "since",
            "`since` is a time such as 2026-10-12T08:00:00Z, or a duration before now such as 10m"
                .into(),
        )
    })?;
    Ok(Timestamp::from_millis(moment.as_millisecond().try_into().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn start(query: &str, header: &str) -> Result<Option<Start>, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert("last-event-id", http::HeaderValue::from_bytes(header.as_bytes()).unwrap());
        let mut query = Query::parse(Some(query)).unwrap();
        Ok(cursor(&mut query, &headers)?.or(take(&mut query)?))
    }

    #[test]
    fn the_header_wins_unless_it_is_empty() {
        assert_eq!(start("after=x", "y").unwrap(), Some(Start::After("y".into())));
        assert_eq!(start("after=x", "").unwrap(), Some(Start::After("x".into())));
        assert_eq!(start("after=", "").unwrap(), None);
        assert_eq!(start("last=3", "ü").unwrap(), Some(Start::After("ü".into())));
    }

    #[test]
    fn an_id_in_the_query_wins_over_where_the_url_began() {
        for name in CURSORS {
            let after = Some(Start::After("x".into()));
            for began in ["last=5", "since=1h", "from=start", "after=y"] {
                assert_eq!(start(&format!("{began}&{name}=x"), "").unwrap(), after);
            }
            assert_eq!(start(&format!("{name}=x"), "y").unwrap(), Some(Start::After("y".into())));
            assert_eq!(start(&format!("last=5&{name}="), "").unwrap(), Some(Start::Last(5)));
        }
    }

    #[test]
    fn from_is_a_word_or_an_id() {
        assert_eq!(start("from=start", "").unwrap(), Some(Start::Earliest));
        assert_eq!(start("from=now", "").unwrap(), Some(Start::Live));
        assert_eq!(start("from=k7q2ma:7", "").unwrap(), Some(Start::After("k7q2ma:7".into())));
        assert_eq!(start("from=", "").unwrap_err().code(), Code::InvalidParameter);
        assert_eq!(start("from=now&last=1", "").unwrap_err().code(), Code::InvalidQuery);
    }

    #[test]
    fn a_moment_is_a_time_or_a_while_ago() {
        let at = Timestamp::from_millis(1_000);
        for text in
            ["1970-01-01T00:00:01Z", "1970-01-01T01:00:01+01:00", "1970-01-01T01:00:01%2B01:00"]
        {
            assert_eq!(
                start(&format!("since={text}"), "").unwrap(),
                Some(Start::Since(at)),
                "{text}"
            );
        }
        let before = clock::now();
        let Some(Start::Since(moment)) = start("since=1h", "").unwrap() else {
            panic!("a moment");
        };
        assert!(moment.as_millis() + 3_600_000 >= before.as_millis());
    }

    #[test]
    fn nonsense_and_contradictions_are_refused() {
        for query in
            ["last=", "last=-1", "last=x", "last=10001", "since=yesterday", "since=", "since=5"]
        {
            assert_eq!(start(query, "").unwrap_err().code(), Code::InvalidParameter, "{query}");
        }
        assert_eq!(start("last=1&since=1h", "").unwrap_err().code(), Code::InvalidQuery);
    }
}
