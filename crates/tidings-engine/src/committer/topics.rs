//! The bound on topics: whose events may still be appended.
//!
//! As long as there is room for every topic that a batch names, whether it is there already or not,
//! nobody looks any up: a bound that is far away costs an addition for each publisher. Close to it,
//! each topic is looked up.

use std::collections::HashSet;

use tidings_hub::{Draft, Log, Topic};

use super::Job;

/// The topics that a batch makes, and how many it may.
pub(super) struct Topics {
    /// `None` if there is room for all.
    room: Option<usize>,
    made: HashSet<Topic>,
}

impl Topics {
    pub(super) fn new(store: &dyn Log, jobs: &[Job], topics_max: usize) -> Self {
        let named =
            |job: &Job| job.drafts.iter().map(|draft| draft.topics().count()).sum::<usize>();
        let room = topics_max.saturating_sub(store.catalog().topic_count());
        let is_close = jobs.iter().map(named).sum::<usize>() > room;
        Self { room: is_close.then_some(room), made: HashSet::new() }
    }

    /// How many of `drafts`, from the first on, have a place for all of their topics. If not all
    /// have, they make no topics, unless `partly` is set.
    pub(super) fn fitting(&mut self, store: &dyn Log, drafts: &[Draft], partly: bool) -> usize {
        let Some(room) = self.room else {
            return drafts.len();
        };
        let mut made_now = Vec::new();
        for (at, draft) in drafts.iter().enumerate() {
            for topic in draft.topics() {
                if self.made.contains(topic) || store.catalog().has_topic(topic) {
                    continue;
                }
                if self.made.len() >= room {
                    if !partly {
                        made_now.iter().for_each(|topic| _ = self.made.remove(topic));
                    }
                    return at;
                }
                self.made.insert(topic.clone());
                made_now.push(topic.clone());
            }
        }
        drafts.len()
    }
}
