//! Finds where a subscriber starts, and waits if this node does not have that place yet.
//!
//! The nodes of a shared log are some milliseconds apart, and a client that moves from one to
//! another may name an event that the new node is about to get. That is no loss: the request waits
//! for the log, without a thread. If the event does not come, the log is asked to prove its head,
//! and only then is the id unknown; if it can prove nothing, the client is asked to come back.

use std::sync::Arc;

use tidings_hub::{Interest, Log, Position, ReadError, ResolveError, Resolved, Start};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Engine;
use crate::error::OpenError;
use crate::limits::{AHEAD_PATIENCE, DRAIN_LOOK_INTERVAL, HEAD_PROOF_PATIENCE, HEAD_PROOF_PAUSE};
use crate::rejection::Rejection;

/// The last proof of a shared log's head.
#[derive(Debug)]
pub(super) struct HeadProof {
    /// When it began: it says nothing of ids that were made later.
    began: Instant,
    /// The head; `None` if it could not be proved.
    head: Option<Position>,
}

/// What a look at the store found.
enum Found<T> {
    Start(T),
    NotYet { after: Position, otherwise: Resolved },
    Unproved { otherwise: Resolved },
}

impl Engine {
    /// Finds `start`, and does `look` in the same read of the store.
    pub(super) async fn find<T, F>(
        &self,
        interest: &Arc<Interest>,
        start: Start,
        look: F,
    ) -> Result<T, OpenError>
    where
        T: Send + 'static,
        F: Fn(&dyn Log, &Interest, Resolved) -> Result<T, ReadError> + Copy + Send + 'static,
    {
        let asked = Instant::now();
        if self.inner.store.is_fetched().is_err() {
            return Err(OpenError::Rejected(Rejection::CatchingUp));
        }
        let start = Arc::new(start);
        // The start once the log has proved that it does not have the position.
        let mut proved: Option<Resolved> = None;
        let mut is_last_look = false;
        let mut is_proved = false;
        loop {
            let (interest, start) = (Arc::clone(interest), Arc::clone(&start));
            let known = proved.take();
            let found = self.read(move |store| {
                let resolved = match known {
                    Some(resolved) => resolved,
                    None => match start.resolve(store, &interest) {
                        Ok(resolved) => resolved,
                        Err(ResolveError::NotYet { after, otherwise }) => {
                            return Ok(Found::NotYet { after, otherwise });
                        }
                        Err(ResolveError::Unproved { otherwise }) => {
                            return Ok(Found::Unproved { otherwise });
                        }
                        Err(ResolveError::Read(error)) => return Err(error),
                    },
                };
                Ok(Found::Start(look(store, &interest, resolved)?))
            });
            let (after, otherwise) = match found.await.map_err(OpenError::Store)? {
                Found::Start(found) => return Ok(found),
                Found::NotYet { after, otherwise } => (after, otherwise),
                Found::Unproved { otherwise } if is_proved => {
                    proved = Some(otherwise);
                    continue;
                }
                Found::Unproved { .. } => {
                    if self.proved_head(asked).await.is_none() {
                        return Err(OpenError::Rejected(Rejection::Behind));
                    }
                    is_proved = true;
                    continue;
                }
            };
            if is_last_look {
                return Err(OpenError::Rejected(Rejection::Behind));
            }
            if self.wait_until_there(after, asked + AHEAD_PATIENCE).await? {
                continue;
            }
            match self.proved_head(asked).await {
                Some(head) if head < after => proved = Some(otherwise),
                Some(_) => is_last_look = true,
                None => return Err(OpenError::Rejected(Rejection::Behind)),
            }
        }
    }

    /// Waits until the log has `position`, at most until `deadline`. Returns whether it has.
    async fn wait_until_there(
        &self,
        position: Position,
        deadline: Instant,
    ) -> Result<bool, OpenError> {
        let mut head = self.inner.head.subscribe();
        while Instant::now() < deadline {
            if self.inner.counters.is_draining() {
                return Err(OpenError::Rejected(Rejection::Draining));
            }
            let look = deadline.min(Instant::now() + DRAIN_LOOK_INTERVAL);
            if timeout_at(look, head.wait_for(|head| *head >= position)).await.is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The head that the log proved to have at some moment after `asked`; `None` if it could not.
    /// Proofs may cost a write to the log, so there is one at a time, for all that wait.
    pub(super) async fn proved_head(&self, asked: Instant) -> Option<Position> {
        let patience = Instant::now() + HEAD_PROOF_PATIENCE;
        let proof = async {
            let mut last = Arc::clone(&self.inner.head_proof).lock_owned().await;
            if let Some(last) = &*last {
                if last.began >= asked {
                    return last.head;
                }
                sleep_until(last.began + HEAD_PROOF_PAUSE).await;
            }
            let began = Instant::now();
            // The proof keeps its place until it is done, even if its caller has gone.
            let proved = self.read(move |store| {
                let proved = store.shared().map(tidings_hub::SharedLog::prove_head).transpose();
                let head = proved.as_ref().ok().copied().flatten();
                *last = Some(HeadProof { began, head });
                proved
            });
            proved.await.ok().flatten()
        };
        timeout_at(patience, proof).await.ok().flatten()
    }
}
