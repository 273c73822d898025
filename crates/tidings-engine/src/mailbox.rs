//! The bounded queue into one worker.
//!
//! Frames have a bound in bytes, and the fan-out decides what to do when it is reached. Notices
//! have a bound in number, and the worker gets a message when some were lost. Everything else is
//! bounded by its cause: attachments by the number of subscribers, pages by the reads that a shard
//! orders, messages from bodies by the number of bodies.
//!
//! # Sleep and wake-up
//!
//! Ringing the bell of a worker is a system call, so it is rung only for a worker that sleeps, and
//! no mail may lie in the box of a worker that sleeps. Two flags see to that:
//!
//! | A poster | The worker, to sleep |
//! |---|---|
//! | puts its mail in | swaps `asleep` for true |
//! | sets `waiting` | sleeps only if `waiting` is not set |
//! | swaps `asleep` for false, and rings if it was true | swaps `asleep` for false when it wakes |
//!
//! Whatever is done to `asleep` is a swap. So there is one order of all of them, and each happens
//! after everything that came before the earlier ones. Take a poster's swap and the worker's swap
//! for true:
//!
//! - *The poster's comes first.* Then the worker sees `waiting` as the poster set it, or as it set
//!   it itself since then, when it had taken that mail. It sleeps only if there is none.
//! - *The worker's comes first.* Then the poster finds true, and rings; or somebody has swapped in
//!   between: another poster, which has rung, or the worker, which is awake, and for whose next
//!   sleep the first case holds. A bell that is rung before the worker listens is heard later.
//!
//! `mailbox/interleavings.rs` tries all ways in which the threads can meet.

#[cfg(all(test, loom))]
mod interleavings;
mod sync;

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tidings_hub::{CloseReason, FrameBatch, Mark, Notice, SubscriberId};

use crate::limits::{MAILBOX_BYTES_MAX, MAILBOX_NOTICES_MAX};
use crate::message::Message;
use crate::sink::BodyEvents;
use crate::sys::{Bell, Ring};

use sync::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering};

pub(crate) struct Mailbox<B = Bell> {
    bell: B,
    /// Whether the worker sleeps, or is about to, so that the bell must be rung.
    asleep: AtomicBool,
    /// Whether there is mail. Lets the worker check between two writes without taking the lock.
    waiting: AtomicBool,
    contents: Mutex<Contents>,
    emptied: Condvar,
}

#[derive(Default)]
struct Contents {
    batches: VecDeque<Arc<FrameBatch>>,
    batches_bytes: usize,
    messages: VecDeque<Message>,
    /// Of the messages.
    notices: usize,
    notices_lost: bool,
    /// The record up to which records were left out because there were no subscribers.
    gap: Option<Mark>,
    /// Whether the worker has ended.
    closed: bool,
}

impl<B: Ring> Mailbox<B> {
    pub(crate) fn new(bell: B) -> Self {
        Self {
            bell,
            asleep: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            contents: Mutex::new(Contents::default()),
            emptied: Condvar::new(),
        }
    }

    /// Puts `message` in.
    pub(crate) fn post(&self, message: Message) {
        let rejected = {
            let mut contents = self.lock();
            if contents.closed {
                Some(message)
            } else {
                contents.messages.push_back(message);
                None
            }
        };
        // Outside the lock, because dropping a message may post another one.
        match rejected {
            Some(message) => drop(message),
            None => self.wake(),
        }
    }

    /// Closes the box of a worker that has ended: drops its mail, and everything posted from now
    /// on. Tasks that wait for an answer, or to be attached, learn of the end by that.
    pub(crate) fn close(&self) {
        let left = {
            let mut contents = self.lock();
            let empty = Contents { closed: true, ..Contents::default() };
            std::mem::replace(&mut *contents, empty)
        };
        self.emptied.notify_all();
        drop(left);
    }

    /// Puts a notice in, if there is room.
    pub(crate) fn post_notice(&self, notice: &Arc<Notice>) {
        {
            let mut contents = self.lock();
            if contents.closed {
                return;
            }
            if contents.notices < MAILBOX_NOTICES_MAX {
                contents.notices += 1;
                contents.messages.push_back(Message::Notice(Arc::clone(notice)));
            } else {
                contents.notices_lost = true;
            }
        }
        self.wake();
    }

    /// Says that records up to `upto` are left out.
    pub(crate) fn post_gap(&self, upto: Mark) {
        {
            let mut contents = self.lock();
            if contents.closed {
                return;
            }
            if contents.gap.is_none_or(|gap| gap.position < upto.position) {
                contents.gap = Some(upto);
            }
        }
        self.wake();
    }

    /// Puts frames of `bytes` in; waits up to `patience` for room. Returns whether there was.
    pub(crate) fn post_frames(
        &self,
        batch: &Arc<FrameBatch>,
        bytes: usize,
        patience: Duration,
    ) -> bool {
        {
            let full = |contents: &mut Contents| {
                contents.batches_bytes > 0 && contents.batches_bytes + bytes > MAILBOX_BYTES_MAX
            };
            let waited = self.emptied.wait_timeout_while(self.lock(), patience, full);
            let (mut contents, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if contents.closed {
                return true;
            }
            if full(&mut contents) {
                return false;
            }
            contents.batches_bytes += bytes;
            contents.batches.push_back(Arc::clone(batch));
        }
        self.wake();
        true
    }

    /// Whether frames can be put in without waiting, unless they are many.
    pub(crate) fn is_roomy(&self) -> bool {
        self.lock().batches_bytes < MAILBOX_BYTES_MAX / 2
    }

    /// Whether there is mail.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    /// Takes out all messages, unless some of those taken before are left, and also the frames if
    /// `frames` is set. Returns the position up to which records were left out: frames before that
    /// may be skipped, because a gap makes every subscriber read the log.
    pub(crate) fn take(
        &self,
        messages: &mut VecDeque<Message>,
        batches: &mut VecDeque<Arc<FrameBatch>>,
        frames: bool,
    ) -> Option<Mark> {
        let mut contents = self.lock();
        if messages.is_empty() {
            messages.append(&mut contents.messages);
            contents.notices = 0;
            if std::mem::take(&mut contents.notices_lost) {
                messages.push_back(Message::NoticesLost);
            }
        }
        if frames && !contents.batches.is_empty() {
            batches.append(&mut contents.batches);
            contents.batches_bytes = 0;
            self.emptied.notify_all();
        }
        let gap = contents.gap.take();
        let is_empty =
            contents.messages.is_empty() && contents.batches.is_empty() && !contents.notices_lost;
        self.waiting.store(!is_empty, Ordering::Release);
        gap
    }

    /// Announces that the worker is about to sleep. Returns whether it may, because nothing has
    /// come meanwhile.
    pub(crate) fn fall_asleep(&self) -> bool {
        // A swap, although the old value is known: it makes this come after the posters' swaps.
        self.asleep.swap(true, Ordering::AcqRel);
        let may = !self.waiting.load(Ordering::Acquire);
        if !may {
            self.wake_up();
        }
        may
    }

    /// Says that the worker is awake.
    pub(crate) fn wake_up(&self) {
        self.asleep.swap(false, Ordering::AcqRel);
    }

    fn wake(&self) {
        self.waiting.store(true, Ordering::Release);
        if self.asleep.swap(false, Ordering::AcqRel) {
            self.bell.ring();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Ring + Send + Sync> BodyEvents for Mailbox<B> {
    fn writable(&self, id: SubscriberId) {
        self.post(Message::Writable(id));
    }

    fn closed(&self, id: SubscriberId, reason: CloseReason) {
        self.post(Message::Closed(id, reason));
    }
}
