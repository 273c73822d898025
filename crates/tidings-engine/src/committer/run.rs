//! Runs of topics: what begins and what ends one within a batch.

use std::collections::HashSet;

use tidings_hub::{Draft, Expected, Kind, Log, Position, Topic};

use super::Job;
use super::stream::JobStream;
use crate::error::PublishError;

/// The end of a topic that a batch holds.
pub(super) struct TopicEnd {
    pub(super) topic: Topic,
    /// The stream it came with.
    pub(super) by: Option<JobStream>,
}

/// What the jobs judged so far do to runs. Costs nothing where no job begins or ends any.
pub(super) struct Runs {
    /// Topics that have a record in this batch; noted only if a job of the batch must begin one, or
    /// expects that there is nothing new on one.
    named: Option<HashSet<Topic>>,
    ends: Vec<TopicEnd>,
    /// The jobs were judged before, by the log up to here: what has come since is another hub's.
    since: Option<Position>,
}

impl Runs {
    pub(super) fn new(jobs: &[Job], since: Option<Position>) -> Self {
        let asks = |job: &Job| job.begins || job.drafts.iter().any(|it| silence(it).is_some());
        Self { named: jobs.iter().any(asks).then(HashSet::new), ends: Vec::new(), since }
    }

    /// Why the run that `job` is part of, or begins, is not its.
    pub(super) fn check(&self, store: &dyn Log, job: &Job) -> Result<(), PublishError> {
        if let Some(stream) = &job.stream
            && let Some(topic) = stream.topic()
        {
            let is_by_another = |end: &TopicEnd| {
                end.topic == *topic && !end.by.as_ref().is_some_and(|by| by.is_same(stream))
            };
            if stream.is_ended() || self.ends.iter().any(is_by_another) {
                return Err(PublishError::TopicEnded { topic: topic.clone() });
            }
        }
        if let Some(since) = self.since {
            let ends = job.drafts.iter().filter(|draft| draft.kind.ends_topic());
            for topic in ends.flat_map(Draft::topics) {
                let known = store.catalog().topic(topic).map_err(PublishError::Unread)?;
                if known.is_some_and(|known| known.ended && known.last > since) {
                    return Err(PublishError::TopicEnded { topic: topic.clone() });
                }
            }
        }
        let Some(named) = &self.named else { return Ok(()) };
        for draft in &job.drafts {
            let (Some(after), topic) = (silence(draft), &draft.topic) else { continue };
            let known = store.catalog().topic(topic).map_err(PublishError::Unread)?;
            if known.is_some_and(|known| known.ended || known.last > after) || named.contains(topic)
            {
                return Err(PublishError::TopicContinued { topic: topic.clone() });
            }
        }
        if job.begins {
            let events = job.drafts.iter().filter(|draft| draft.kind != Kind::Note);
            for topic in events.flat_map(Draft::topics) {
                let known = store.catalog().topic(topic).map_err(PublishError::Unread)?;
                if known.is_some() || named.contains(topic) {
                    return Err(PublishError::TopicExists { topic: topic.clone() });
                }
            }
        }
        Ok(())
    }

    /// Notes what is appended of a job.
    pub(super) fn note<'a>(
        &mut self,
        drafts: impl Iterator<Item = &'a Draft>,
        by: Option<&JobStream>,
    ) {
        for draft in drafts {
            if let Some(named) = &mut self.named {
                named.extend(draft.topics().cloned());
            }
            if draft.kind.ends_topic() {
                let end = |topic: &Topic| TopicEnd { topic: topic.clone(), by: by.cloned() };
                self.ends.extend(draft.topics().map(end));
            }
        }
    }

    pub(super) fn into_ends(self) -> Vec<TopicEnd> {
        self.ends
    }
}

/// The position after which the publisher of `draft` expects nothing on its topic.
fn silence(draft: &Draft) -> Option<Position> {
    match draft.expected.as_deref() {
        Some(Expected::NothingAfter(after)) => Some(*after),
        _ => None,
    }
}
