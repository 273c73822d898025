use std::sync::Arc;
use std::time::Duration;

use tidings_hub::{Grant, Timestamp};

use crate::auth::who::Who;

/// What became of a question.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// The client may do what the answer says.
    Granted(Arc<Granted>),
    /// It may do nothing.
    Refused,
    /// There is no answer.
    Unavailable(Unavailable),
}

/// A positive answer.
#[derive(Debug)]
pub(crate) struct Granted {
    /// What the client may do, and until when.
    pub(crate) grant: Arc<Grant>,
    pub(crate) who: Arc<Who>,
    /// Time that the answer is good for.
    pub(super) good_for: Duration,
    /// When that is over. (The grant may end later, if the answer counts although it is old.)
    pub(super) good_until: Timestamp,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// The last questions failed, so this one was not asked.
    Open,
    /// Too many questions wait.
    Full,
    /// The backend gave no answer that could be understood, or none in time.
    Failed,
}

impl Unavailable {
    pub(super) const ALL: [Self; 3] = [Self::Open, Self::Full, Self::Failed];

    /// The name in metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "breaker",
            Self::Full => "queue",
            Self::Failed => "failure",
        }
    }
}
