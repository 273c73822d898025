//! The proxy for partitions, between sockets and in front of a hub.
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tidings_testkit::http::{Connection, request};
use tidings_testkit::proxy::{Direction, Flow, Proxy};
use tidings_testkit::server::TestServer;

/// Time after which a test fails that waits for something.
const PATIENCE: Duration = Duration::from_secs(20);

/// Time within which a paused direction passes nothing.
const MOMENT: Duration = Duration::from_millis(200);

/// A target with a proxy in front of it.
struct World {
    target: TcpListener,
    proxy: Proxy,
}

impl World {
    fn new() -> Self {
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start(target.local_addr().unwrap()).unwrap();
        Self { target, proxy }
    }

    /// Both ends of a new connection through the proxy.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.proxy.address()).unwrap();
        let (target, _) = self.target.accept().unwrap();
        for end in [&client, &target] {
            end.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        (client, target)
    }
}

fn read_exactly(from: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    from.read_exact(&mut bytes).unwrap();
    bytes
}

fn has_nothing(from: &mut TcpStream) -> bool {
    from.set_read_timeout(Some(MOMENT)).unwrap();
    let read = from.read(&mut [0]);
    from.set_read_timeout(Some(PATIENCE)).unwrap();
    read.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn is_at_its_end(from: &mut TcpStream) -> bool {
    match from.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

#[test]
fn bytes_pass_unchanged_both_ways_and_each_end_ends_alone() {
    let world = World::new();
    let (mut client, mut target) = world.connect();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let received = thread::scope(|scope| {
        scope.spawn(|| {
            client.write_all(&sent).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        target.read_to_end(&mut received).unwrap();
        received
    });
    assert!(received == sent);
    // The client has ended its direction; it still gets the answer.
    target.write_all(b"answer").unwrap();
    drop(target);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"answer");
}

#[test]
fn a_cut_closes_connections_and_new_ones_until_it_is_mended() {
    let world = World::new();
    let (mut client, mut target) = world.connect();
    client.write_all(b"a").unwrap();
    assert_eq!(read_exactly(&mut target, 1), b"a");
    world.proxy.cut();
    assert!(is_at_its_end(&mut client));
    assert!(is_at_its_end(&mut target));
    assert_eq!(world.proxy.connections(), 0);
    let mut refused = TcpStream::connect(world.proxy.address()).unwrap();
    refused.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(is_at_its_end(&mut refused));
    world.proxy.mend();
    let (mut client, mut target) = world.connect();
    client.write_all(b"b").unwrap();
    assert_eq!(read_exactly(&mut target, 1), b"b");
}

#[test]
fn a_paused_direction_holds_bytes_and_the_end_back_while_the_other_one_flows() {
    for (direction, forth) in [(Direction::ToTarget, true), (Direction::ToClient, false)] {
        let world = World::new();
        let (client, target) = world.connect();
        let (mut near, mut far) = if forth { (client, target) } else { (target, client) };
        world.proxy.set(direction, Flow::Paused);
        near.write_all(b"held").unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        assert!(has_nothing(&mut far), "{direction:?}");
        far.write_all(b"free").unwrap();
        assert_eq!(read_exactly(&mut near, 4), b"free");
        assert!(has_nothing(&mut far), "{direction:?}");
        world.proxy.mend();
        let mut held = Vec::new();
        far.read_to_end(&mut held).unwrap();
        assert_eq!(held, b"held");
    }
}

#[test]
fn a_connection_made_during_a_pause_is_accepted_and_heard_afterwards() {
    let world = World::new();
    world.proxy.set_both(Flow::Paused);
    let (mut client, mut target) = world.connect();
    client.write_all(b"hello").unwrap();
    assert!(has_nothing(&mut target));
    world.proxy.mend();
    assert_eq!(read_exactly(&mut target, 5), b"hello");
}

#[test]
fn a_pause_can_be_cut() {
    let world = World::new();
    world.proxy.set_both(Flow::Paused);
    let (mut client, mut target) = world.connect();
    client.write_all(b"lost").unwrap();
    world.proxy.cut();
    assert!(is_at_its_end(&mut client));
    assert!(is_at_its_end(&mut target), "what was held back is gone");
}

#[test]
fn a_slow_direction_passes_everything_at_its_rate() {
    let world = World::new();
    world.proxy.set(Direction::ToTarget, Flow::Slow { bytes_per_second: 20_000 });
    let (mut client, mut target) = world.connect();
    let began = Instant::now();
    client.write_all(&[7; 6000]).unwrap();
    assert!(read_exactly(&mut target, 6000) == [7; 6000]);
    // A sleep is never shorter than it should be.
    assert!(began.elapsed() >= Duration::from_millis(290), "{:?}", began.elapsed());
}

#[test]
fn an_end_of_the_target_reaches_the_client() {
    let world = World::new();
    let (mut client, target) = world.connect();
    drop(target);
    assert!(is_at_its_end(&mut client));
    // A target that listens no more accepts nothing, and neither does the proxy for it.
    let World { target, proxy } = world;
    drop(target);
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(is_at_its_end(&mut client));
}

#[test]
fn a_subscriber_behind_a_pause_gets_its_events_late_and_all_of_them() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.address()).unwrap();
    let mut subscriber = Connection::open(proxy.address());
    let headers = [("accept", "text/event-stream")];
    subscriber.send(request("GET", "/events/t", &headers, b""));
    assert_eq!(subscriber.head().status, 200);
    proxy.set(Direction::ToClient, Flow::Paused);
    for number in 0..20 {
        assert_eq!(server.post("/events/t", format!("number {number}")).head.status, 200);
    }
    proxy.mend();
    for number in 0..20 {
        let event = subscriber.event().unwrap();
        assert!(event.contains(&format!("data: number {number}\n")), "{event}");
    }
}
