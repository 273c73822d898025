//! What a publisher says about its topic as a run: whether the request begins it, and whether the
//! end of the body ends it.

use http::header::{self, HeaderMap};
use tidings_engine::PublishError;
use tidings_http::headers;
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Query};
use tidings_http::state::State;
use tidings_hub::Topic;

use crate::store_problem;

/// What a request says about the run that its topic is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RunTerms {
    /// `If-None-Match: *`: it begins the topic, or nothing is published.
    pub(super) begins: bool,
    /// `?end`: where the body ends well, the topic ends.
    pub(super) ends: bool,
}

impl RunTerms {
    /// # Errors
    ///
    /// A 400 for any other `If-None-Match`, or a flag with a value.
    pub(super) fn take(query: &mut Query<'_>, headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self { begins: begins(headers)?, ends: flag(query, "end")? })
    }

    /// For a request that names no topic in its path.
    ///
    /// # Errors
    ///
    /// A 400 if it says anything about a run.
    pub(super) fn check_unused(self) -> Result<(), Problem> {
        if self.ends {
            let detail = "post to /events/{topic}: `?end` ends the topic in the path";
            return Err(Problem::new(Code::InvalidQuery, detail).with("parameter", "end"));
        }
        if self.begins {
            let detail =
                "post to /events/{topic}: `If-None-Match: *` is about the topic in the path";
            return Err(precondition(detail));
        }
        Ok(())
    }

    /// Whether the topic can be begun, as far as is known before the body is read. The commit
    /// decides.
    ///
    /// # Errors
    ///
    /// A 412 if it has events, or has ended.
    pub(super) async fn check_begins(self, state: &State, topic: &Topic) -> Result<(), Problem> {
        if !self.begins {
            return Ok(());
        }
        let known = state.engine().topic(topic.clone()).await;
        match known.map_err(|error| store_problem::not_read(&error))? {
            None => Ok(()),
            Some(_) => {
                let exists = PublishError::TopicExists { topic: topic.clone() };
                Err(store_problem::not_published(&exists))
            }
        }
    }
}

fn begins(headers: &HeaderMap) -> Result<bool, Problem> {
    if !headers.contains_key(header::IF_NONE_MATCH) {
        return Ok(false);
    }
    match headers::joined(headers, header::IF_NONE_MATCH, ", ").trim() {
        "*" => Ok(true),
        _ => Err(precondition(
            "to publish only if the topic has no events, send `If-None-Match: *`; no other value \
             has a meaning here",
        )),
    }
}

fn precondition(detail: &'static str) -> Problem {
    Problem::new(Code::InvalidParameter, detail).with("header", "If-None-Match")
}

/// Whether the query has this parameter, which has no value.
fn flag(query: &mut Query<'_>, name: &str) -> Result<bool, Problem> {
    match query.take(name)?.as_deref() {
        None => Ok(false),
        Some("") => Ok(true),
        Some(_) => {
            Err(query::bad_value(name, format!("write `{name}` without a value: `?{name}`")))
        }
    }
}
