//! What hubs tell each other about sessions that were ended before their time.
//!
//! A hub tells each end at once, by a question. The others tell what they know to a hub that did
//! not hear it, because it was away or is new: its digest differs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidings_http::auth::session::revoked::{EndedSession, RevokedSessions};
use tidings_http::limits::SESSIONS_TOLD;
use tidings_http::state::State;
use tokio::sync::Semaphore;

use crate::session;

/// The subject of these messages.
pub(super) const SESSIONS: &str = "sessions";

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum AboutSessions {
    /// By this a hub finds that another knows something else.
    Digest(String),
    /// What it knows.
    Entries(Vec<EndedSession>),
}

/// Tells what must have arrived at some time.
pub(super) fn beat(state: &State) {
    if let (Some(hubs), Some(revoked)) = (state.hubs(), revoked(state)) {
        hubs.tell(None, SESSIONS, &AboutSessions::Digest(revoked.digest()));
    }
}

/// The hub `from` told something.
pub(super) fn told(state: &Arc<State>, merges: &Arc<Semaphore>, from: u32, body: Value) {
    let (Ok(about), Some(revoked)) = (serde_json::from_value(body), revoked(state)) else { return };
    match about {
        AboutSessions::Digest(digest) => {
            let Some(hubs) = state.hubs().filter(|_| digest != revoked.digest()) else { return };
            for part in revoked.entries().chunks(SESSIONS_TOLD) {
                hubs.tell(Some(from), SESSIONS, &AboutSessions::Entries(part.to_vec()));
            }
        }
        AboutSessions::Entries(entries) => {
            let Ok(permit) = Arc::clone(merges).try_acquire_owned() else { return };
            let state = Arc::clone(state);
            tokio::spawn(async move {
                let _permit = permit;
                if let Err(problem) = session::end_here(&state, entries).await {
                    let why = problem.detail();
                    tracing::error!(why, "sessions that ended at other hubs go on at this one");
                }
            });
        }
    }
}

/// `None` without sessions.
fn revoked(state: &State) -> Option<&RevokedSessions> {
    Some(state.auth().sessions().ok()?.revoked())
}
