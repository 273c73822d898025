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
use std::thread::JoinHandle;

use tidings_engine::{carry_publishes, outlived_by};
use tokio::runtime::{Builder, Handle};

/// The threads, as those see them that have connections for them.
pub(crate) struct RequestThreads(Vec<RequestThread>);

struct RequestThread {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

/// The running threads.
pub(crate) struct Running(Vec<JoinHandle<()>>);

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
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            let (is_over, shared) = (is_over(), Handle::current());
            let thread = std::thread::Builder::new().name(format!("tidings-http-{number}"));
            running.push(thread.spawn(move || {
                outlived_by(shared);
                runtime.spawn(carry_publishes());
                runtime.block_on(is_over);
                // Dropped, it would wait for reads of a store that hangs.
                runtime.shutdown_background();
            })?);
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
    /// Waits for the threads to end, which cuts the connections that are left on them.
    pub(crate) async fn ended(self) {
        let joined = tokio::task::spawn_blocking(|| {
            for thread in self.0 {
                // Panics of tasks stay with them, and have been reported.
                let _ = thread.join();
            }
        });
        let _ = joined.await;
    }
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
        running.ended().await;
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
        running.ended().await;
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
        running.ended().await;
        drop(return_it);
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
        running.ended().await;
    }
}
