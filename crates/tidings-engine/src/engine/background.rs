//! Work that goes on when the request that began it is gone.
//!
//! A request may be dropped wherever it waits: its client has left, or the hub shuts down. A thread
//! that has a runtime of its own for its requests also ends before the hub does, and its runtime
//! cuts the tasks that are left on it in silence. So nothing that must outlive a request is spawned
//! on the runtime that the request happens to be on. There are two kinds:
//!
//! - [`spawn_outliving`] for what others may be waiting for, too, and which a shutdown may cut.
//! - [`Engine::run_to_end`] for what was promised, or would be wrong if only a part of it were
//!   done: [`Engine::stop`] waits for it, and says in the log what has not ended.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Engine, Inner};
use crate::limits::RUNS_TO_END_MAX;

thread_local! {
    /// The runtime that outlives the one of this thread, if there is one.
    static OUTLIVING: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// Says that the runtime of this thread ends before `runtime`, which is to run what is
/// [to outlive](spawn_outliving) it.
pub fn outlived_by(runtime: Handle) {
    OUTLIVING.set(Some(runtime));
}

/// Runs `task` where it outlives the request, and the thread, that began it.
///
/// # Panics
///
/// On a thread without a runtime.
pub fn spawn_outliving<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match OUTLIVING.with_borrow(Clone::clone) {
        Some(runtime) => runtime.spawn(task),
        None => tokio::spawn(task),
    }
}

/// What was begun and has not ended.
pub(super) struct Begun {
    count: watch::Sender<usize>,
    /// Room for what was begun by [`Engine::run_to_end`].
    room: Arc<Semaphore>,
}

impl Default for Begun {
    fn default() -> Self {
        let room = Arc::new(Semaphore::new(RUNS_TO_END_MAX));
        Self { count: watch::Sender::default(), room }
    }
}

impl Begun {
    /// Waits until all has ended, for at most `patience`. Returns how much has not.
    pub(super) async fn ended(&self, patience: Duration) -> usize {
        // Without a timer, which a runtime need not have, unless there is something to wait for.
        if *self.count.borrow() > 0 {
            let mut count = self.count.subscribe();
            let _ = timeout(patience, count.wait_for(|count| *count == 0)).await;
        }
        *self.count.borrow()
    }
}

impl Engine {
    /// Does `work` to its end, whether or not the caller waits for that; [`stop`](Self::stop) waits
    /// for a while. `None` if it panicked, or its runtime has ended.
    pub async fn run_to_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let room = Arc::clone(&self.inner.begun.room).acquire_owned().await.ok()?;
        let running = self.begin(async move {
            let _room = room;
            work.await
        });
        running.await.ok()
    }

    /// The same for work of the engine, which has a bound of its own for each kind.
    pub(super) fn begin<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let counted = Counted::new(&self.inner);
        spawn_outliving(async move {
            let _counted = counted;
            work.await
        })
    }
}

/// One thing that was begun.
struct Counted(Arc<Inner>);

impl Counted {
    fn new(inner: &Arc<Inner>) -> Self {
        inner.begun.count.send_modify(|count| *count += 1);
        Self(Arc::clone(inner))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.begun.count.send_modify(|count| *count -= 1);
    }
}
