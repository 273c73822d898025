//! What else may be in the query of an event stream: anything that is no slip.
//!
//! Clients add parameters of their own to the URL they are given, and a browser cannot be asked to
//! leave one out. A parameter that is almost one of ours is a slip all the same: ignoring it would
//! begin the stream at another place than was meant.

use tidings_http::problem::{Code, Problem};
use tidings_http::query::Query;

use super::start;

/// Parameters that streams have as pages of history do, beside the spellings of the last event id.
const OF_BOTH: [&str; 6] = ["topic", "from", "last", "since", "after", "token"];

/// Parameters that only streams have.
const OF_STREAMS: [&str; 3] = ["if", "plain", "envelope"];

/// Parameters of the same URL where it is read as JSON.
const OF_HISTORY: [&str; 2] = ["limit", "wait"];

/// What known clients add.
const OF_CLIENTS: [&str; 4] = ["_", "datastar", "stream_mode", "cancel_on_disconnect"];

/// Whether a query asks for what only an event stream can be.
pub(super) fn is_of_stream(query: Option<&str>) -> bool {
    let names = query.unwrap_or("").split('&').map(|pair| pair.split('=').next().unwrap_or(pair));
    names.into_iter().any(|name| OF_STREAMS.contains(&name))
}

/// Takes what is left of a query for none of the hub's business.
///
/// # Errors
///
/// A 400 that names the parameter that was meant.
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

/// Whether `name` becomes `known` by one edit: another case, or a letter more, less, other, or two
/// in the wrong order.
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
