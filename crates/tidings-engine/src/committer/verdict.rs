//! Which drafts of each job are appended: topics must have room, and ids must not be reused.

use tidings_hub::{CheckError, Draft, Fate, Log, Position, Repeats};

use super::keys::Keys;
use super::maxima::Maxima;
use super::run::{Runs, TopicEnd};
use super::stream::JobStream;
use super::topics::Topics;
use super::{Job, Taking};
use crate::error::PublishError;

/// The drafts of a job that are appended, and the error in the rest.
pub(super) struct Verdict {
    /// Number of its drafts that are published, from the first on.
    pub(super) count: usize,
    /// Fate of each of them. `None` if all are stored.
    pub(super) fates: Option<Vec<Fate>>,
    /// Why the others are not published.
    pub(super) error: Option<PublishError>,
    /// The draft with this number, among all that are stored, has the id that the error is to name.
    pub(super) current: Option<usize>,
}

impl Verdict {
    fn refused(error: PublishError) -> Self {
        Self { count: 0, fates: None, error: Some(error), current: None }
    }

    /// Those of the job's drafts that are stored.
    fn stored<'a>(&self, drafts: &'a [Draft]) -> impl Iterator<Item = &'a Draft> {
        let is_stored = |at: usize| self.fates.as_ref().is_none_or(|all| all[at] == Fate::Store);
        let drafts = drafts[..self.count].iter().enumerate();
        drafts.filter(move |(at, _)| is_stored(*at)).map(|(_, draft)| draft)
    }
}

/// What becomes of a batch.
pub(super) struct Judgement {
    /// One for each job.
    pub(super) verdicts: Vec<Verdict>,
    /// The topics that end with it.
    pub(super) ends: Vec<TopicEnd>,
    /// Pieces of values: the number of each among the drafts that are stored, and the bytes of text
    /// before it.
    pub(super) pieces: Vec<(usize, u64)>,
}

/// Judges the jobs in their order; again, if they were judged before by the log up to `since`.
pub(super) fn judge(
    store: &dyn Log,
    jobs: &[Job],
    maxima: Maxima,
    since: Option<Position>,
) -> Judgement {
    let mut topics = Topics::new(store, jobs, maxima.topics);
    // Most publishers set no ids: then nothing is looked up.
    let asks = jobs.iter().any(|job| job.drafts.iter().any(|draft| draft.once));
    let mut repeats = asks.then(Repeats::new);
    let has_keys = jobs.iter().any(|job| job.drafts.iter().any(|draft| draft.key.is_some()));
    let mut keys = has_keys.then(|| Keys::new(store, maxima));
    let mut runs = Runs::new(jobs, since);
    // The streams that break off in this batch, once it is stored.
    let mut broken: Vec<&JobStream> = Vec::new();
    let mut verdicts = Vec::with_capacity(jobs.len());
    for job in jobs {
        if let Err(error) = runs.check(store, job) {
            broken.extend(&job.stream);
            verdicts.push(Verdict::refused(error));
            continue;
        }
        let is_broken = |stream: &JobStream| {
            stream.is_broken() || broken.iter().any(|broken| broken.is_same(stream))
        };
        if job.stream.as_ref().is_some_and(is_broken) {
            verdicts.push(Verdict::refused(PublishError::StreamBroken));
            continue;
        }
        let partly = job.taking == Taking::UpToTheFirstWrongOne;
        let mut verdict =
            Verdict { count: job.drafts.len(), fates: None, error: None, current: None };
        if let Err((count, error)) = topics.check(store, job, partly) {
            verdict.count = if partly { count } else { 0 };
            verdict.error = Some(error);
        }
        if let Some(repeats) = &mut repeats {
            check_ids(store, repeats, job, &mut verdict);
        }
        if let Some(keys) = &mut keys {
            check_keys(keys, repeats.as_mut(), job, &mut verdict);
        }
        if verdict.error.is_some() {
            broken.extend(&job.stream);
        }
        runs.note(verdict.stored(&job.drafts), job.stream.as_ref());
        verdicts.push(verdict);
    }
    let pieces = keys.map(Keys::into_pieces).unwrap_or_default();
    Judgement { verdicts, ends: runs.into_ends(), pieces }
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
            if job.taking == Taking::UpToTheFirstWrongOne
                && let Ok(fates) = repeats.check(store, &job.drafts[..at])
            {
                (verdict.count, verdict.fates) = (at, Some(fates));
            }
            PublishError::IdReused { at, topic, id }
        }
        CheckError::IdErased { at, topic, id } => {
            if job.taking == Taking::UpToTheFirstWrongOne
                && let Ok(fates) = repeats.check(store, &job.drafts[..at])
            {
                (verdict.count, verdict.fates) = (at, Some(fates));
            }
            PublishError::IdErased { at, topic, id }
        }
        CheckError::Read(error) => {
            tracing::error!(%error, "the store cannot be asked for the id of an event");
            PublishError::Unread(error)
        }
    });
}

fn check_keys<'a>(
    keys: &mut Keys<'a>,
    repeats: Option<&mut Repeats<'a>>,
    job: &'a Job,
    verdict: &mut Verdict,
) {
    let is_whole = job.taking == Taking::AllOrNothing;
    let judged = &job.drafts[..verdict.count];
    let Err((at, refusal)) = keys.check(judged, verdict.fates.as_deref(), is_whole) else { return };
    let kept = if is_whole { 0 } else { at };
    if let (Some(repeats), Some(fates)) = (repeats, &mut verdict.fates) {
        let is_stored = |fate: &&Fate| **fate == Fate::Store;
        let dropped = fates[kept..].iter().filter(is_stored).count();
        repeats.forget(&judged[kept..], repeats.stored() - dropped);
        fates.truncate(kept);
    }
    verdict.count = kept;
    verdict.error = Some(refusal.error);
    verdict.current = refusal.current;
}
