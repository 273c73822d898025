//! HTTP/1.1 connections on threads that have a runtime of their own.

mod alone;
mod tls;

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tidings_hub::{
    AppendError, Appended, Draft, Epoch, Log, MemoryStore, Page, Position, ReadError, ReadQuery,
    SharedLog, Timestamp,
};
use tidings_testkit::http::{Connection, Response, request};
use tidings_testkit::http2::{self, Peer, kind};
use tidings_testkit::layers::{Layered, LogLayer};
use tidings_testkit::server::{EPOCH, TestServer, is_portable};

/// Time to wait before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn memory() -> MemoryStore {
    MemoryStore::new(Epoch::parse(EPOCH).unwrap(), 64 << 20, Duration::from_secs(3600))
}

/// A log that notes which threads use it, and stops some calls until it may go on.
struct Watched {
    log: MemoryStore,
    threads: Arc<Mutex<BTreeSet<String>>>,
    /// At which appends, or reads of history, say that they came and wait.
    gate: Option<(At, Sender<()>, Mutex<Receiver<()>>)>,
}

#[derive(Clone, Copy, PartialEq)]
enum At {
    Append,
    Read,
}

impl Watched {
    fn pass(&self, at: At) {
        if let Some((_, came, opened)) = self.gate.as_ref().filter(|gate| gate.0 == at) {
            let _ = came.send(());
            let _ = opened.lock().unwrap().recv();
        }
    }
}

impl LogLayer for Watched {
    fn under(&self) -> &dyn Log {
        &self.log
    }

    fn appends_anywhere(&self) -> bool {
        self.gate.is_none()
    }

    fn append(
        &self,
        drafts: Vec<Draft>,
        judged: Option<Position>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        self.pass(At::Append);
        self.append_below(drafts, judged, now)
    }

    fn read(&self, query: &ReadQuery<'_>) -> Result<Page, ReadError> {
        // The fan-out reads everything, and is not meant.
        if query.interest.is_some() {
            self.pass(At::Read);
        }
        self.log.read(query)
    }

    /// Asked by the thread that has the request, at each publish.
    fn shared(&self) -> Option<&dyn SharedLog> {
        let name = thread::current().name().unwrap_or("nameless").to_owned();
        self.threads.lock().unwrap().insert(name);
        None
    }
}

/// A log, and the threads for requests that have used it.
fn watched() -> (Arc<dyn Log>, impl Fn() -> Vec<String>) {
    let threads = Arc::<Mutex<BTreeSet<String>>>::default();
    let log = Watched { log: memory(), threads: Arc::clone(&threads), gate: None };
    let seen = move || {
        let threads = threads.lock().unwrap();
        threads.iter().filter(|name| name.starts_with("tidings-http-")).cloned().collect()
    };
    (Arc::new(Layered(log)), seen)
}

/// A log that stops `at` these calls, what says that one has come, and what opens it for ever when
/// it is dropped.
fn gated(at: At) -> (Arc<dyn Log>, Receiver<()>, Sender<()>) {
    let (came, has_come) = channel();
    let (open, opened) = channel();
    let gate = Some((at, came, Mutex::new(opened)));
    let log = Watched { log: memory(), threads: Arc::default(), gate };
    (Arc::new(Layered(log)), has_come, open)
}

fn server(threads: usize, log: Arc<dyn Log>) -> TestServer {
    let builder = TestServer::builder().store(log);
    builder.config(|config| config.http.request_threads = threads).start()
}

