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
        self.remove_at(topic, &removal_query(key)).await
    }

    /// Removes a key from the state of a topic if its newest event has the id `version`, as
    /// [`remove`](Self::remove) does: so no value is removed that the caller has not seen.
    ///
    /// # Errors
    ///
    /// [`PublishError`]. If the key has a newer event, it stays, and the problem's code is
    /// `version_differs`; its `current` is the id of that event.
    ///
    /// ```no_run
    /// # use tidings_client::{EventId, Publisher};
    /// # async fn run(publisher: Publisher, seen: EventId) {
    /// match publisher.remove_if_version("stocks", "ACME", &seen).await {
    ///     Ok(removal) => println!("{removal}"),
    ///     Err(error) => println!("{error}"),
    /// }
    /// # }
    /// ```
    pub async fn remove_if_version(
        &self,
        topic: &str,
        key: &str,
        version: &EventId,
    ) -> Result<EventId, PublishError> {
        let version = topic_path::escaped(version.as_str());
        self.remove_at(topic, &format!("{}&if-version={version}", removal_query(key))).await
    }

    async fn remove_at(&self, topic: &str, query: &str) -> Result<EventId, PublishError> {
        let path = topic_path::of_run(topic, &[]) + query;
        let answer = with_retries(self, Replay::IfRefused, || self.delete_request(&path)).await?;
        answer.published(false).map(|removal| removal.id)
    }
}

/// Always with its `=`: an empty key is one, too.
fn removal_query(key: &str) -> String {
    format!("?key={}", topic_path::escaped(key))
}
