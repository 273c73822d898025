//! Every order in which posters and a worker can meet: no mail lies in the box of a worker that
//! sleeps. A wake-up that gets lost leaves the worker asleep for ever, which the model reports as a
//! deadlock.
//!
//! `scripts/test loom` runs this, with `--cfg loom`; without it there is nothing here.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::Mailbox;
use crate::message::Message;
use crate::sys::Ring;

/// A bell as the kernel makes it: rung before the sleep, it ends the sleep.
#[derive(Clone)]
struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Bell {
    fn new() -> Self {
        Self(Arc::new((Mutex::new(false), Condvar::new())))
    }

    fn sleep(&self) {
        let (rung, heard) = &*self.0;
        let mut rung = rung.lock().unwrap();
        while !*rung {
            rung = heard.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Ring for Bell {
    fn ring(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }
}

/// The worker's loop, until it has taken `count` messages.
fn take(mailbox: &Mailbox<Bell>, bell: &Bell, count: usize) {
    let (mut messages, mut batches) = (VecDeque::new(), VecDeque::new());
    let mut taken = 0;
    while taken < count {
        if mailbox.is_waiting() {
            mailbox.take(&mut messages, &mut batches, true);
            taken += messages.drain(..).count();
        } else if mailbox.fall_asleep() {
            bell.sleep();
            mailbox.wake_up();
        }
    }
}

/// Posters that post this many messages each, and a worker that takes them all.
fn meet(posters: &'static [usize]) {
    let mut model = loom::model::Builder::new();
    // All orders of three threads, or of two messages, take hours; those with three forced switches
    // take seconds.
    let messages: usize = posters.iter().sum();
    model.preemption_bound = (messages > 1).then_some(3);
    model.check(move || {
        let bell = Bell::new();
        let mailbox = Arc::new(Mailbox::new(bell.clone()));
        let post = |count: usize| {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                for _ in 0..count {
                    mailbox.post(Message::Stop);
                }
            })
        };
        let threads: Vec<_> = posters.iter().map(|count| post(*count)).collect();
        take(&mailbox, &bell, posters.iter().sum());
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_message_wakes_a_worker_that_falls_asleep() {
    meet(&[1]);
}

#[test]
fn a_message_that_follows_another_wakes_the_worker_again() {
    meet(&[2]);
}

#[test]
fn two_posters_do_not_rely_on_each_other_in_vain() {
    meet(&[1, 1]);
}

/// A timer or a socket can end the sleep instead of the bell.
#[test]
fn a_worker_that_woke_by_itself_is_woken_in_its_next_sleep() {
    loom::model(|| {
        let bell = Bell::new();
        let mailbox = Arc::new(Mailbox::new(bell.clone()));
        let poster = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.post(Message::Stop))
        };
        if mailbox.fall_asleep() {
            mailbox.wake_up();
        }
        take(&mailbox, &bell, 1);
        poster.join().unwrap();
    });
}
