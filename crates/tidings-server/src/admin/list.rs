//! `GET /connections`: the list of subscribers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidings_engine::ConnectionId;
use tidings_http::answer::Answer;
use tidings_http::limits::HUB_MESSAGE_BYTES_MAX;
use tidings_http::present::{Identity, Selection, Subscriber};
use tidings_http::problem::Problem;
use tidings_http::query;
use tidings_http::state::State;
use tidings_hub::Matcher;

use crate::admin::selection::{self, SELECTIONS};
use crate::hubs::question::{self, Question};
use crate::limits::{LISTED_CONNECTIONS, LISTED_CONNECTIONS_MAX};
use crate::request::RequestContext;

/// Part of the list of one hub.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Listed {
    connections: Vec<Value>,
    /// Whether there are more after the last one.
    more: bool,
}

/// `GET /connections`. Requires permission to look.
pub(crate) async fn list(mut context: RequestContext<'_>) -> Result<Answer, Problem> {
    context.require_look()?;
    let selection = selection::take(&mut context)?;
    let limit = context.query.take("limit")?;
    let limit =
        limit.map(|text| query::number("limit", &text, 1, LISTED_CONNECTIONS_MAX)).transpose()?;
    let limit = limit.unwrap_or(LISTED_CONNECTIONS);
    let after = context.query.take("after")?;
    let after = after.map(|text| {
        text.parse::<ConnectionId>().map_err(|error| query::bad_value("after", error.to_string()))
    });
    let after = after.transpose()?;
    context.finish_query(SELECTIONS.into_iter().chain(["limit", "after"]))?;

    let asked = Question::List {
        selection: (&selection).into(),
        after: after.map(|id| id.to_string()),
        limit,
    };
    let (here, others) = tokio::join!(
        listed(context.state, selection, after, limit),
        question::ask(context.state, &asked)
    );
    let elsewhere = others.iter().flat_map(|others| others.by_hub.values());
    let elsewhere = elsewhere.map(|page| Listed::deserialize(page).unwrap_or_default());
    let page = merged(std::iter::once(here).chain(elsewhere).collect(), limit);
    let next = page.connections.last().filter(|_| page.more).map(|last| last["id"].clone());
    let mut body = Map::new();
    body.insert("connections".into(), page.connections.into());
    body.extend(next.map(|next| ("next".to_owned(), next)));
    question::count_in(&mut body, others.as_ref());
    Ok(question::json_answer(body))
}

/// The part of this hub: at most `limit` subscribers, and no more than fit into a message.
pub(crate) async fn listed(
    state: &State,
    selection: Selection,
    after: Option<ConnectionId>,
    limit: usize,
) -> Listed {
    let found = state.present().select(selection, after, limit).await;
    let mut page = Listed { connections: Vec::new(), more: found.len() == limit };
    let mut bytes = 0;
    for one in &found {
        let entry = entry(one);
        bytes += entry.to_string().len();
        if bytes > HUB_MESSAGE_BYTES_MAX / 2 && !page.connections.is_empty() {
            page.more = true;
            break;
        }
        page.connections.push(entry);
    }
    page
}

/// The first `limit` of several lists.
fn merged(pages: Vec<Listed>, limit: usize) -> Listed {
    let id = |entry: &Value| entry["id"].as_str().and_then(|id| id.parse::<ConnectionId>().ok());
    // Where a list stops early, the others may not go further.
    let stops = pages.iter().filter(|page| page.more);
    let stop = stops.filter_map(|page| page.connections.last().and_then(id)).min();
    let mut more = stop.is_some();
    let mut connections: Vec<_> = pages
        .into_iter()
        .flat_map(|page| page.connections)
        .filter(|entry| stop.is_none_or(|stop| id(entry).is_some_and(|id| id <= stop)))
        .collect();
    connections.sort_by_key(id);
    more |= connections.len() > limit;
    connections.truncate(limit);
    Listed { connections, more }
}

fn entry((id, subscriber): &(ConnectionId, Subscriber)) -> Value {
    let topics: Vec<_> = subscriber.interest.wanted().iter().map(Matcher::to_string).collect();
    let mut entry = Map::new();
    entry.insert("id".into(), id.to_string().into());
    let Identity { who, address, .. } = &subscriber.identity;
    for (name, value) in [("sub", &who.subject), ("iss", &who.issuer), ("key", &who.key)] {
        entry.extend(value.as_deref().map(|value| (name.to_owned(), value.into())));
    }
    let session = who.session.as_ref().map(|session| session.id().public());
    entry.extend(session.map(|session| ("session_id".to_owned(), session.into())));
    let address = address.map(|address| address.to_string());
    entry.extend(address.map(|address| ("address".to_owned(), address.into())));
    entry.insert("topics".into(), topics.into());
    entry.insert("since".into(), subscriber.since.rfc3339().into());
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ids: &[&str], more: bool) -> Listed {
        let connections = ids.iter().map(|id| serde_json::json!({ "id": id })).collect();
        Listed { connections, more }
    }

    fn ids(page: &Listed) -> Vec<&str> {
        page.connections.iter().filter_map(|entry| entry["id"].as_str()).collect()
    }

    #[test]
    fn pages_of_several_hubs_leave_out_nobody() {
        let whole = page(&["00000001-1", "00000001-3"], false);
        let cut = page(&["00000000-1", "00000001-2"], true);
        let first = merged(vec![whole, cut], 3);
        assert_eq!(ids(&first), ["00000000-1", "00000001-1", "00000001-2"]);
        assert!(first.more, "1-3 comes after what the second hub may still have");
        let last = merged(vec![page(&["00000001-3"], false), page(&["00000001-a"], false)], 3);
        assert_eq!((ids(&last).len(), last.more), (2, false));
        assert!(merged(vec![page(&["00000001-3", "00000001-4"], false)], 1).more);
    }
}
