use serde::Serialize;
use tidings_http::problem::Problem;
use tidings_hub::Appended;

/// What became of a body of events.
#[derive(Default, Serialize)]
pub(super) struct Summary {
    /// Events that are new in the log.
    published: u64,
    /// Events that were there before, known by their ids.
    duplicates: u64,
    first_id: Option<String>,
    last_id: Option<String>,
}

impl Summary {
    /// Counts the events of a batch that was stored.
    pub(super) fn add(&mut self, appended: &[Appended]) {
        let duplicates = appended.iter().filter(|event| event.duplicate).count() as u64;
        self.duplicates += duplicates;
        self.published += appended.len() as u64 - duplicates;
        if let (None, Some(first)) = (&self.first_id, appended.first()) {
            self.first_id = Some(first.id.to_string());
        }
        if let Some(last) = appended.last() {
            self.last_id = Some(last.id.to_string());
        }
    }

    /// `problem`, which ended the body, and how far it came before.
    pub(super) fn with(self, problem: Problem) -> Problem {
        problem
            .with("published", self.published)
            .with("duplicates", self.duplicates)
            .with("last_id", self.last_id)
    }
}
