//! Threads that answer the requests of HTTP/1.1 connections, each with a runtime of its own.
//!
//! A runtime of many threads shares its tasks among them, and pays for that at every step: whoever
//! finds work wakes another thread to look for more, and an answer goes through a queue that all
//! threads read. A publisher that sends one event after the other waits for three such wake-ups.
//! Here a connection stays with one thread, and the thread's publishes go to the committer together
//! and come back together ([`carry_publishes`]). Event streams leave these threads with their first
//! bytes: shards write them.
//!
//! TLS handshakes and HTTP/2 stay where the connection was accepted, so that a crowd that comes
//! back, and streams that the HTTP library writes, have all processors.
//!
//! Figures: `docs/decisions/0058-what-a-publish-pays-for.md`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidings_engine::{carry_publishes, outlived_by};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::limits::{
    REQUEST_BLOCKING_THREADS_MAX, REQUEST_BLOCKING_THREADS_MIN, REQUEST_THREADS_END_MAX,
};

/// The threads, as those see them that have connections for them.
pub(crate) struct RequestThreads(Vec<RequestThread>);

struct RequestThread {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
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
            let name = format!("tidings-http-{number}");
            let (end, ended) = oneshot::channel::<()>();
            std::thread::Builder::new().name(name.clone()).spawn(move || {
                let _end = end;
                outlived_by(shared);
                runtime.spawn(carry_publishes());
                runtime.block_on(is_over);
                // Dropped, it would wait for reads of a store that hangs.
                runtime.shutdown_background();
            })?;
            running.push((name, ended));
            threads.push(RequestThread { runtime: handle, connections: Arc::default() });
        }
        Ok((Self(threads), Running(running)))
    }

    /// Runs what serves a connection on the thread that has the fewest.
    pub(crate) fn spawn(&self, serve: impl Future<Output = ()> + Send + 'static) {
        let few = self.0.iter().min_by_key(|thread| thread.connections.load(Ordering::Relaxed));
        let Some(thread) = few else { return };
        let counted = Counted::new(&thread.connections);
        thread.runtime.spawn(async move {
            let _counted = counted;
            serve.await;
        });
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
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connections))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
        threads.0.iter().map(|thread| thread.connections.load(Ordering::Relaxed)).collect()
    }

    #[tokio::test]
    async fn a_connection_goes_to_the_thread_with_the_fewest() {
        let (threads, running, end) = start(3);
        let (went, mut names) = mpsc::unbounded_channel();
        let connect = |threads: &RequestThreads| {
            let (close, closed) = tokio::sync::oneshot::channel::<()>();
            let went = went.clone();
            threads.spawn(async move {
                let _ = went.send(thread::current().name().unwrap().to_owned());
                let _ = closed.await;
                let _ = went.send("closed".to_owned());
            });
            close
        };
        let mut open = Vec::new();
        for _ in 0..6 {
            open.push(connect(&threads));
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
        open.push(connect(&threads));
        assert_eq!(names.recv().await.unwrap(), "tidings-http-1");
        drop(end);
        assert!(running.ended().await.is_empty());
        assert_eq!(connections(&threads), [0, 0, 0]);
    }

    #[tokio::test]
    async fn what_is_left_on_a_thread_ends_with_it() {
        let (threads, running, end) = start(1);
        let (held, mut left) = mpsc::channel::<()>(1);
        threads.spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        drop(end);
        assert!(running.ended().await.is_empty());
        assert_eq!(left.recv().await, None);
        // One that comes too late is dropped.
        let (held, mut left) = mpsc::channel::<()>(1);
        threads.spawn(async move {
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
        threads.spawn(async move {
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
        threads.spawn(async move {
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
        threads.spawn(async move {
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
        threads.spawn(async { panic!("of a connection, on purpose") });
        let (answer, answered) = tokio::sync::oneshot::channel();
        threads.spawn(async move {
            let _ = answer.send(());
        });
        answered.await.unwrap();
        while connections(&threads) != [0] {
            tokio::task::yield_now().await;
        }
        drop(end);
        assert!(running.ended().await.is_empty());
    }
}
