//! What the log knows of topics.

use tidings_hub::{ReadError, Topic, TopicState};

use super::Engine;

impl Engine {
    /// The state of `topic`; `None` if it has no events.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store cannot be read.
    pub async fn topic(&self, topic: Topic) -> Result<Option<TopicState>, ReadError> {
        self.read(move |store| store.catalog().topic(&topic)).await
    }

    /// Topics in the order of their names; see [`Catalog::topics`](tidings_hub::Catalog::topics).
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn topics(
        &self,
        prefix: String,
        after: Option<Topic>,
        count: usize,
    ) -> Result<Vec<TopicState>, ReadError> {
        self.read(move |store| {
            let mut topics = store.catalog().topics(&prefix, after.as_ref(), count + 1)?;
            topics.retain(|state| !state.topic.is_of_notes());
            topics.truncate(count);
            Ok(topics)
        })
        .await
    }
}
