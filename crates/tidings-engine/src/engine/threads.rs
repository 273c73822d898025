//! The threads of an engine: how they are started, and what becomes of the others when one of them
//! panics.

use std::sync::{Arc, PoisonError};

use tidings_hub::ShardConfig;

use super::{Engine, Inner, millis};
use crate::committer::{Desk, Job, JobQueue};
use crate::error::StartError;
use crate::fanout::Ends;
use crate::limits::REPLAY_THREADS;
use crate::on_panic::OnPanic;
use crate::sys::Poller;
use crate::worker::{Worker, WorkerContext};

impl Engine {
    pub(super) fn start_threads(&self, pollers: Vec<Poller>) -> Result<(), StartError> {
        let inner = &self.inner;
        let head = *inner.head.borrow();
        let head_mark = inner.mark(head);
        for (number, poller) in pollers.into_iter().enumerate() {
            let context = WorkerContext {
                mailbox: Arc::clone(&inner.mailboxes[number]),
                replay: Arc::clone(&inner.replay),
                store: Arc::clone(&inner.store),
                counters: Arc::clone(&inner.counters),
                closed_connections: Arc::clone(&inner.closed_connections),
                run: inner.run(),
                clock: inner.clock,
                peer_patience: inner.config.peer_patience,
            };
            let config = ShardConfig {
                epoch: inner.store.identity().epoch,
                head: head_mark,
                heartbeat_ms: millis(inner.config.heartbeat),
                connection_age_max_ms: inner.config.connection_age_max.map(millis),
                ring_bytes_max: inner.config.ring_bytes_max / inner.mailboxes.len(),
                window_bytes_max: inner.config.compression_bytes_max / inner.mailboxes.len(),
                seed: inner.config.seed.wrapping_add(number as u64),
            };
            let worker = Worker::new(context, poller, config);
            self.spawn(&format!("worker-{number}"), move || worker.run())?;
        }
        for number in 0..REPLAY_THREADS {
            let (replay, store) = (Arc::clone(&inner.replay), Arc::clone(&inner.store));
            self.spawn(&format!("replay-{number}"), move || replay.run(&*store))?;
        }
        let fanout = Arc::clone(inner);
        self.spawn("fanout", move || fanout.fanout.run(&fanout.ends()))?;
        let committer = Arc::clone(inner);
        self.spawn("committer", move || {
            let (store, timings) = (&committer.store, &committer.counters.timings);
            let ends = committer.ends();
            committer.committer.run(store, timings, || committer.fanout.lead(&ends));
        })?;
        let engine = self.clone();
        self.spawn("wills", move || engine.carry_out_wills(head))
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
        let builder = std::thread::Builder::new().name(format!("tidings-{name}"));
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        let guarded = move || {
            let _guard = OnPanic(|| inner.give_up(&name));
            run();
        };
        let thread = builder.spawn(guarded).map_err(StartError::Resources)?;
        self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }
}

impl Inner {
    /// What the fan-out reads, and where it goes.
    fn ends(&self) -> Ends<'_> {
        Ends {
            store: &*self.store,
            mailboxes: &self.mailboxes,
            recent: &self.recent,
            forgetting: &self.forgetting,
            head: &self.head,
            counters: &self.counters,
            stopping: &self.stopping,
        }
    }

    /// Ends everything that waits for a thread that has panicked: the engine does not work without
    /// it.
    fn give_up(&self, thread: &str) {
        tracing::error!(thread, "a thread of the hub panicked; the hub has to be started again");
        self.counters.start_draining();
        self.committer.abandon();
        self.replay.stop();
        self.panicked.send_if_modified(|panicked| {
            let is_first = panicked.is_none();
            panicked.get_or_insert_with(|| thread.into());
            is_first
        });
    }
}

impl Desk for Inner {
    fn queue(&self) -> &JobQueue {
        &self.committer.queue
    }

    fn is_open(&self) -> bool {
        self.store.appends_anywhere()
    }

    fn commit(&self, job: Job) {
        let _guard = OnPanic(|| self.give_up("committer"));
        self.committer.commit(&*self.store, vec![job], &self.counters.timings);
    }

    fn committed(&self) {
        let _guard = OnPanic(|| self.give_up("committer"));
        self.fanout.lead(&self.ends());
    }
}
