//! The terms of a run: whether a request begins its topic, whether the end of the body ends it, and
//! which event ends it if the publisher is lost.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{self, HeaderMap};
use tidings_engine::{LastWill, OpenWill, PublishError};
use tidings_http::headers;
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Query};
use tidings_http::state::State;
use tidings_hub::{Draft, Topic};

use super::fields::{Drafter, take_ttl};
use super::publish_request::PublishRequest;
use crate::limits::{WILL_BYTES_MAX, WILL_LOST, WILL_LOST_RANGE};
use crate::request::RequestContext;
use crate::store_problem;

/// The terms of one request.
#[derive(Debug)]
pub(super) struct RunTerms<'a> {
    /// `If-None-Match: *`: the request begins the topic, or publishes nothing.
    pub(super) begins: bool,
    /// `?end`: the topic ends with the body, if that is complete.
    pub(super) ends: bool,
    /// `?will=`: the event that ends the topic if its publisher is lost.
    will: Option<WillTerms<'a>>,
}

/// A last will in a query.
#[derive(Debug)]
struct WillTerms<'a> {
    event_type: Option<Cow<'a, str>>,
    data: Cow<'a, str>,
    lost: Duration,
}

/// Their parameters.
pub(super) const PARAMETERS: [&str; 4] = ["end", "will", "will-event", "lost"];

impl<'a> RunTerms<'a> {
    /// # Errors
    ///
    /// A 400 for any other `If-None-Match`, or a flag with a value.
    pub(super) fn take(query: &mut Query<'a>, headers: &HeaderMap) -> Result<Self, Problem> {
        let (begins, ends) = (begins(headers)?, query.flag("end")?);
        let will = WillTerms::take(query)?;
        if will.is_some() && !ends {
            let detail = "add `end`: a last will is for a topic that ends with the body";
            return Err(Problem::new(Code::InvalidQuery, detail).with("parameter", "will"));
        }
        Ok(Self { begins, ends, will })
    }

    /// The terms of a request with several events, and a drafter for these; its query has no other
    /// parameters.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take), and a 400 for a bad time to live or any other parameter.
    pub(super) fn take_for_several(
        context: &mut RequestContext<'a>,
    ) -> Result<(Self, Drafter), Problem> {
        let terms = Self::take(&mut context.query, &context.parts.headers)?;
        let ttl_s = take_ttl(&mut context.query)?;
        context.finish_query(PARAMETERS.into_iter().chain(["ttl"]))?;
        let epoch = context.state.engine().epoch();
        Ok((terms, Drafter::new(epoch).with_ttl(ttl_s)))
    }

    /// For a request that names no topic in its path.
    ///
    /// # Errors
    ///
    /// A 400 if it has any terms.
    pub(super) fn check_unused(&self) -> Result<(), Problem> {
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

    /// Rejects a request to begin a topic that exists before its body is read. It is only a first
    /// check; the commit decides.
    ///
    /// # Errors
    ///
    /// A 412 if it has events, or has ended.
    pub(super) async fn check_begins(&self, state: &State, topic: &Topic) -> Result<(), Problem> {
        if !self.begins {
            return Ok(());
        }
        // Few requests have terms, and the futures of the others have no room for them.
        let known = Box::pin(state.engine().topic(topic.clone())).await;
        match known.map_err(|error| store_problem::not_read(&error))? {
            None => Ok(()),
            Some(_) => {
                let exists = PublishError::TopicExists { topic: topic.clone() };
                Err(store_problem::not_published(&exists))
            }
        }
    }
}

impl RunTerms<'_> {
    /// Leaves the will, if there is one, for `topic`.
    ///
    /// # Errors
    ///
    /// A 400 if the will is not a valid event, a 503 if it cannot be kept.
    pub(super) async fn leave_will(
        &self,
        request: &PublishRequest<'_>,
        topic: &Topic,
    ) -> Result<Option<OpenWill>, Problem> {
        let Some(WillTerms { event_type, data, lost }) = &self.will else { return Ok(None) };
        let mut drafter = Drafter::new(request.context.state.engine().epoch());
        let data = data.as_ref().into();
        let draft = drafter.draft(topic.clone(), event_type.as_deref(), None, None, data)?;
        request.allowance.charge(std::slice::from_ref(&draft));
        let Draft { topic, event_type, data, .. } = draft;
        let will = LastWill { topic, event_type, data, patience: *lost };
        let engine = request.engine();
        let left = Box::pin(engine.leave_will(will)).await;
        left.map(Some).map_err(|error| store_problem::not_published(&error))
    }
}

impl<'a> WillTerms<'a> {
    fn take(query: &mut Query<'a>) -> Result<Option<Self>, Problem> {
        let (data, event_type) = (query.take("will")?, query.take("will-event")?);
        let lost = query.take("lost")?;
        let Some(data) = data else {
            let Some(name) = event_type.map(|_| "will-event").or(lost.map(|_| "lost")) else {
                return Ok(None);
            };
            let detail = format!("`{name}` has a meaning only together with `will`");
            return Err(Problem::new(Code::InvalidQuery, detail).with("parameter", name));
        };
        if data.len() > WILL_BYTES_MAX {
            let detail = format!("a last will can have at most {WILL_BYTES_MAX} bytes");
            return Err(query::bad_value("will", detail));
        }
        let lost = match lost.as_deref() {
            None => WILL_LOST,
            Some(text) => query::duration(text)
                .filter(|lost| WILL_LOST_RANGE.contains(lost))
                .ok_or_else(|| {
                    let detail = "`lost` is a duration from 100ms to 24h, such as `30s`";
                    query::bad_value("lost", detail.into())
                })?,
        };
        Ok(Some(Self { event_type, data, lost }))
    }
}

/// Settles a will once its publisher has its answer. A publisher that was rejected because the
/// topic is another's was not lost; any other failure counts as a loss.
pub(super) fn settle(will: Option<OpenWill>, problem: Option<&Problem>) {
    let Some(will) = will else { return };
    match problem.map(Problem::code) {
        None => will.done(),
        Some(Code::TopicEnded | Code::TopicExists) => will.withdraw(),
        Some(_) => drop(will),
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
