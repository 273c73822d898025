//! A connection that has its thread alone: the thread commits what it publishes.

use super::*;

/// A log that hangs when a thread for requests appends, until it may go on.
struct Hanging {
    log: MemoryStore,
    came: Sender<()>,
    opened: Mutex<Receiver<()>>,
}

impl LogLayer for Hanging {
    fn under(&self) -> &dyn Log {
        &self.log
    }

    fn appends_anywhere(&self) -> bool {
        true
    }

    fn append(
        &self,
        drafts: Vec<Draft>,
        judged: Option<Position>,
        now: Timestamp,
    ) -> Result<Vec<Appended>, AppendError> {
        if thread::current().name().is_some_and(|name| name.starts_with("tidings-http-")) {
            let _ = self.came.send(());
            let _ = self.opened.lock().unwrap().recv();
        }
        self.append_below(drafts, judged, now)
    }
}

/// Publishes until the thread of the connection hangs in an append, and returns the connection,
/// which then waits for the answer to that one.
fn publish_until_it_hangs(server: &TestServer, has_come: &Receiver<()>) -> Connection {
    let mut connection = server.connect();
    loop {
        connection.send(request("POST", "/events/a", &[], b"x"));
        // Until the committer sleeps, it is the one that appends, and there is an answer.
        let began = server.engine().head();
        loop {
            if has_come.try_recv().is_ok() {
                return connection;
            }
            if server.engine().head() > began {
                break;
            }
            thread::yield_now();
        }
        assert_eq!(connection.response().status(), 200);
    }
}

#[test]
fn a_log_that_hangs_holds_nobody_but_its_publishers() {
    if is_portable() {
        return; // It has no such threads.
    }
    let (came, has_come) = channel();
    let (open, opened) = channel();
    let log = Hanging { log: memory(), came, opened: Mutex::new(opened) };
    let server = server(1, Arc::new(Layered(log)));
    let mut subscriber = server.subscribe("/events/a", &[]);
    let mut alone = publish_until_it_hangs(&server, &has_come);
    let head = server.engine().head().get();
    for _ in 0..head {
        assert!(subscriber.event().is_some());
    }
    // Those that come now are served elsewhere.
    assert_eq!(server.request("GET", "/nothing/here", &[], "").status(), 404);
    let page = server.get_json("/events/a").json();
    assert_eq!(page["events"].as_array().unwrap().len() as u64, head);
    let mut late = server.subscribe("/events/a", &[]);
    let mut other = server.connect();
    other.send(request("POST", "/events/a", &[], b"y"));
    assert_eq!(server.engine().head().get(), head);
    drop(open);
    assert_eq!(alone.response().json()["id"], format!("{EPOCH}:{}", head + 1));
    assert_eq!(other.response().json()["id"], format!("{EPOCH}:{}", head + 2));
    for stream in [&mut subscriber, &mut late] {
        assert!(stream.event().unwrap().contains("data: x\n"));
        assert!(stream.event().unwrap().contains("data: y\n"));
    }
}

#[test]
fn connections_that_come_between_its_commits_come_to_the_same_thread() {
    let (log, threads) = watched();
    let server = server(1, log);
    let mut alone = server.connect();
    for _ in 0..20 {
        assert_eq!(publish(&mut alone, "x").status(), 200);
        assert_eq!(publish(&mut server.connect(), "y").status(), 200);
    }
    let expected: &[&str] = if is_portable() { &[] } else { &["tidings-http-0"] };
    assert_eq!(threads(), expected);
}
