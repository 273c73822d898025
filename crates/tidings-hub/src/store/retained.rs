use std::sync::Arc;

use crate::timestamp::Timestamp;

/// What retention by rules keeps at the moment, and what it did since the log was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// What falls under no rule first, then each rule in its order. Empty if there are no rules.
    pub rules: Vec<RetainedByRule>,
    /// Number of events at the end of the log, to which no rule was applied yet.
    pub unsorted_events: u64,
    /// Bytes that they take, with their indexes.
    pub unsorted_bytes: u64,
}

/// What one rule keeps, without the events to which it was not applied yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetainedByRule {
    /// Name of the rule; `None` for what falls under no rule.
    pub name: Option<Arc<str>>,
    /// Number of events.
    pub events: u64,
    /// Bytes that they take, with their indexes.
    pub bytes: u64,
    /// Bytes that they may take.
    pub bytes_max: u64,
    /// Time of the oldest event, if there is one.
    pub oldest: Option<Timestamp>,
    /// Number of events dropped.
    pub dropped: u64,
    /// Bytes written to keep events: each is written again when the rule is first applied to it,
    /// and whenever its file is made anew.
    pub written_bytes: u64,
}

impl Retained {
    /// Number of events that are kept.
    pub fn events(&self) -> u64 {
        self.unsorted_events + self.rules.iter().map(|rule| rule.events).sum::<u64>()
    }
}
