//! Peers that stall stay connected; peers that vanish are found.
//!
//! A peer vanishes when its machine loses power or its network: no FIN, no reset, packets go
//! nowhere. The test takes down the link of a network namespace, which needs root; without root it
//! says so and is skipped.

#![allow(clippy::print_stderr)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tidings_hub::CloseReason;
use tidings_testkit::http::request;
use tidings_testkit::server::{TestServer, is_portable};

const SERVER: &str = "10.213.77.1";
const CLIENT: &str = "10.213.77.2";

/// A network namespace with a link to this one; removed at the end.
struct Elsewhere {
    name: String,
}

impl Elsewhere {
    fn make() -> Option<Self> {
        let name = format!("tidings{}", std::process::id());
        let elsewhere = Self { name };
        let (ns, ours, theirs) = (&elsewhere.name, elsewhere.ours(), elsewhere.theirs());
        let steps = [
            format!("netns add {ns}"),
            format!("link add {ours} type veth peer name {theirs}"),
            format!("link set {theirs} netns {ns}"),
            format!("addr add {SERVER}/30 dev {ours}"),
            format!("link set {ours} up"),
            format!("-n {ns} addr add {CLIENT}/30 dev {theirs}"),
            format!("-n {ns} link set {theirs} up"),
        ];
        steps.iter().all(|step| ip(step)).then_some(elsewhere)
    }

    fn ours(&self) -> String {
        format!("td{}a", std::process::id() % 1_000_000)
    }

    fn theirs(&self) -> String {
        format!("td{}b", std::process::id() % 1_000_000)
    }

    /// `curl` in the namespace, subscribed to `url`.
    fn listen(&self, url: &str) -> Child {
        Command::new("ip")
            .args(["netns", "exec", &self.name, "curl", "-sN", url])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Cuts the link, so that nothing more comes from there.
    fn vanish(&self) {
        assert!(ip(&format!("-n {} link set {} down", self.name, self.theirs())));
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        ip(&format!("link del {}", self.ours()));
        ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> bool {
    let command = Command::new("ip")
        .args(arguments.split(' '))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    command.is_ok_and(|status| status.success())
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn closes(server: &TestServer, reason: CloseReason) -> u64 {
    let closes = server.engine().status().closes;
    closes.into_iter().find(|(r, _)| *r == reason).unwrap().1
}

#[test]
fn a_subscriber_that_ends_its_sending_side_still_gets_events() {
    if is_portable() {
        eprintln!("SKIPPED: a response body sees a connection close only by the end of that side");
        return;
    }
    let server = TestServer::start();
    let mut half_closed = server.connect();
    half_closed.send(request("GET", "/events/a", &[], b""));
    // At once, as `nc` does at the end of its standard input.
    half_closed.finish();
    assert_eq!(half_closed.head().status, 200);
    let mut later = server.subscribe("/events/a", &[]);
    later.finish();
    for number in 0..3 {
        assert_eq!(server.post("/events/a", format!("event {number}")).status(), 200);
    }
    for stream in [&mut half_closed, &mut later] {
        assert!(stream.reads(b"data: event 2\n"));
    }
    assert_eq!(server.engine().status().subscribers, 2);
    server.stop();
}

#[test]
fn a_subscriber_that_closes_is_noticed_without_an_event() {
    let server =
        TestServer::builder().engine(|engine| engine.heartbeat = Duration::from_secs(3600)).start();
    let streams: Vec<_> = (0..20).map(|_| server.subscribe("/events/a", &[])).collect();
    until("they are there", || server.engine().status().subscribers == 20);
    drop(streams);
    until("they are gone", || server.engine().status().subscribers == 0);
    server.stop();
}

#[test]
fn a_vanished_peer_is_found_and_a_stalled_one_stays() {
    if is_portable() {
        eprintln!("SKIPPED: a response body does not see its connection");
        return;
    }
    let Some(elsewhere) = Elsewhere::make() else {
        eprintln!("SKIPPED: cannot create a network namespace here (needs root and iproute2)");
        return;
    };
    let server = TestServer::builder()
        .config(|config| {
            config.http.listen = vec![SocketAddr::new(SERVER.parse().unwrap(), 0)];
            config.http.open = true;
        })
        .engine(|engine| {
            engine.heartbeat = Duration::from_millis(200);
            engine.peer_patience = Duration::from_secs(1);
        })
        .start();

    // The stalled peer is alive but reads nothing, while far more is sent than fits its window.
    let mut stalled = TcpStream::connect(server.address()).unwrap();
    stalled.write_all(b"GET /events/a HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut vanishing = elsewhere.listen(&server.url("/events/a"));
    until("both subscribe", || server.engine().status().subscribers == 2);
    vanishing.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let event = "x".repeat(100_000);
    for _ in 0..100 {
        assert_eq!(server.post("/events/a", &event).status(), 200);
    }

    elsewhere.vanish();
    assert_eq!(server.post("/events/a", &event).status(), 200);
    until("the vanished one is found", || closes(&server, CloseReason::PeerVanished) == 1);
    assert_eq!(server.engine().status().subscribers, 1, "the stalled one is still there");
    vanishing.kill().unwrap();
    vanishing.wait().unwrap();
    server.stop();
}
