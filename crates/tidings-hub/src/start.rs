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
    /// A publisher's own id belongs to its topic. If several events have it, the oldest one on a
    /// requested topic counts. If the log has it on other topics only, the oldest of these counts
    /// as long as the log still holds its first record. Later that is not certain: a requested
    /// topic may have had the id, and retention may have dropped that event, so events may be
    /// missing and the outcome is a reset.
    After(String),
    /// The same, but for protocols in which an id is one for all topics, and several events can
    /// have it: after the oldest event with the id on any topic, requested or not.
    AfterOldest(String),
    /// With this many of the last events.
    Last(usize),
    /// With the first event at or after this moment.
    Since(Timestamp),
    /// With the oldest event in the log.
    Earliest,
    /// With the state: the newest event of each key. After an id, with what changed since.
    State(Option<String>),
    /// As [`After`](Self::After) if nothing is missing there, else as [`State`](Self::State) after
    /// the same id.
    AfterOrState(String),
}

impl Start {
    /// Whether a reader that began here, with this outcome, gets the state.
    pub fn reads_state(&self, outcome: &Outcome) -> bool {
        match self {
            Self::State(_) => true,
            Self::AfterOrState(_) => *outcome != Outcome::Resumed,
            _ => false,
        }
    }
}

/// A start as a position in this log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Position after which events are delivered.
    pub position: Position,
    /// Position up to which the subscriber knows of losses: see [`ReadQuery::told`].
    ///
    /// [`ReadQuery::told`]: crate::ReadQuery::told
    pub told: Position,
    /// The outcome reported to the subscriber.
    pub outcome: Outcome,
}

impl Resolved {
    /// Position from which on nothing is missing for the subscriber: that of the `oldest` record in
    /// the log, unless a newer one was lost.
    pub fn whole_from(&self, oldest: Position) -> Position {
        if self.told > self.position { self.told.next() } else { oldest }
    }
}

/// How a (re)connection begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It begins with the next event.
    Live,
    /// It continues where it was asked to, and nothing is missing.
    Resumed,
    /// It begins with the state, or continues with what changed in it.
    State {
        /// Whether it continues: then it gets removals, too.
        is_resumed: bool,
    },
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
            Self::State { .. } => "state",
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
    /// is older than the id. Or the log lost its end, and the id was one of a lost event.
    Replaced,
    /// Events were erased that the subscriber's state may have. In the middle of a stream:
    /// everything on a topic was.
    Erased,
}

impl ResetReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Expired, Self::Unknown, Self::Replaced, Self::Erased];

    /// The value in the `tidings.reset` event.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Replaced => "replaced",
            Self::Erased => "erased",
        }
    }
}
