//! The bound on topics: whose events may still be appended.
//!
//! As long as there is room for every topic that a batch names, whether it is there already or not,
//! nobody looks any up: a bound that is far away costs an addition for each publisher. Close to it,
//! each topic is looked up.

use std::collections::HashSet;

use tidings_hub::{Log, Topic};

use super::Job;
use crate::error::PublishError;

/// Those of `jobs` whose topics all have a place; the others have their answer.
pub(super) fn admit(store: &dyn Log, jobs: Vec<Job>, topics_max: usize) -> Vec<Job> {
    let named = |job: &Job| job.drafts.iter().map(|draft| draft.topics().count()).sum::<usize>();
    let room = topics_max.saturating_sub(store.catalog().topic_count());
    if jobs.iter().map(named).sum::<usize>() <= room {
        return jobs;
    }
    // Topics that this batch makes.
    let mut made = HashSet::new();
    let has_place = |job: &Job| {
        let new: HashSet<_> = job.drafts.iter().flat_map(|draft| draft.topics()).collect();
        let is_new = |topic: &&&Topic| !made.contains(**topic) && !store.catalog().has_topic(topic);
        let new: Vec<Topic> = new.iter().filter(is_new).map(|topic| (*topic).clone()).collect();
        let fits = made.len() + new.len() <= room || new.is_empty();
        if fits {
            made.extend(new);
        }
        fits
    };
    let (admitted, refused): (Vec<_>, Vec<_>) = jobs.into_iter().partition(has_place);
    for job in refused {
        let _ = job.answer.send(Err(PublishError::TooManyTopics { topics_max }));
    }
    admitted
}
