//! Where a subscriber asks to start, and where it does.

use crate::position::Position;
use crate::timestamp::Timestamp;

/// Where a subscriber asks to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next event.
    Live,
    /// After the event with this id. It may be any text: a client sends back an id it was given, or
    /// makes one up.
    ///
    /// If several events have the id, the oldest one on a requested topic counts; if none of them
    /// is on such a topic, the oldest of all. So nothing is lost, whichever was meant.
    After(String),
    /// The same, but after the oldest event with the id on any topic, for protocols in which
    /// publishers may give one id to several events.
    AfterOldest(String),
    /// With this many of the last events.
    Last(usize),
    /// With the first event at or after this moment.
    Since(Timestamp),
    /// With the oldest event in the log.
    Earliest,
}

/// A start as a position in this log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Position after which events are delivered.
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
        /// The id after which it asked to continue.
        requested: String,
    },
}

impl Outcome {
    /// The value of the `Tidings-Resume` header.
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
    /// The log never had the id, or no longer knows it.
    Unknown,
    /// The id was made by another log: this one was wiped, replaced, or restored from a backup that
    /// is older than the id.
    Replaced,
}

impl ResetReason {
    /// The value in the `tidings.reset` event.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Replaced => "replaced",
        }
    }
}
