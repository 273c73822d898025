//! `GET /topics`: the topics that have events.

use serde::Serialize;
use tidings_http::answer::{self, Answer};
use tidings_http::auth::Caller;
use tidings_http::problem::Problem;
use tidings_http::query;
use tidings_hub::{Matcher, Topic};

use crate::hubs::question::{self, HubCount};
use crate::limits::{TOPICS, TOPICS_MAX};
use crate::request::RequestContext;
use crate::store_problem;

#[derive(Serialize)]
struct Topics<'a> {
    topics: Vec<Entry<'a>>,
    /// Where the next page begins; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
    /// The hubs of a shared log whose subscribers are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    hubs: Option<HubCount>,
}

#[derive(Serialize)]
struct Entry<'a> {
    topic: &'a str,
    events: u64,
    /// Bytes that they take in the log.
    bytes: u64,
    /// Number of keys that have a value.
    keys: u64,
    first_id: String,
    last_id: String,
    ended: bool,
    /// The rule of retention that its events fall under, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// Number of subscribers that an event published on it here would reach now.
    subscribers: u64,
}

pub(crate) async fn topics(mut context: RequestContext<'_>) -> Result<Answer, Problem> {
    let prefix = context.query.take("prefix")?.unwrap_or_default();
    let after = context.query.take("after")?;
    let limit = context.query.take("limit")?;
    context.finish_query(["prefix", "after", "limit"])?;
    let limit = limit.map(|text| query::number("limit", &text, 1, TOPICS_MAX)).transpose()?;
    let limit = limit.unwrap_or(TOPICS);
    let after = after.map(|text| {
        Topic::new(&text).map_err(|error| query::bad_value("after", error.to_string()))
    });
    let after = after.transpose()?;

    let RequestContext { state, caller, .. } = context;
    let states = state.engine().topics(prefix.into_owned(), after, limit).await;
    let states = states.map_err(|error| store_problem::not_read(&error))?;
    // A page may be shorter than `limit` because of topics that the caller may not see; the list
    // never ends early.
    let next = states.last().filter(|_| states.len() == limit).map(|state| state.topic.as_str());
    let visible: Vec<_> = states.iter().filter(|known| may_see(&caller, &known.topic)).collect();
    let names: Vec<_> = visible.iter().map(|known| known.topic.clone()).collect();
    let (subscribers, hubs) = question::subscribers_of(state, &names).await;
    let ends = visible.iter().flat_map(|known| [known.first, known.last]).collect();
    let ends = state.engine().event_ids(ends).await;
    let entries = visible.into_iter().zip(ends.chunks_exact(2)).zip(subscribers);
    let topics = entries.map(|((known, ends), subscribers)| Entry {
        topic: known.topic.as_str(),
        events: known.records,
        bytes: known.bytes,
        keys: state.engine().keys_of(&known.topic),
        first_id: ends[0].to_string(),
        last_id: ends[1].to_string(),
        ended: known.ended,
        rule: state.engine().rule_of(&known.topic).map(|rule| rule.to_string()),
        subscribers,
    });
    let topics = topics.collect();
    let body = serde_json::to_vec(&Topics { topics, next, hubs }).expect("texts and numbers only");
    Ok(Answer::Response(answer::json(body)))
}

fn may_see(caller: &Caller, topic: &Topic) -> bool {
    caller.may_subscribe(&Matcher::Exact(topic.clone()))
}
