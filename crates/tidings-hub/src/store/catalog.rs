use std::sync::Arc;

use tidings_codec::EventId;

use crate::error::ReadError;
use crate::interest::Interest;
use crate::matcher::Matcher;
use crate::position::Position;
use crate::timestamp::Timestamp;
use crate::topic::Topic;

use super::Retained;

/// Access to a log by topic, id and time.
///
/// It is called by many threads at once, and never waits for an append in progress. It knows
/// everything that [`Log::read`](super::Log::read) can read. A log that is held elsewhere hands out
/// the catalog of the copy that it reads from.
pub trait Catalog: Send + Sync {
    /// The position of the oldest record with this publisher-given id and a topic that one of `on`
    /// matches.
    ///
    /// Exact topics, and [`Matcher::All`], are answered exactly. For patterns the store may bound
    /// how many topics it looks at: if more topics than that have the id, the answer may be an
    /// older record with the id on another topic.
    ///
    /// # Errors
    ///
    /// [`ReadError::Away`] and [`ReadError::Damaged`].
    fn find(&self, id: &EventId, on: &[Matcher]) -> Result<Option<Position>, ReadError>;

    /// The position after which the records with a time of `since` or later begin.
    ///
    /// # Errors
    ///
    /// [`ReadError::Away`] and [`ReadError::Damaged`].
    fn seek_time(&self, since: Timestamp) -> Result<Position, ReadError>;

    /// The position after which the last `count` records admitted by `interest` begin (fewer, if
    /// the log holds fewer, or if the store's bound on looking back is reached).
    ///
    /// # Errors
    ///
    /// [`ReadError::Away`] and [`ReadError::Damaged`].
    fn seek_last(&self, interest: &Interest, count: usize) -> Result<Position, ReadError>;

    /// The state of one topic; `None` if no record of it is in the log.
    ///
    /// # Errors
    ///
    /// [`ReadError::Away`] and [`ReadError::Damaged`].
    fn topic(&self, topic: &Topic) -> Result<Option<TopicState>, ReadError>;

    /// Topics that have records in the log, in the order of their names: at most `count` of them
    /// whose names begin with `prefix` and come after `after`.
    ///
    /// # Errors
    ///
    /// [`ReadError::Away`] and [`ReadError::Damaged`].
    fn topics(
        &self,
        prefix: &str,
        after: Option<&Topic>,
        count: usize,
    ) -> Result<Vec<TopicState>, ReadError>;

    /// Number of topics with records in the log. Cheap, as is [`has_topic`](Self::has_topic):
    /// nothing is read. Shortly after the log was opened, and after retention has dropped
    /// something, both may be out of date.
    fn topic_count(&self) -> usize;

    /// Whether a topic has records in the log.
    fn has_topic(&self, topic: &Topic) -> bool;

    /// The rule of retention that events on `topic` fall under; `None` for the rest, and for stores
    /// without rules. Cheap.
    fn rule_of(&self, topic: &Topic) -> Option<Arc<str>> {
        let _ = topic;
        None
    }

    /// The same, if what that rule promises to keep takes all the bytes that it may: there is no
    /// room for another topic. Cheap.
    fn full_rule_of(&self, topic: &Topic) -> Option<Arc<str>> {
        let _ = topic;
        None
    }

    /// The same, if that rule promises the state of its topics: there is no room for another key.
    /// Cheap.
    fn full_rule_of_keys(&self, topic: &Topic) -> Option<Arc<str>> {
        let _ = topic;
        None
    }

    /// Whether there is a rule without room for another topic. Cheap.
    fn has_full_rules(&self) -> bool {
        false
    }

    /// What the rules of retention keep. Cheap.
    fn retained(&self) -> Retained {
        Retained::default()
    }
}

/// The state of a topic with records in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    /// Its name.
    pub topic: Topic,
    /// Number of its records in the log.
    pub records: u64,
    /// Bytes that they take there, as the store holds them. A record on several topics counts on
    /// each of them.
    pub bytes: u64,
    /// Position of its oldest record.
    pub first: Position,
    /// Position of its newest record.
    pub last: Position,
    /// Whether the newest record ended the topic.
    pub ended: bool,
}