fn publish(connection: &mut Connection, data: &str) -> Response {
    connection.send(request("POST", "/events/a", &[], data.as_bytes()));
    connection.response()
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_connection_does_everything_where_it_is() {
    let server = TestServer::start();
    let mut connection = server.connect();
    for number in 1..=50 {
        let answer = publish(&mut connection, &format!("event {number}"));
        assert_eq!(answer.json()["id"], format!("{EPOCH}:{number}"));
    }
    let lines = "{\"data\":\"x\"}\n{\"data\":\"y\"}\n";
    let batch = [("content-type", "application/x-ndjson")];
    connection.send(request("POST", "/events/a", &batch, lines.as_bytes()));
    assert_eq!(connection.response().status(), 200);
    connection.send(request("GET", "/events/a", &[("accept", "application/json")], b""));
    let page = connection.response().json();
    assert_eq!(page["events"].as_array().unwrap().len(), 52);
    connection.send(request("GET", "/nothing/here", &[], b""));
    assert_eq!(connection.response().status(), 404);
    // A shard takes the socket.
    let from = [("accept", "text/event-stream"), ("last-event-id", &format!("{EPOCH}:51"))];
    connection.send(request("GET", "/events/a", &from, b""));
    assert_eq!(connection.head().status, 200);
    assert!(connection.event().unwrap().contains("data: y\n"));
    server.put("a", "later");
    assert!(connection.event().unwrap().contains("data: later\n"));
}

#[test]
fn requests_that_come_together_are_answered_in_their_order() {
    let server = TestServer::start();
    let mut connection = server.connect();
    let requests: Vec<u8> = (1..=30)
        .flat_map(|number| request("POST", "/events/a", &[], format!("event {number}").as_bytes()))
        .collect();
    connection.send(requests);
    for number in 1..=30 {
        assert_eq!(connection.response().json()["id"], format!("{EPOCH}:{number}"));
    }
}

#[test]
fn a_body_that_comes_in_pieces_is_read() {
    let server = TestServer::start();
    let mut connection = server.connect();
    connection.send("POST /events/a HTTP/1.1\r\nhost: localhost\r\n");
    connection.send("transfer-encoding: chunked\r\n\r\n");
    for _ in 0..20 {
        connection.send("5\r\nabcde\r\n");
        thread::yield_now();
    }
    connection.send("0\r\n\r\n");
    assert_eq!(connection.response().status(), 200);
    let page = server.get_json("/events/a").json();
    assert_eq!(page["events"][0]["data"], "abcde".repeat(20));
}

#[test]
fn connections_are_spread_and_stay_where_they_are() {
    let (log, threads) = watched();
    let server = server(2, log);
    let mut connections = [(); 4].map(|()| {
        let mut connection = server.connect();
        assert_eq!(publish(&mut connection, "x").status(), 200);
        connection
    });
    for _ in 0..10 {
        for connection in &mut connections {
            assert_eq!(publish(connection, "x").status(), 200);
        }
    }
    let expected: &[&str] = match is_portable() {
        // Event streams that the HTTP library writes need all threads.
        true => &[],
        false => &["tidings-http-0", "tidings-http-1"],
    };
    assert_eq!(threads(), expected);
}

#[test]
fn http2_and_hubs_without_these_threads_publish_on_the_shared_runtime() {
    let (log, threads) = watched();
    let with = server(2, log);
    let mut peer = Peer::connect(with.address(), &[]);
    peer.begin_post(1, "/events/a", &[http2::LOCALHOST]);
    peer.send(&http2::frame(kind::DATA, http2::END_STREAM, 1, b"x"));
    peer.until(|frame| frame.stream == 1 && frame.ends_stream());
    assert_eq!(with.engine().head().get(), 1);
    assert_eq!(threads(), <[&str; 0]>::default());

    let (log, threads) = watched();
    let without = server(0, log);
    assert_eq!(publish(&mut without.connect(), "x").status(), 200);
    assert_eq!(threads(), <[&str; 0]>::default());

    let (log, threads) = watched();
    let portable = TestServer::builder().store(log).engine(|engine| engine.portable = true);
    let portable = portable.start();
    assert_eq!(publish(&mut portable.connect(), "x").status(), 200);
    assert_eq!(threads(), <[&str; 0]>::default());
}

#[test]
fn many_publishers_and_a_subscriber() {
    const PUBLISHERS: usize = 16;
    const EACH: usize = 25;
    let server = TestServer::start();
    let mut stream = server.subscribe("/events/a", &[]);
    thread::scope(|scope| {
        for _ in 0..PUBLISHERS {
            scope.spawn(|| {
                let mut connection = server.connect();
                for _ in 0..EACH {
                    assert_eq!(publish(&mut connection, "x").status(), 200);
                }
            });
        }
        for number in 1..=PUBLISHERS * EACH {
            let event = stream.event().unwrap();
            assert!(event.contains(&format!("id: {EPOCH}:{number}\n")), "{event}");
        }
    });
}

/// More threads than any other server in this process has, so that the name of the last one says
/// that it is this server's.
const MANY: usize = 12;

/// Held by a test whose server has [`MANY`] threads.
static MANY_THREADS: Mutex<()> = Mutex::new(());

/// Whether this process has the last one of [`MANY`] threads.
#[cfg(target_os = "linux")]
fn has_many() -> bool {
    let last = format!("tidings-http-{}", MANY - 1);
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("comm"));
    threads.flatten().any(|thread| name(thread).is_ok_and(|name| name.trim_end() == last))
}

