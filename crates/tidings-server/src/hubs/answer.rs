//! What a hub does with what the others ask and tell.

use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidings_http::denials::{DenialEntry, DenyError};
use tidings_http::hubs::{HubHandler, Hubs};
use tidings_http::limits::DENIALS_TOLD;
use tidings_http::state::State;
use tidings_hub::Topic;
use tokio::sync::Semaphore;

use crate::admin::{close, close_one, describe, listed, selection};
use crate::hubs::question::Question;
use crate::hubs::sessions::{self, SESSIONS};
use crate::limits::{LISTED_CONNECTIONS_MAX, TOPICS_MAX};
use crate::routes::Routes;
use crate::session;

/// What hubs tell each other about denials.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum AboutDenials {
    /// By this a hub finds that another knows something else.
    Digest(String),
    /// What it knows.
    Entries(Vec<DenialEntry>),
}

const DENIALS: &str = "denials";

impl HubHandler for Routes {
    fn asked(self: Arc<Self>, body: Value) -> Pin<Box<dyn Future<Output = Option<Value>> + Send>> {
        Box::pin(async move {
            let question = serde_json::from_value(body).ok()?;
            answer(self.state(), question).await
        })
    }

    fn told(&self, from: u32, subject: &str, body: Value) {
        if subject == DENIALS {
            if let Ok(about) = serde_json::from_value(body) {
                denials_told(self.state(), self.merges(), from, about);
            }
        } else if subject == SESSIONS {
            sessions::told(self.state(), self.merges(), from, body);
        } else if let Some(face) = self.faces().iter().find(|face| face.name() == subject) {
            face.told(self.state(), from, body);
        }
    }

    fn beat(&self) {
        let state = self.state();
        if let Some(hubs) = state.hubs() {
            let digest = AboutDenials::Digest(state.config().denials.digest());
            hubs.tell(None, DENIALS, &digest);
        }
        sessions::beat(state);
        for face in self.faces() {
            face.beat(state);
        }
    }

    fn tell_news(&self) {
        for face in self.faces() {
            face.tell_news(self.state());
        }
    }

    fn left(&self, run: u32) {
        self.state().engine().hub_left(run);
        for face in self.faces() {
            face.hub_left(self.state(), run);
        }
    }
}

/// Runs what goes on between the hubs while a server serves.
pub(crate) async fn run(routes: Arc<Routes>) {
    if let Some(hubs) = routes.state().hubs().cloned() {
        Hubs::run(hubs, routes).await;
    }
}

async fn answer(state: &State, question: Question) -> Option<Value> {
    Some(match question {
        Question::Subscribers => state.engine().status().subscribers.into(),
        Question::SubscribersOf { topics } => {
            let topics = topics.iter().take(TOPICS_MAX).map(|topic| Topic::new(topic.as_str()));
            let topics = topics.collect::<Result<Vec<_>, _>>().ok()?;
            state.engine().subscribers_of(&topics).await.into()
        }
        Question::List { selection, after, limit } => {
            let after = after.map(|id| id.parse()).transpose().ok()?;
            let limit = limit.clamp(1, LISTED_CONNECTIONS_MAX);
            json!(listed(state, selection.heard()?, after, limit).await)
        }
        Question::Connection { id, event } => {
            let described = describe(state, id.parse().ok()?, event).await.ok()?;
            described.unwrap_or(Value::Null)
        }
        Question::Close { selection, denial } => {
            if let Some(denial) = denial {
                merge(state, vec![denial]).await?;
            }
            close(state, selection.heard()?).await.into()
        }
        Question::CloseOne { id } => close_one(state, id.parse().ok()?).await.into(),
        Question::EndSession(ended) => {
            session::end_here(state, vec![ended]).await.ok()?;
            true.into()
        }
        Question::RenewSession(renewed) => {
            session::renew_here(state, &renewed).await;
            true.into()
        }
        Question::Lift { selection } => {
            let denied = selection::denied(&selection.heard()?).ok()?;
            let denials = state.config().denials.clone();
            let lifted = tokio::task::spawn_blocking(move || denials.lift(&denied)).await;
            lifted.ok()?.ok()?.is_some().into()
        }
    })
}

fn denials_told(state: &Arc<State>, merges: &Arc<Semaphore>, from: u32, about: AboutDenials) {
    match about {
        AboutDenials::Digest(digest) => {
            let denials = &state.config().denials;
            let Some(hubs) = state.hubs().filter(|_| digest != denials.digest()) else { return };
            for part in denials.entries().chunks(DENIALS_TOLD) {
                hubs.tell(Some(from), DENIALS, &AboutDenials::Entries(part.to_vec()));
            }
        }
        AboutDenials::Entries(entries) => {
            let Ok(permit) = Arc::clone(merges).try_acquire_owned() else { return };
            let state = Arc::clone(state);
            tokio::spawn(async move {
                let _permit = permit;
                merge(&state, entries).await;
            });
        }
    }
}

/// Takes over denials of another hub, and closes the streams of those that were not denied before.
/// `None` if they could not be recorded.
async fn merge(state: &State, entries: Vec<DenialEntry>) -> Option<()> {
    let denials = state.config().denials.clone();
    let merged = tokio::task::spawn_blocking(move || denials.merge(entries)).await.ok()?;
    match merged {
        Ok(new) => {
            for denied in new {
                close(state, selection::of_denied(denied)).await;
            }
            Some(())
        }
        Err(DenyError::Full) => {
            tracing::error!("there is no room for all denials of the other hubs");
            None
        }
        Err(DenyError::Unwritten(error)) => {
            tracing::error!(%error, "cannot write the denials of the other hubs");
            None
        }
    }
}
