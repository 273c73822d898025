//! The bounds on topics: whose events may still be appended.
//!
//! As long as there is room for every topic that a batch names, whether it is there already or not,
//! and no publisher has a share of its own, no topic is looked up: a bound that is far away costs
//! an addition for each publisher. Else each topic is looked up.

use std::collections::HashSet;

use tidings_hub::{Draft, Log, Topic};

use super::Job;
use crate::error::PublishError;

/// Number of topics in the log, without that of the hub's notes.
pub(crate) fn topic_count(store: &dyn Log) -> usize {
    let catalog = store.catalog();
    catalog.topic_count().saturating_sub(usize::from(catalog.has_topic(&Topic::of_notes())))
}

/// The new topics of a batch, and how many there may be.
pub(super) struct Topics {
    topics_max: usize,
    /// Topics that may be made; `None` if there is room for all that the batch names.
    room: Option<usize>,
    made: HashSet<Topic>,
    /// Whether a publisher of the batch has a share of its own.
    has_shares: bool,
    /// Whether a rule of retention has no room for another topic.
    has_full_rules: bool,
}

impl Topics {
    pub(super) fn new(store: &dyn Log, jobs: &[Job], topics_max: usize) -> Self {
        let named =
            |job: &Job| job.drafts.iter().map(|draft| draft.topics().count()).sum::<usize>();
        let room = topics_max.saturating_sub(topic_count(store));
        let is_close = jobs.iter().map(named).sum::<usize>() > room;
        let has_shares = jobs.iter().any(|job| job.topic_share.is_some());
        let has_full_rules = store.catalog().has_full_rules();
        let room = is_close.then_some(room);
        Self { topics_max, room, made: HashSet::new(), has_shares, has_full_rules }
    }

    /// Whether all drafts of `job` have a place for their topics; else how many have, from the
    /// first on, and why the next one has not. Then the job makes no topics, unless `partly` is
    /// set: then those of the drafts that have a place.
    pub(super) fn check(
        &mut self,
        store: &dyn Log,
        job: &Job,
        partly: bool,
    ) -> Result<(), (usize, PublishError)> {
        if self.room.is_none() && !self.has_shares && !self.has_full_rules {
            return Ok(());
        }
        let mut made_by_job = Vec::new();
        for (at, draft) in job.drafts.iter().enumerate() {
            let kept = if partly { made_by_job.len() } else { 0 };
            if let Err(error) = self.make(store, job, draft, &mut made_by_job) {
                for topic in made_by_job.drain(kept..).rev() {
                    self.made.remove(&topic);
                    job.topic_share.iter().for_each(|share| share.take_back(&topic));
                }
                return Err((at, error));
            }
        }
        Ok(())
    }

    /// Makes the topics of `draft` that are not there.
    fn make(
        &mut self,
        store: &dyn Log,
        job: &Job,
        draft: &Draft,
        made_by_job: &mut Vec<Topic>,
    ) -> Result<(), PublishError> {
        for topic in draft.topics().filter(|topic| !topic.is_of_notes()) {
            let is_there =
                |topic: &Topic| self.made.contains(topic) || store.catalog().has_topic(topic);
            if is_there(topic) {
                continue;
            }
            if self.has_full_rules
                && let Some(rule) = store.catalog().full_rule_of(topic)
            {
                return Err(PublishError::RuleFull { rule });
            }
            if self.room.is_some_and(|room| self.made.len() >= room) {
                return Err(PublishError::TooManyTopics { topics_max: self.topics_max });
            }
            if let Some(share) = &job.topic_share
                && !share.begin(topic, is_there)
            {
                return Err(PublishError::TopicShareFull { topics_max: share.topics_max() });
            }
            self.made.insert(topic.clone());
            made_by_job.push(topic.clone());
        }
        Ok(())
    }
}
