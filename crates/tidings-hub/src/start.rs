//! Where a subscriber asks to start, and the answer it gets.

use crate::position::Position;
use crate::timestamp::Timestamp;

/// Where a subscriber asks to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next event.
    Live,
    /// After the event with this id. Any text: a client sends back what it was given, or makes it
    /// up.
    ///
    /// If several events have the id, it is the oldest one on a topic that is asked for; if none of
    /// them is on such a topic, the oldest one of all. So nothing is lost, whichever was meant.
    After(String),
    /// The same, but after the oldest event with the id on whatever topic: where publishers may
    /// give one id to several events.
    AfterOldest(String),
    /// With the last events, this many.
    Last(usize),
    /// With the first event at or after this moment.
    Since(Timestamp),
    /// With the oldest event there is.
    Earliest,
}

/// A start in terms of this log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Deliver what comes after this position.
    pub position: Position,
    /// The outcome reported to the subscriber.
    pub outcome: Outcome,
}

/// Which of the three a (re)connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It begins with the next event.
    Live,
    /// It continues where it was asked to, and nothing is missing.
    Resumed,
    /// It cannot continue where it was asked to: events may have been lost.
    Reset {
        /// Why.
        reason: ResetReason,
        /// The id it asked to continue after.
        requested: String,
    },
}

impl Outcome {
    /// The word for the `Tidings-Resume` header.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Resumed => "resumed",
            Self::Reset { .. } => "reset",
        }
    }
}

/// Why a subscriber cannot continue where it left off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// Events after the id have been dropped by retention.
    Expired,
    /// The log never had that id, or no longer knows it.
    Unknown,
    /// The id was made by another log: this one was wiped or replaced, or restored from a copy that
    /// is older than the id.
    Replaced,
}

impl ResetReason {
    /// The word for the `tidings.reset` event.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Replaced => "replaced",
        }
    }
}
