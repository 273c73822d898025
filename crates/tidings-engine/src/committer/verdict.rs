//! What of each job is appended: topics must have room, and ids must not be reused.

use tidings_hub::{CheckError, Fate, Log, Repeats};

use super::Job;
use super::topics::Topics;
use crate::error::PublishError;

/// What of a job is appended, and what is wrong with the rest.
pub(super) struct Verdict {
    /// How many of its drafts are published, from the first on.
    pub(super) count: usize,
    /// What becomes of each of them. `None`: all are stored.
    pub(super) fates: Option<Vec<Fate>>,
    /// Why the others are not.
    pub(super) error: Option<PublishError>,
}

/// Judges the jobs in their order.
pub(super) fn verdicts(store: &dyn Log, jobs: &[Job], topics_max: usize) -> Vec<Verdict> {
    let mut topics = Topics::new(store, jobs, topics_max);
    // Most publishers bring no ids: then nothing is looked up.
    let asks = jobs.iter().any(|job| job.drafts.iter().any(|draft| draft.once));
    let mut repeats = asks.then(Repeats::new);
    let mut verdicts = Vec::with_capacity(jobs.len());
    for job in jobs {
        if job.stream.as_ref().is_some_and(|stream| stream.is_broken()) {
            let error = Some(PublishError::StreamBroken);
            verdicts.push(Verdict { count: 0, fates: None, error });
            continue;
        }
        let partly = job.stream.is_some();
        let mut verdict = Verdict { count: job.drafts.len(), fates: None, error: None };
        let count = topics.fitting(store, &job.drafts, partly);
        if count < verdict.count {
            verdict.count = if partly { count } else { 0 };
            verdict.error = Some(PublishError::TooManyTopics { topics_max });
        }
        if let Some(repeats) = &mut repeats {
            check_ids(store, repeats, job, &mut verdict);
        }
        if let (Some(stream), Some(_)) = (&job.stream, &verdict.error) {
            stream.break_off();
        }
        verdicts.push(verdict);
    }
    verdicts
}

fn check_ids<'a>(store: &dyn Log, repeats: &mut Repeats<'a>, job: &'a Job, verdict: &mut Verdict) {
    let error = match repeats.check(store, &job.drafts[..verdict.count]) {
        Ok(fates) => {
            verdict.fates = Some(fates);
            return;
        }
        Err(error) => error,
    };
    verdict.count = 0;
    verdict.error = Some(match error {
        CheckError::IdReused { at, topic, id } => {
            if job.stream.is_some()
                && let Ok(fates) = repeats.check(store, &job.drafts[..at])
            {
                (verdict.count, verdict.fates) = (at, Some(fates));
            }
            PublishError::IdReused { at, topic, id }
        }
        CheckError::Read(error) => {
            tracing::error!(%error, "the store cannot be asked for the id of an event");
            PublishError::Unread(error)
        }
    });
}
