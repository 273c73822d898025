//! Threads that answer the requests of HTTP/1.1 connections, each with a runtime of its own.
//!
//! A runtime of many threads shares its tasks among them, and pays for that at every step: whoever
//! finds work wakes another thread to look for more, and an answer goes through a queue that all
//! threads read. A publisher that sends one event after the other waits for three such wake-ups.
//! Here a connection stays with one thread, and the thread's publishes go to the committer together
//! and come back together ([`carry_publishes`]). Event streams leave these threads with their first
//! bytes: shards write them.
//!
//! A thread that has one connection may also wait for the disk in which the store keeps a publish:
//! that is quicker than two switches of threads, and nobody else waits with it. As long as it does,
//! it gets no other connection. A disk that hangs so holds the connections that publish, and no
//! other one.
//!
//! TLS handshakes and HTTP/2 stay where the connection was accepted, so that a crowd that comes
//! back, and streams that the HTTP library writes, have all processors.
//!
//! A thread ends before the hub does, and cuts what is left on it. So work that a request begins
//! and that must go on without it is not spawned here (`tidings_engine::spawn_outliving`).
//!
//! Figures: `docs/decisions/0058-what-a-publish-pays-for.md`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tidings_engine::{carry_publishes, outlived_by};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::limits::{
    BLOCKED_PATIENCE, BLOCKED_PAUSE, REQUEST_BLOCKING_THREADS_MAX, REQUEST_BLOCKING_THREADS_MIN,
    REQUEST_THREADS_END_MAX,
};

/// The threads, as those see them that have connections for them.
pub(crate) struct RequestThreads(Vec<RequestThread>);

struct RequestThread {
    runtime: Handle,
    load: Arc<Load>,
}

/// What a thread has to do.
#[derive(Default)]
struct Load {
    connections: AtomicUsize,
    /// It waits for a disk.
    is_blocked: AtomicBool,
}

/// The running threads, by their names, each with what is closed when it ends.
pub(crate) struct Running(Vec<(String, oneshot::Receiver<()>)>);

impl RequestThreads {
    /// Starts `count` threads, which run until `is_over` is ready. What is to outlive them runs on
    /// the runtime of the caller.
    ///
    /// # Errors
    ///
    /// The system refuses one. Those that run already end as the others would.
    pub(crate) fn start<F>(count: usize, is_over: impl Fn() -> F) -> io::Result<(Self, Running)>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (mut threads, mut running) = (Vec::new(), Vec::new());
        for number in 0..count {
            let mut builder = Builder::new_current_thread();
            builder.enable_all().max_blocking_threads(blocking_threads(count));
            let runtime = builder.build()?;
            let handle = runtime.handle().clone();
            let (is_over, shared) = (is_over(), Handle::current());
            let load = Arc::<Load>::default();
            let own = Arc::clone(&load);
            let name = format!("tidings-http-{number}");
            let (end, ended) = oneshot::channel::<()>();
            std::thread::Builder::new().name(name.clone()).spawn(move || {
                let _end = end;
                outlived_by(shared);
                runtime.spawn(carry_publishes(move || Blocked::begin(&own)));
                runtime.block_on(is_over);
                // Dropped, it would wait for reads of a store that hangs.
                runtime.shutdown_background();
            })?;
            running.push((name, ended));
            threads.push(RequestThread { runtime: handle, load });
        }
        Ok((Self(threads), Running(running)))
    }

    /// A place for a connection, on the thread that has the fewest. If all wait for a disk, one of
    /// them is waited for; `None` if that takes too long.
    pub(crate) async fn place(&self) -> Option<Place<'_>> {
        let thread = self.0.iter().min_by_key(|thread| thread.load.now())?;
        let counted = Counted::new(&thread.load);
        // It finishes what it has begun, and sees that it has another connection.
        let unblocked = async {
            while thread.load.is_blocked.load(Ordering::SeqCst) {
                sleep(BLOCKED_PAUSE).await;
            }
        };
        timeout(BLOCKED_PATIENCE, unblocked).await.ok()?;
        Some(Place { runtime: &thread.runtime, counted })
    }
}

/// A place for a connection, on one of the threads.
pub(crate) struct Place<'a> {
    runtime: &'a Handle,
    counted: Counted,
}

