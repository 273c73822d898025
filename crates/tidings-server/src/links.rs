//! `POST /links`: a signed link to a part of what the caller may read.

use std::time::Duration;

use http::header::{CACHE_CONTROL, HeaderValue};
use serde_json::json;
use tidings_http::answer::{self, Answer};
use tidings_http::problem::{Code, Problem};
use tidings_http::query;
use tidings_hub::Matcher;

use crate::native::interest::check_count;
use crate::request::RequestContext;

/// Topics and lifetime stand in the query, and there is no body.
pub(crate) fn make(mut context: RequestContext<'_>) -> Result<Answer, Problem> {
    let texts = context.query.take_all("topic");
    let lifetime = context.query.take("for")?;
    context.finish_query(["topic", "for"])?;
    let lifetime = lifetime.as_deref().and_then(query::duration);
    let lifetime = lifetime.filter(|lifetime| *lifetime >= Duration::from_secs(1));
    let lifetime = lifetime.ok_or_else(|| {
        query::bad_value("for", "`for` says for how long, such as 10m; 1s at least".into())
    })?;
    if texts.is_empty() {
        let detail = "say which topics or patterns the link reads, each as `topic=`";
        return Err(Problem::new(Code::InvalidQuery, detail));
    }
    check_count(texts.len(), context.config.matchers_max)?;
    let mut topics = Vec::with_capacity(texts.len());
    for text in &texts {
        let matcher = Matcher::parse(text)
            .map_err(|error| Problem::new(Code::InvalidMatcher, error.to_string()))?;
        topics.push((&**text, matcher));
    }
    let link = context.state.auth().make_link(&context.caller, &topics, lifetime)?;
    let body = json!({
        "link": format!("/events?{}", link.query),
        "topics": texts,
        "expires": link.expires.rfc3339(),
    });
    let mut response = answer::json(body.to_string());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(Answer::Response(response))
}
