//! Removing a key from the state of a topic: `DELETE /events/{topic}?key=`.

use super::error::PublishError;
use super::exchange::{Replay, with_retries};
use super::topic_path;
use crate::{EventId, Publisher};

impl Publisher {
    /// Removes a key from the state of a topic, and waits until that is stored. Returns the id of
    /// the removal. Subscribers get an event `tidings.removed` with the key.
    ///
    /// A removal has no id by which the hub would know a second one, and another publisher may have
    /// given the key a new value meanwhile. So it is repeated only if it certainly was not carried
    /// out.
    ///
    /// Not cancel-safe: dropping the future aborts the request, and the key may or may not be
    /// removed.
    ///
    /// # Errors
    ///
    /// [`PublishError`], which says whether the key may have been removed. A key without a value is
    /// refused, with the problem's code `key_unknown`.
    pub async fn remove(&self, topic: &str, key: &str) -> Result<EventId, PublishError> {
        // Always with its `=`: an empty key is one, too.
        let path = topic_path::of_run(topic, &[]) + &format!("?key={}", topic_path::escaped(key));
        let answer = with_retries(self, Replay::IfRefused, || self.delete_request(&path)).await?;
        answer.published(false).map(|removal| removal.id)
    }
}