impl Place<'_> {
    /// Runs what serves the connection there.
    pub(crate) fn spawn(self, serve: impl Future<Output = ()> + Send + 'static) {
        let counted = self.counted;
        self.runtime.spawn(async move {
            let _counted = counted;
            serve.await;
        });
    }
}

impl Load {
    /// Whether the thread waits for a disk, and the number of its connections.
    fn now(&self) -> (bool, usize) {
        (self.is_blocked.load(Ordering::SeqCst), self.connections.load(Ordering::SeqCst))
    }
}

/// A thread waits for a disk.
struct Blocked(Arc<Load>);

impl Blocked {
    /// Before the thread waits; `None` if it has connections besides the one that makes it wait.
    fn begin(load: &Arc<Load>) -> Option<Self> {
        if load.now().1 > 1 {
            return None;
        }
        // Both sides say first what they do, and then look at the other: so at least one of them
        // sees that they met, and gives way.
        load.is_blocked.store(true, Ordering::SeqCst);
        let blocked = Self(Arc::clone(load));
        (load.now().1 <= 1).then_some(blocked)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        self.0.is_blocked.store(false, Ordering::SeqCst);
    }
}

impl Running {
    /// Waits for the threads to end, which cuts the connections that are left on them. Returns the
    /// names of those that have not after [`REQUEST_THREADS_END_MAX`]: something on them blocks.
    pub(crate) async fn ended(self) -> Vec<String> {
        let end = Instant::now() + REQUEST_THREADS_END_MAX;
        let mut left = Vec::new();
        for (name, ended) in self.0 {
            if timeout_at(end, ended).await.is_err() {
                left.push(name);
            }
        }
        left
    }
}

/// Threads for calls that block that one of `count` request threads has.
fn blocking_threads(count: usize) -> usize {
    (REQUEST_BLOCKING_THREADS_MAX / count.max(1)).max(REQUEST_BLOCKING_THREADS_MIN)
}

/// One of the connections of a thread.
struct Counted(Arc<Load>);

impl Counted {
    fn new(load: &Arc<Load>) -> Self {
        load.connections.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(load))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::pending;
    use std::thread;

    use tokio::sync::{mpsc, watch};

    use super::*;

    /// `count` threads, and what ends them when it is dropped.
    fn start(count: usize) -> (RequestThreads, Running, watch::Sender<()>) {
        let (end, ending) = watch::channel(());
        let (threads, running) = RequestThreads::start(count, || {
            let mut ending = ending.clone();
            async move { while ending.changed().await.is_ok() {} }
        })
        .unwrap();
        (threads, running, end)
    }

    fn connections(threads: &RequestThreads) -> Vec<usize> {
        threads.0.iter().map(|thread| thread.load.now().1).collect()
    }

    #[tokio::test]
    async fn a_connection_goes_to_the_thread_with_the_fewest() {
        let (threads, running, end) = start(3);
        let (went, mut names) = mpsc::unbounded_channel();
        let connect = async |threads: &RequestThreads| {
            let (close, closed) = tokio::sync::oneshot::channel::<()>();
            let went = went.clone();
            threads.place().await.unwrap().spawn(async move {
                let _ = went.send(thread::current().name().unwrap().to_owned());
                let _ = closed.await;
                let _ = went.send("closed".to_owned());
            });
            close
        };
        let mut open = Vec::new();
        for _ in 0..6 {
            open.push(connect(&threads).await);
        }
        let mut on = Vec::new();
        for _ in 0..6 {
            on.push(names.recv().await.unwrap());
        }
        on.sort();
        let twice = |number| [format!("tidings-http-{number}"), format!("tidings-http-{number}")];
        assert_eq!(on, [twice(0), twice(1), twice(2)].concat());
        assert_eq!(connections(&threads), [2, 2, 2]);
        // The second thread loses one, and gets the next one.
        drop(open.remove(1));
        assert_eq!(names.recv().await.unwrap(), "closed");
        while connections(&threads) != [2, 1, 2] {
            tokio::task::yield_now().await;
        }
        open.push(connect(&threads).await);
        assert_eq!(names.recv().await.unwrap(), "tidings-http-1");
        drop(end);
        assert!(running.ended().await.is_empty());
        assert_eq!(connections(&threads), [0, 0, 0]);
    }

