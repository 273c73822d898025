use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Plus};
use tidings_hub::{Interest, Matcher};

use crate::request::RequestContext;

/// Takes out of a reader's request what it asks for, by the path or by `?topic=`: everything it may
/// read if it names nothing.
///
/// # Errors
///
/// A 400 for what is no matcher, or for too many; a 403 for what the caller may not read, or a 401
/// without a token.
pub(super) fn take(
    context: &mut RequestContext<'_>,
    raw_topic: Option<&str>,
) -> Result<Interest, Problem> {
    let matchers_max = context.config.matchers_max;
    let mut asked = Vec::new();
    if let Some(raw) = raw_topic {
        asked.push(query::decode(raw, Plus::Itself)?);
    }
    asked.extend(context.query.take_all("topic"));
    check_count(asked.len(), matchers_max)?;
    let caller = &context.caller;
    if asked.is_empty() {
        caller.check_reads()?;
        return Ok(caller.interest(caller.readable()));
    }
    let mut wanted = Vec::with_capacity(asked.len());
    for text in asked {
        let matcher = Matcher::parse(&text)
            .map_err(|error| Problem::new(Code::InvalidMatcher, error.to_string()))?;
        caller.check_subscribe(&matcher)?;
        wanted.push(matcher);
    }
    Ok(caller.interest(wanted))
}

/// Checks the number of topics and patterns that one request names.
///
/// # Errors
///
/// A 400 with the maximum.
pub(crate) fn check_count(count: usize, matchers_max: usize) -> Result<(), Problem> {
    if count <= matchers_max {
        return Ok(());
    }
    let detail =
        format!("ask for at most {matchers_max} topics, or for a pattern that covers them");
    Err(query::bad_value("topic", detail).with("matchers_max", matchers_max))
}
