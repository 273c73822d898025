use tidings_engine::PublishError;
use tidings_http::problem::Problem;

use crate::store_problem;

/// Where in a body an event is.
#[derive(Clone, Copy, Debug)]
pub(in crate::native) struct Place {
    /// What is counted: lines or events.
    pub(in crate::native) kind: &'static str,
    /// From 1.
    pub(in crate::native) number: u64,
}

/// The answer if the store did not take one of the drafts that stand at `places`.
pub(super) fn not_published(error: &PublishError, places: &[Place]) -> Problem {
    let problem = store_problem::not_published(error);
    match error {
        PublishError::IdReused { at, .. }
        | PublishError::IdErased { at, .. }
        | PublishError::VersionDiffers { at, .. }
        | PublishError::KeyUnknown { at, .. }
        | PublishError::AppendMismatch { at, .. }
        | PublishError::ValueFull { at, .. }
        | PublishError::TooManyKeys { at, .. } => match places.get(*at) {
            Some(place) => problem.at(place.kind, place.number),
            None => problem,
        },
        _ => problem,
    }
}
