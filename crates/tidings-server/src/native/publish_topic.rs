use tidings_http::auth::Caller;
use tidings_http::problem::{Code, Problem};
use tidings_http::query::{self, Plus};
use tidings_hub::Topic;

/// The topic in a path, which is percent-encoded, if `caller` may publish to it.
///
/// # Errors
///
/// As [`publish_topic`], and a 400 if it cannot be decoded.
pub(super) fn path_topic(caller: &Caller, raw: &str) -> Result<Topic, Problem> {
    publish_topic(caller, &query::decode(raw, Plus::Itself)?)
}

/// The topic `name`, if `caller` may publish to it.
///
/// # Errors
///
/// A 400 if it is not the name of one topic, a 403 if the caller's grant does not cover it.
pub(super) fn publish_topic(caller: &Caller, name: &str) -> Result<Topic, Problem> {
    let topic =
        Topic::new(name).map_err(|error| Problem::new(Code::InvalidTopic, error.to_string()))?;
    if topic.has_wildcard() {
        let detail = "publish to one topic: `*` is for subscribers, and cannot be part of a name";
        return Err(Problem::new(Code::InvalidTopic, detail));
    }
    caller.check_publish(&topic)?;
    Ok(topic)
}
