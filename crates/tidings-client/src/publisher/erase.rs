//! Erasing events: `DELETE /events/{topic}?erase`, until the hub says that their bytes are gone.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use http::header::ACCEPT;
use http::{HeaderValue, Request, StatusCode};
use serde::Deserialize;
use tidings_codec::EventId;

use super::error::{Problem, PublishError, not_a_hub, tries};
use super::exchange::{Replay, with_retries_within};
use super::topic_path;
use crate::limits::{ERASE_AGAIN_AFTER, ERASE_ANSWER_WAIT};
use crate::{Body, Cause, Publisher, Refusal};

/// Which events of a topic are to be erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EraseTarget<'a> {
    /// All of them.
    Topic,
    /// The one with this id, as subscribers get it.
    Event(&'a EventId),
    /// Those with this key.
    Key(&'a str),
}

/// What was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erased {
    /// Number of events; 0 if they were erased before.
    pub events: u64,
    /// Whether the call sent the request more than once, because an answer was lost, or said that
    /// the erasure was still under way. Then `events` counts what the last request erased, which
    /// is 0 if an earlier one was carried out before the last one came; and if it was, events of
    /// the topic or key that were published after it are erased, too.
    pub repeated: bool,
    /// What the hub says about copies of the events that are left for now. It does so where several
    /// hubs share a log. Text for people, as a server sent it.
    pub note: Option<String>,
}

/// Why events are not erased, or not known to be. What was erased until then stays erased, and to
/// ask again is safe.
#[derive(Debug)]
#[non_exhaustive]
pub enum EraseError {
    /// The hub rejected the request. The problem's code says why: `event_unknown`, for example.
    Refused(Box<Problem>),
    /// The hub could not be reached. Nothing is erased.
    Unreached {
        /// Why the last try failed.
        cause: Cause,
        /// How often it was tried again.
        retries: u32,
    },
    /// The hub was reached, but did not say whether the events are erased.
    Unanswered {
        /// Why the last try failed.
        cause: Cause,
        /// How often it was tried again.
        retries: u32,
    },
    /// A server that does not speak the hub's API answered with success.
    NotAHub(Box<Refusal>),
}

#[derive(Deserialize)]
struct Said {
    /// Null as long as the erasure is under way.
    erased: Option<u64>,
    note: Option<String>,
}

impl Publisher {
    /// Erases events from the hub's log, and waits until their bytes are gone from its data folder,
    /// however long that takes: a backup that is being made comes first.
    ///
    /// Where several hubs share a log, the folder is that of the hub that answers. The others erase
    /// the events when they follow the log, and what holds the log keeps them until retention drops
    /// them: [`Erased::note`] says so.
    ///
    /// It needs the right `erase` for the topic. A lost answer is asked for again, as often as a
    /// publish is retried.
    ///
    /// Not cancel-safe: dropping the future stops the waiting, but not the erasure.
    ///
    /// # Errors
    ///
    /// [`EraseError`].
    ///
    /// ```no_run
    /// # use tidings_client::{EraseTarget, Publisher};
    /// # async fn run(publisher: Publisher) -> Result<(), tidings_client::EraseError> {
    /// let erased = publisher.erase("users/7", EraseTarget::Topic).await?;
    /// println!("{} events are erased", erased.events);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn erase(&self, topic: &str, target: EraseTarget<'_>) -> Result<Erased, EraseError> {
        // An id or key always has its `=`: without it, an empty one would mean the whole topic.
        let query = match target {
            EraseTarget::Topic => "?erase".to_owned(),
            EraseTarget::Event(id) => format!("?erase={}", topic_path::escaped(id.as_str())),
            EraseTarget::Key(key) => format!("?key={}&erase", topic_path::escaped(key)),
        };
        let path = topic_path::of_run(topic, &[]) + &query;
        let requests = AtomicU32::new(0);
        let request = || {
            requests.fetch_add(1, Ordering::Relaxed);
            self.erase_request(&path)
        };
        // The hub itself waits before it says that the erasure is still under way.
        let wait_max = self.inner.answer_wait_max + ERASE_ANSWER_WAIT;
        loop {
            let answer = with_retries_within(self, Replay::Safe, wait_max, request).await;
            let answer = answer.map_err(EraseError::from_publish)?;
            let said = serde_json::from_slice(&answer.body).ok();
            match said {
                Some(Said { erased: Some(events), note }) => {
                    let repeated = requests.load(Ordering::Relaxed) > 1;
                    return Ok(Erased { events, repeated, note });
                }
                Some(Said { erased: None, .. }) if answer.status == StatusCode::ACCEPTED => {}
                _ => return Err(EraseError::from_publish(answer.not_understood())),
            }
            tokio::time::sleep(ERASE_AGAIN_AFTER).await;
        }
    }

    fn erase_request(&self, path: &str) -> Request<Body> {
        let mut request = self.delete_request(path);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        request
    }
}

impl EraseError {
    /// The hub's problem, if it rejected the request.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    fn from_publish(error: PublishError) -> Self {
        match error {
            PublishError::Refused(problem) => Self::Refused(problem),
            PublishError::Unreached { cause, retries } => Self::Unreached { cause, retries },
            PublishError::Unanswered { cause, retries } => Self::Unanswered { cause, retries },
            PublishError::NotAHub(refusal) => Self::NotAHub(refusal),
            PublishError::AlreadyFailed => unreachable!("only a stream of events says this"),
        }
    }
}

impl fmt::Display for EraseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(_) => f.write_str("the hub rejected the request"),
            Self::Unreached { retries, .. } => {
                f.write_str("the hub cannot be reached")?;
                tries(f, *retries)
            }
            Self::Unanswered { retries, .. } => {
                f.write_str("the hub did not say whether the events are erased")?;
                tries(f, *retries)
            }
            Self::NotAHub(refusal) => not_a_hub(f, refusal),
        }
    }
}

impl Error for EraseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(problem) => Some(&**problem),
            Self::Unreached { cause, .. } | Self::Unanswered { cause, .. } => Some(cause),
            Self::NotAHub(_) => None,
        }
    }
}
