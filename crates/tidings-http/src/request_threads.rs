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

use tidings_engine::carry_publishes;
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
    /// Starts `count` threads, which run until `is_over` is ready.
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
            let is_over = is_over();
            let thread = std::thread::Builder::new().name(format!("tidings-http-{number}"));
            running.push(thread.spawn(move || {
                runtime.spawn(carry_publishes());
                runtime.block_on(is_over);
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
