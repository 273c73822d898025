//! Follows the store's tail, encodes each record once, and posts it to every worker.
//!
//! This is the only way an event reaches subscribers, even if it was published a moment ago on the
//! same machine: so there is one order everywhere, and nothing is delivered that is not in the log.
//!
//! Without subscribers and polls there is nothing to read or encode, and waking threads for each
//! batch would only slow down publishers. Then the fan-out checks the log from time to time, and
//! tells the workers how far it got. A subscriber that arrives between two checks finds a gap where
//! these records were, and reads the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidings_hub::{Log, Mark, Position, ReadError, with_causes};
use tokio::sync::watch;

use crate::counters::Counters;
use crate::forgetting::Forgetting;
use crate::frames::next_batch;
use crate::limits::{MAILBOX_PATIENCE, TAIL_PATIENCE, UNHEARD_NAP};
use crate::mailbox::Mailbox;
use crate::recent::Recent;

/// What the thread works on.
pub(crate) struct Fanout<'a> {
    pub(crate) store: &'a dyn Log,
    pub(crate) mailboxes: &'a [Arc<Mailbox>],
    pub(crate) recent: &'a Recent,
    pub(crate) forgetting: &'a Forgetting,
    pub(crate) head: &'a watch::Sender<Position>,
    pub(crate) counters: &'a Counters,
    pub(crate) stopping: &'a AtomicBool,
}

/// The thread: follows the tail of the store from `after` until it is stopped.
pub(crate) fn run(on: &Fanout<'_>, mut after: Position) {
    let Fanout { store, mailboxes, recent, forgetting, head, counters, stopping } = *on;
    // Workers whose mailboxes were full: the next batches are offered to them without waiting,
    // until there is room.
    let mut left_behind = vec![false; mailboxes.len()];
    let mut is_failing = false;
    while !stopping.load(Ordering::Acquire) {
        forgetting.passed(after, recent, mailboxes);
        if store.wait(after, TAIL_PATIENCE) <= after {
            continue;
        }
        let is_heard = counters.subscribers() > 0 || head.receiver_count() > 0;
        if !is_heard {
            std::thread::sleep(UNHEARD_NAP);
        }
        if !is_heard && !recent.was_asked() {
            after = store.bounds().head;
            let mark: Mark = store.mark(after).unwrap_or(after.into());
            for mailbox in mailboxes {
                mailbox.post_gap(mark);
            }
            head.send_replace(after);
            continue;
        }
        let batch = match next_batch(store, after, store.bounds().head) {
            Ok(batch) => {
                is_failing = false;
                Arc::new(batch)
            }
            Err(ReadError::Expired { lost, .. }) => {
                // Retention has dropped records. Workers see that the next batch does not begin
                // where the last one ended, and read the log themselves.
                after = lost;
                continue;
            }
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    let reason = with_causes(&error);
                    tracing::error!(
                        reason,
                        "the store's tail cannot be read; it will be tried again"
                    );
                }
                std::thread::sleep(TAIL_PATIENCE);
                continue;
            }
        };
        let bytes = batch.frames.iter().map(|frame| frame.record().cost()).sum();
        recent.push(&batch, bytes);
        for (mailbox, left_behind) in mailboxes.iter().zip(&mut left_behind) {
            let patience = if *left_behind { Duration::ZERO } else { MAILBOX_PATIENCE };
            *left_behind = !mailbox.post_frames(&batch, bytes, patience);
        }
        after = batch.upto.position;
        head.send_replace(after);
    }
}
