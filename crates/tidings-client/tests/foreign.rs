//! Servers we did not write a line of: Node's `http`, killed and started again under the client.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tidings_client::{Cause, EventSource, Item, ReadError};

#[path = "../../tidings-testkit/src/ports.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a module of the testkit")]
mod ports;

struct Node {
    script: &'static str,
    port: u16,
    process: Child,
}

impl Node {
    /// None, and a word about it, where there is no Node.
    fn start(script: &'static str) -> Option<Self> {
        let port = ports::free();
        match spawn(script, port) {
            Ok(process) => Some(Self { script, port, process }),
            Err(error) => {
                eprintln!("SKIPPED: node cannot be started: {error}");
                None
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.process = spawn(self.script, self.port).unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(script: &str, port: u16) -> std::io::Result<Child> {
    let mut process = Command::new("node")
        .arg(format!("{}/tests/foreign/{script}", env!("CARGO_MANIFEST_DIR")))
        .arg(port.to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ready = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready)?;
    assert_eq!(ready, "ready\n", "{script} did not start");
    Ok(process)
}

async fn item(source: &mut EventSource) -> Item {
    source.next().await.unwrap().unwrap()
}

async fn event(source: &mut EventSource) -> (String, String) {
    let event = source.next_event().await.unwrap().unwrap();
    (event.event_type().to_owned(), event.into_data())
}

/// How long the source is going to wait; and lets it think that it has.
async fn lose_and_wait(source: &mut EventSource) -> (Cause, Duration) {
    let lost = loop {
        match item(source).await {
            Item::Reconnecting(lost) => break *lost,
            Item::Event(_) => {}
            other => panic!("{other:?}"),
        }
    };
    tokio::time::pause();
    tokio::time::advance(lost.wait).await;
    tokio::time::resume();
    (lost.cause, lost.wait)
}

fn seconds(range: std::ops::Range<u64>) -> std::ops::Range<Duration> {
    Duration::from_secs(range.start)..Duration::from_secs(range.end)
}

#[tokio::test]
async fn a_clock_that_is_killed_and_started_again_is_heard_again() {
    let Some(mut clock) = Node::start("clock.js") else { return };
    let mut source = EventSource::open(&clock.url("/")).unwrap();
    assert!(matches!(item(&mut source).await, Item::Open(_)));
    let (first_type, first) = event(&mut source).await;
    let (_, second) = event(&mut source).await;
    assert_eq!(first_type, "message");
    assert!(first < second, "{first} and then {second}");

    clock.kill();
    let (cause, wait) = lose_and_wait(&mut source).await;
    assert!(matches!(cause, Cause::Network(_)), "{cause:?}");
    // The usual three seconds, and up to half as much again.
    assert!(seconds(3..5).contains(&wait), "{wait:?}");
    let (cause, wait) = lose_and_wait(&mut source).await;
    assert!(matches!(cause, Cause::Network(error) if error.is_connect()));
    assert!(seconds(6..9).contains(&wait), "{wait:?}");

    clock.start_again();
    assert!(matches!(item(&mut source).await, Item::Open(_)));
    let (_, third) = event(&mut source).await;
    assert!(second < third, "{second} and then {third}");
}

#[tokio::test]
async fn a_server_that_asks_for_ten_seconds_is_given_ten_seconds() {
    let Some(mut server) = Node::start("connecttime.js") else { return };
    let mut source = EventSource::open(&server.url("/stream")).unwrap();
    assert!(matches!(item(&mut source).await, Item::Open(_)));
    let (event_type, connected) = event(&mut source).await;
    assert_eq!(event_type, "connecttime");
    assert!(connected.contains("GMT"), "{connected}");
    assert_eq!(event(&mut source).await.0, "message");

    server.kill();
    let (_, wait) = lose_and_wait(&mut source).await;
    assert!(seconds(10..15).contains(&wait), "{wait:?}");
    server.start_again();
    assert!(matches!(item(&mut source).await, Item::Open(_)));
    assert_eq!(event(&mut source).await.0, "connecttime");
    assert_eq!(event(&mut source).await.0, "message");
}

#[tokio::test]
async fn a_wrong_path_is_the_end() {
    let Some(server) = Node::start("connecttime.js") else { return };
    let mut source = EventSource::open(&server.url("/wrong")).unwrap();
    let error = source.next().await.unwrap().unwrap_err();
    assert!(matches!(&error, ReadError::Status(refusal) if refusal.status == 404));
}
