//! Closing connections on behalf of an operator.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidings_hub::CloseReason;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Engine;
use crate::connection::ConnectionId;
use crate::limits::QUESTION_PATIENCE;
use crate::message::Message;

impl Engine {
    /// Closes these connections for `reason`, also those that are yet to be handed to a worker.
    /// Returns when every worker has heard of it, or has not answered for
    /// [`QUESTION_PATIENCE`].
    pub async fn close(&self, ids: &[ConnectionId], reason: CloseReason) {
        let mailboxes = &self.inner.mailboxes;
        let mut numbers = vec![BTreeSet::new(); mailboxes.len()];
        for id in ids.iter().filter(|id| id.run == self.inner.run()) {
            numbers[(id.number % mailboxes.len() as u64) as usize].insert(id.number);
        }
        // One order to all workers at a time is under way for each of these.
        let permit = Arc::clone(&self.inner.questions).acquire_owned().await;
        let Ok(permit) = permit else { return };
        let permit = Arc::new(permit);
        let mut heard = Vec::new();
        for (mailbox, numbers) in mailboxes.iter().zip(numbers) {
            if numbers.is_empty() {
                continue;
            }
            let (done, is_done) = oneshot::channel();
            mailbox.post(Message::Close(numbers, reason, done, Arc::clone(&permit)));
            heard.push(is_done);
        }
        drop(permit);
        for is_done in heard {
            let _ = timeout(QUESTION_PATIENCE, is_done).await;
        }
    }
}
