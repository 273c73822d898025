use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What one hub says to the others.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Message {
    /// The run of the hub that says it.
    pub(super) from: u32,
    /// The run of the only hub that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<u32>,
    #[serde(flatten)]
    pub(super) content: Content,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Content {
    /// It is there.
    Beat,
    /// It leaves.
    Gone,
    /// A question, with a number that only its sender understands.
    Ask { question: u64, body: Value },
    /// The answer to a question.
    Answer { question: u64, body: Value },
    /// News about a subject.
    Tell { subject: Box<str>, body: Value },
}