    #[tokio::test]
    async fn what_is_left_on_a_thread_ends_with_it() {
        let (threads, running, end) = start(1);
        let (held, mut left) = mpsc::channel::<()>(1);
        threads.place().await.unwrap().spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        drop(end);
        assert!(running.ended().await.is_empty());
        assert_eq!(left.recv().await, None);
        // One that comes too late is dropped.
        let (held, mut left) = mpsc::channel::<()>(1);
        threads.place().await.unwrap().spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        assert_eq!(left.recv().await, None);
        assert_eq!(connections(&threads), [0]);
    }

    #[tokio::test]
    async fn a_thread_ends_although_a_call_that_blocks_does_not() {
        let (threads, running, end) = start(1);
        let (return_it, returned) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel();
        threads.place().await.unwrap().spawn(async move {
            let call = tokio::task::spawn_blocking(move || {
                let _ = begin.send(());
                let _ = returned.recv();
            });
            let _ = call.await;
        });
        begun.await.unwrap();
        drop(end);
        assert!(running.ended().await.is_empty());
        drop(return_it);
    }

    #[tokio::test]
    async fn a_thread_that_a_request_blocks_does_not_hold_up_the_end_of_the_others() {
        let (threads, running, end) = start(2);
        let (return_it, returned) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel();
        threads.place().await.unwrap().spawn(async move {
            let _ = begin.send(());
            let _ = returned.recv();
        });
        begun.await.unwrap();
        drop(end);
        assert_eq!(running.ended().await, ["tidings-http-0"]);
        drop(return_it);
    }

    #[tokio::test]
    async fn calls_that_block_have_a_bounded_number_of_threads() {
        let (threads, running, end) = start(64);
        let (began, mut has_begun) = mpsc::unbounded_channel();
        let (return_them, returned) = watch::channel(());
        let call = move || {
            let (began, mut returned) = (began.clone(), returned.clone());
            tokio::task::spawn_blocking(move || {
                let _ = began.send(());
                let _ = Handle::current().block_on(returned.changed());
            })
        };
        let (all, all_there) = oneshot::channel();
        threads.place().await.unwrap().spawn(async move {
            let calls: Vec<_> = (0..=REQUEST_BLOCKING_THREADS_MIN).map(|_| call()).collect();
            let _ = all.send(calls);
        });
        let calls = all_there.await.unwrap();
        for _ in 0..REQUEST_BLOCKING_THREADS_MIN {
            has_begun.recv().await.unwrap();
        }
        assert!(has_begun.try_recv().is_err(), "one more waits");
        drop(return_them);
        has_begun.recv().await.unwrap();
        for call in calls {
            call.await.unwrap();
        }
        drop(end);
        assert!(running.ended().await.is_empty());
    }

    #[tokio::test]
    async fn a_panic_of_one_connection_leaves_the_others() {
        let (threads, running, end) = start(1);
        threads.place().await.unwrap().spawn(async { panic!("of a connection, on purpose") });
        let (answer, answered) = tokio::sync::oneshot::channel();
        threads.place().await.unwrap().spawn(async move {
            let _ = answer.send(());
        });
        answered.await.unwrap();
        while connections(&threads) != [0] {
            tokio::task::yield_now().await;
        }
        drop(end);
        assert!(running.ended().await.is_empty());
    }

    #[tokio::test]
    async fn a_thread_that_waits_for_a_disk_gets_no_connection_meanwhile() {
        let (threads, running, end) = start(2);
        let first = threads.place().await.unwrap();
        let blocked = Blocked::begin(&threads.0[0].load).unwrap();
        let second = threads.place().await.unwrap();
        let third = threads.place().await.unwrap();
        assert_eq!(connections(&threads), [1, 2]);
        assert!(Blocked::begin(&threads.0[1].load).is_none(), "it has two connections");
        drop((first, second, third));
        // All of them wait: until one is back, or too long.
        let other = Blocked::begin(&threads.0[1].load).unwrap();
        assert!(threads.place().await.is_none());
        let (place, ()) = tokio::join!(threads.place(), async { drop(blocked) });
        assert_eq!(connections(&threads), [1, 0]);
        drop((place.unwrap(), other));
        assert_eq!(connections(&threads), [0, 0]);
        drop(end);
        assert!(running.ended().await.is_empty());
    }
}