#[cfg(target_os = "linux")]
#[test]
fn a_shutdown_finishes_requests_and_ends_the_threads() {
    let _alone = MANY_THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    let (log, has_come, open) = gated(At::Append);
    let server = server(MANY, log);
    let mut idle = server.connect();
    idle.send(request("GET", "/nothing/here", &[], b""));
    assert_eq!(idle.response().status(), 404);
    assert_eq!(has_many(), !is_portable());
    let mut publisher = server.connect();
    publisher.send(request("POST", "/events/a", &[], b"x"));
    has_come.recv_timeout(PATIENCE).expect("the event comes to the log");
    let stopping = thread::spawn(move || server.stop());
    assert!(idle.is_closed());
    drop(open);
    assert_eq!(publisher.response().status(), 200);
    assert!(publisher.is_closed());
    stopping.join().unwrap();
    eventually("the threads are gone", || !has_many());
}

/// The system says that there is something to read only after the connection has moved to its
/// thread, and by then the shutdown has begun.
#[test]
fn a_connection_accepted_before_a_shutdown_has_its_first_request_answered() {
    let log = Watched { log: memory(), threads: Arc::default(), gate: None };
    let server = server(2, Arc::new(Layered(log)));
    let mut late: Vec<_> = (0..3).map(|_| server.connect()).collect();
    let mut idle = server.connect();
    idle.send(request("GET", "/healthz", &[], b""));
    assert_eq!(idle.response().status(), 200);
    let stopping = thread::spawn(move || server.stop());
    assert!(idle.is_closed());
    let publish = request("POST", "/events/a", &[], b"x");
    late[0].send(&publish);
    late[1].send(request("GET", "/healthz", &[], b""));
    late[2].send(&publish[..20]);
    thread::sleep(Duration::from_millis(20));
    late[2].send(&publish[20..]);
    for connection in &mut late {
        let answer = connection.response();
        assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
        assert!(connection.is_closed());
    }
    stopping.join().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_shutdown_cuts_a_request_that_does_not_end() {
    let _alone = MANY_THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    let server = TestServer::builder().config(|config| {
        config.http.request_threads = MANY;
        config.http.drain_max = Duration::from_millis(300);
    });
    let server = server.start();
    let mut slow = server.connect();
    slow.send("POST /events/a HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n");
    slow.send("content-length: 100\r\n\r\n");
    // It is read from here on.
    assert_eq!(slow.head().status, 100);
    assert_eq!(has_many(), !is_portable());
    slow.send("not all");
    server.stop();
    assert!(slow.is_closed());
    eventually("the threads are gone", || !has_many());
}

/// A runtime that ends waits for what runs on the threads for calls that block.
#[cfg(target_os = "linux")]
#[test]
fn a_shutdown_does_not_wait_for_a_log_that_hangs() {
    let _alone = MANY_THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    let (log, has_come, open) = gated(At::Read);
    let server = TestServer::builder().store(log).config(|config| {
        config.http.request_threads = MANY;
        config.http.drain_max = Duration::from_millis(300);
    });
    let server = server.start();
    server.put("a", "x");
    assert_eq!(has_many(), !is_portable());
    let mut reader = server.connect();
    let json = [("accept", "application/json")];
    reader.send(request("GET", "/events/a", &json, b""));
    has_come.recv_timeout(PATIENCE).expect("the request comes to the log");
    server.stop();
    assert!(reader.is_closed());
    eventually("the threads are gone", || !has_many());
    drop(open);
}
