//! What a hub asks the others.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tidings_engine::ConnectionId;
use tidings_http::answer::{self, Answer};
use tidings_http::auth::session::revoked::EndedSession;
use tidings_http::auth::session::told::RenewedSession;
use tidings_http::denials::DenialEntry;
use tidings_http::limits::HUB_MESSAGE_BYTES_MAX;
use tidings_http::problem::{Code, Problem};
use tidings_http::state::State;
use tidings_hub::Topic;

use crate::admin::selection::SpokenSelection;

pub(crate) use tidings_http::hubs::{Answers, HubCount};

/// What one hub asks the others. A hub of an older version does not answer what it does not know.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// The number of subscribers.
    Subscribers,
    /// For each topic, the number of subscribers that an event on it would reach.
    SubscribersOf { topics: Vec<String> },
    /// A part of the list of subscribers.
    List { selection: SpokenSelection, after: Option<String>, limit: usize },
    /// The state of a subscriber; `null` if it is not there.
    Connection { id: String, event: Option<String> },
    /// Close subscribers, after they were denied. Answered with their number.
    Close { selection: SpokenSelection, denial: Option<DenialEntry> },
    /// Close a subscriber. Answered with whether it was there.
    CloseOne { id: String },
    /// End a session, and its streams. Answered once that is recorded.
    EndSession(EndedSession),
    /// Streams of a session have another grant. Answered once those are closed that it does not
    /// cover.
    RenewSession(RenewedSession),
    /// Lift a denial. Answered with whether there was one.
    Lift { selection: SpokenSelection },
}

/// Asks the other hubs; `None` if the log is not shared.
pub(crate) async fn ask(state: &State, question: &Question) -> Option<Answers> {
    Some(state.hubs()?.ask(question).await)
}

/// Asks the hub that has the connection `id`; `None` if there is no such hub.
///
/// # Errors
///
/// A 504 if it does not answer.
pub(crate) async fn ask_owner(
    state: &State,
    id: ConnectionId,
    question: &Question,
) -> Result<Option<Answers>, Problem> {
    if id.run() == state.engine().run() {
        return Ok(None);
    }
    let Some(answers) = ask(state, question).await else { return Ok(None) };
    if answers.silent.contains(&id.run()) {
        let detail = format!(
            "{} of {} hubs have answered; the hub {:08x} has not",
            answers.hubs.answered,
            answers.hubs.known,
            id.run()
        );
        return Err(Problem::new(Code::HubSilent, detail));
    }
    Ok(Some(answers))
}

/// Adds how many hubs an answer is of, if the log is shared.
pub(crate) fn count_in(body: &mut Map<String, Value>, answers: Option<&Answers>) {
    body.extend(answers.map(|answers| ("hubs".to_owned(), json!(answers.hubs))));
}

pub(crate) fn json_answer(body: Map<String, Value>) -> Answer {
    Answer::Response(answer::json(Value::Object(body).to_string().into_bytes()))
}

/// The sums of what this hub and the others count for each of `topics`, and how many hubs that is.
pub(crate) async fn subscribers_of(
    state: &State,
    topics: &[Topic],
) -> (Vec<u64>, Option<HubCount>) {
    let mut sums = state.engine().subscribers_of(topics).await;
    let mut hubs: Option<HubCount> = None;
    let mut begin = 0;
    while begin < topics.len() || (begin == 0 && hubs.is_none()) {
        let part = &topics[begin..begin + fitting(&topics[begin..])];
        let names = part.iter().map(|topic| topic.as_str().to_owned()).collect();
        let question = Question::SubscribersOf { topics: names };
        let Some(answers) = ask(state, &question).await else { break };
        for counts in answers.by_hub.values() {
            let counts = counts.as_array().map(Vec::as_slice).unwrap_or_default();
            let counts = counts.iter().map(|count| count.as_u64().unwrap_or(0));
            sums[begin..].iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        let found = answers.hubs;
        hubs = Some(hubs.filter(|least| least.answered <= found.answered).unwrap_or(found));
        begin += part.len().max(1);
    }
    (sums, hubs)
}

/// The number of topics whose names fit into a message, with room for escapes.
fn fitting(topics: &[Topic]) -> usize {
    let mut bytes = 0;
    let fits = topics.iter().take_while(|topic| {
        bytes += topic.as_str().len() + 4;
        bytes <= HUB_MESSAGE_BYTES_MAX / 8
    });
    fits.count().max(usize::from(!topics.is_empty()))
}
