//! Answers to clients when the store cannot take an event or cannot be read.

use http::header;
use tidings_engine::{Misfit, PublishError};
use tidings_http::problem::{Code, Problem};
use tidings_http::quota;
use tidings_hub::{AppendError, ReadError, with_causes};

use crate::limits::{READ_FAILURE_LOG_PAUSE, STOP_LINGER_MAX, UNDECIDED_RETRY};
use crate::log_limit::LogLimit;

/// The answer to a publisher whose event was not stored. The store has logged why.
pub(crate) fn not_published(error: &PublishError) -> Problem {
    match error {
        PublishError::Stopping => Problem::new(Code::Draining, "publish again in a moment"),
        PublishError::TooManyTopics { topics_max } => Problem::new(
            Code::TooManyTopics,
            "publish to a topic that has events, or wait until retention has dropped another",
        )
        .with("topics_max", *topics_max),
        PublishError::TopicShareFull { topics_max } => Problem::new(
            Code::TooManyTopics,
            "the key of this token has begun as many topics as it may: publish to a topic that has \
             events, or wait until retention has dropped one of them",
        )
        .with("topics_max", *topics_max),
        PublishError::RuleFull { rule } => Problem::new(
            Code::RuleFull,
            "what this rule of retention keeps of other topics and keys takes all its bytes: \
             publish to a topic or a key that has events, remove keys if the rule keeps a state, \
             or ask the operator for more `bytes`",
        )
        .with("rule", &**rule),
        PublishError::IdReused { topic, id, .. } => Problem::new(
            Code::IdReused,
            "give the event another id; to repeat one, repeat all of it: data, type and `retry`",
        )
        .with("topic", topic.as_str())
        .with("id", id.as_str()),
        PublishError::IdErased { topic, id, .. } => Problem::new(
            Code::EventErased,
            "do not publish it again: the event with this id was erased; a new event needs a new \
             id",
        )
        .with("topic", topic.as_str())
        .with("id", id.as_str()),
        PublishError::VersionDiffers { topic, key, current, .. } => Problem::new(
            Code::VersionDiffers,
            "publish again with `current` as `if-version`, once you have looked at that event; \
             with `none` if it is null",
        )
        .with("topic", topic.as_str())
        .with("key", key.as_str())
        .with("current", current.as_ref().map(tidings_hub::EventId::as_str)),
        PublishError::KeyUnknown { topic, key, .. } => Problem::new(
            Code::KeyUnknown,
            "nothing is to be removed: the key has no events, or was removed before",
        )
        .with("topic", topic.as_str())
        .with("key", key.as_str()),
        PublishError::AppendMismatch { topic, key, misfit, .. } => {
            let detail = match misfit {
                Misfit::Elsewhere => {
                    "the value of the key grows at another place: append with the same `at` as \
                     before, or publish the value whole with `key`"
                }
                Misfit::NoString => {
                    "the value of the key has no string at this place: publish it whole with \
                     `key`, with a string there"
                }
                Misfit::Cut => {
                    "retention has dropped the beginning of the value: publish it whole with `key`"
                }
            };
            Problem::new(Code::AppendMismatch, detail)
                .with("topic", topic.as_str())
                .with("key", key.as_str())
        }
        PublishError::ValueFull { topic, key, bytes, bytes_max, .. } => Problem::new(
            Code::ValueFull,
            "with this piece the value of the key would have `size` bytes, and it can have \
             `limit`: publish a shorter value whole with `key`, or begin another key",
        )
        .with("topic", topic.as_str())
        .with("key", key.as_str())
        .with("size", *bytes)
        .with("limit", *bytes_max),
        PublishError::TooManyKeys { keys_max, .. } => Problem::new(
            Code::TooManyKeys,
            "publish with a key that has events, or wait until retention has dropped another",
        )
        .with("keys_max", *keys_max),
        PublishError::TopicEnded { topic } => Problem::new(
            Code::TopicEnded,
            "stop: another client has ended the topic; events after its end are not published",
        )
        .with("topic", topic.as_str())
        .reading_on_for(STOP_LINGER_MAX),
        PublishError::TopicExists { topic } => Problem::new(
            Code::TopicExists,
            "another client has begun the topic: read it, or publish without `If-None-Match`",
        )
        .with("topic", topic.as_str()),
        PublishError::TooManyWills { wills_max } => {
            Problem::new(Code::TooManyWills, "publish without `will`, or again in a moment")
                .with("wills_max", *wills_max)
        }
        PublishError::Store(error) => not_stored(error),
        _ => not_stored_for_good(),
    }
}

fn not_stored(error: &AppendError) -> Problem {
    match error {
        AppendError::Full { .. } => Problem::new(
            Code::StoreFull,
            "the event is not stored; publish again when retention or the operator has made room",
        ),
        AppendError::Away { retry, .. } => {
            let detail = "the event is not stored; publish again in a moment";
            let seconds = quota::retry_after(*retry);
            Problem::new(Code::StoreUnavailable, detail)
                .with_header(header::RETRY_AFTER, seconds.into())
        }
        AppendError::Undecided { .. } => {
            let detail = "it is not known whether the event is stored; publish it again with the \
                          same `id`, which is safe; one without an `id` may then be there twice";
            let seconds = quota::retry_after(UNDECIDED_RETRY);
            Problem::new(Code::StoreUndecided, detail)
                .with_header(header::RETRY_AFTER, seconds.into())
        }
        AppendError::TooLarge { bytes_max, .. } => {
            let detail = format!("events that are stored together have at most {bytes_max} bytes");
            Problem::new(Code::EventTooLarge, detail)
        }
        _ => not_stored_for_good(),
    }
}

fn not_stored_for_good() -> Problem {
    Problem::new(Code::StoreFailed, "the event is not stored; the operator must look at the log")
}

/// The answer to a reader when the store cannot be read.
pub(crate) fn not_read(error: &ReadError) -> Problem {
    static LIMIT: LogLimit = LogLimit::new(READ_FAILURE_LOG_PAUSE);
    if LIMIT.admits() {
        tracing::warn!(reason = with_causes(error), "cannot read the store");
    }
    match error {
        ReadError::Away { retry, .. } => {
            let seconds = quota::retry_after(*retry);
            Problem::new(Code::StoreUnavailable, "try again in a moment")
                .with_header(header::RETRY_AFTER, seconds.into())
        }
        _ => Problem::new(Code::StoreFailed, "try again later; the operator must look at the log"),
    }
}
