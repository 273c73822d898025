//! Unknown parameters in the query of an event stream are ignored, unless they look like typing
//! errors.
//!
//! Clients add parameters of their own to a URL, and a browser cannot be configured to leave them
//! out. But a name that is almost one of ours is a mistake: ignoring it would start the stream
//! somewhere else than was meant.

use tidings_http::problem::{Code, Problem};
use tidings_http::query::Query;

use super::start;

/// Parameters of both streams and pages of history, besides the last event id.
const OF_BOTH: [&str; 8] =
    ["topic", "from", "last", "since", "after", start::RESET, "token", "session"];

/// Parameters of streams only.
const OF_STREAMS: [&str; 3] = ["if", "plain", "envelope"];

/// Parameters of pages of history only.
const OF_HISTORY: [&str; 2] = ["limit", "wait"];

/// Parameters that known clients add.
const OF_CLIENTS: [&str; 4] = ["_", "datastar", "stream_mode", "cancel_on_disconnect"];

/// Whether a query has a parameter that only streams have.
pub(super) fn is_of_stream(query: Option<&str>) -> bool {
    let names = query.unwrap_or("").split('&').map(|pair| pair.split('=').next().unwrap_or(pair));
    names.into_iter().any(|name| OF_STREAMS.contains(&name))
}

/// Ignores the remaining parameters of a query.
///
/// # Errors
///
/// A 400 for a probable typing error, which names the parameter that was meant.
pub(super) fn finish(query: &Query<'_>) -> Result<(), Problem> {
    for name in query.names() {
        let refused =
            |detail| Err(Problem::new(Code::InvalidQuery, detail).with("parameter", name));
        if OF_CLIENTS.contains(&name) {
            continue;
        }
        if OF_HISTORY.contains(&name) {
            let detail =
                format!("`{name}` is for pages of history: ask for `Accept: application/json`");
            return refused(detail);
        }
        let mut known = OF_BOTH.iter().chain(&OF_STREAMS).chain(&start::CURSORS);
        if let Some(meant) = known.find(|known| is_slip(name, known)) {
            let detail =
                format!("there is no parameter `{}` here; `{meant}` is one", name.escape_debug());
            return refused(detail);
        }
    }
    Ok(())
}

/// Whether `name` becomes `known` by one edit: a change of case, or one letter inserted, deleted,
/// replaced, or swapped with the next.
fn is_slip(name: &str, known: &str) -> bool {
    if name.eq_ignore_ascii_case(known) {
        return true;
    }
    let (name, known): (Vec<char>, Vec<char>) = (name.chars().collect(), known.chars().collect());
    let same = name.iter().zip(&known).take_while(|(a, b)| a == b).count();
    let (name, known) = (&name[same..], &known[same..]);
    let is_swap =
        || matches!((name, known), ([a, b, x @ ..], [c, d, y @ ..]) if a == d && b == c && x == y);
    match name.len().cmp(&known.len()) {
        std::cmp::Ordering::Less => known.len() == name.len() + 1 && known[1..] == *name,
        std::cmp::Ordering::Greater => name.len() == known.len() + 1 && name[1..] == *known,
        std::cmp::Ordering::Equal => !name.is_empty() && name[1..] == known[1..] || is_swap(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_clients_add_is_ignored() {
        for query in
            ["", "datastar=%7B%7D", "_=1", "stream_mode=a&cancel_on_disconnect=0", "htmx=1", "v=2"]
        {
            assert!(finish(&Query::parse(Some(query)).unwrap()).is_ok(), "{query}");
        }
    }

    #[test]
    fn what_is_almost_a_parameter_is_refused_with_the_one_that_was_meant() {
        for (query, meant) in [
            ("topics=a", "`topic`"),
            ("topc=a", "`topic`"),
            ("tpoic=a", "`topic`"),
            ("form=now", "`from`"),
            ("lst=5", "`last`"),
            ("Since=1h", "`since`"),
            ("lasteventid=x", "`lastEventId`"),
            ("last-event-id=x", "`last_event_id`"),
            ("envelop=json", "`envelope`"),
            ("wait=30s", "`wait`"),
        ] {
            let refused = finish(&Query::parse(Some(query)).unwrap());
            match refused {
                Err(problem) => assert!(problem.detail().contains(meant), "{}", problem.detail()),
                Ok(()) => assert_eq!(query, "last-event-id=x", "two edits"),
            }
        }
    }
}
