//! Both pollers do what the worker needs of them.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::{Event, linux, portable};

const LONG: Option<Duration> = Some(Duration::from_secs(60));

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn a_bell_rung_before_or_during_the_sleep_ends_it() {
    let mut happened = Vec::new();
    let mut poller = linux::Poller::new().unwrap();
    poller.bell().ring();
    poller.wait(LONG, &mut happened).unwrap();
    let bell = poller.bell();
    let ringer = std::thread::spawn(move || bell.ring());
    poller.wait(LONG, &mut happened).unwrap();
    ringer.join().unwrap();
    assert_eq!(happened, []);
}

#[test]
fn a_sleep_is_not_shorter_than_asked_and_may_be_longer_than_the_kernel_can_count() {
    let mut happened = Vec::new();
    let mut poller = linux::Poller::new().unwrap();
    for micros in [1, 999, 1001, 2500] {
        let (timeout, began) = (Duration::from_micros(micros), Instant::now());
        poller.wait(Some(timeout), &mut happened).unwrap();
        assert!(began.elapsed() >= timeout, "a timer would find itself early");
    }
    for timeout in [Duration::from_millis(1 << 31), Duration::MAX] {
        poller.bell().ring();
        poller.wait(Some(timeout), &mut happened).unwrap();
    }
    assert_eq!(happened, []);
}

#[test]
fn the_portable_bell_does_the_same() {
    let mut happened = Vec::new();
    let mut poller = portable::Poller::new().unwrap();
    poller.bell().ring();
    poller.wait(LONG, &mut happened).unwrap();
    let bell = poller.bell();
    let ringer = std::thread::spawn(move || bell.ring());
    poller.wait(LONG, &mut happened).unwrap();
    ringer.join().unwrap();
    poller.wait(Some(Duration::ZERO), &mut happened).unwrap();
    let (client, _server) = pair();
    assert!(poller.add(&client, 1).is_err(), "it says so instead of losing events");
    assert!(portable::prepare(&client, 1).is_err());
    assert!(!portable::has_vanished(&client, Duration::ZERO).unwrap());
    const { assert!(!portable::SOCKETS && linux::SOCKETS) };
}

#[test]
fn a_socket_reports_room_data_and_the_end() {
    let mut poller = linux::Poller::new().unwrap();
    let (mut client, mut server) = pair();
    linux::prepare(&server, 16 << 10).unwrap();
    poller.add(&server, 7).unwrap();
    let mut next = || {
        let mut happened = Vec::new();
        poller.wait(LONG, &mut happened).unwrap();
        happened
    };
    assert_eq!(next(), [Event { token: 7, readable: false, writable: true, broken: false }]);
    client.write_all(b"x").unwrap();
    assert_eq!(next(), [Event { token: 7, readable: true, writable: true, broken: false }]);
    server.read_exact(&mut [0]).unwrap();
    drop(client);
    let end = next()[0];
    assert_eq!((end.readable, end.broken), (true, false), "it may have ended one side only");
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    assert!(!linux::has_vanished(&server, Duration::ZERO).unwrap(), "nothing was sent to it");
    // Nobody is there: what is sent is answered by a reset, though a read still says "the end".
    server.write_all(b"x").unwrap();
    while !next()[0].broken {}
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_full_socket_says_when_it_has_room_again() {
    let mut poller = linux::Poller::new().unwrap();
    let (mut client, mut server) = pair();
    linux::prepare(&server, 16 << 10).unwrap();
    poller.add(&server, 7).unwrap();
    let mut happened = Vec::new();
    poller.wait(LONG, &mut happened).unwrap();
    let mut sent = 0;
    while let Ok(n) = server.write(&[0; 4096]) {
        sent += n;
    }
    happened.clear();
    poller.wait(Some(Duration::ZERO), &mut happened).unwrap();
    client.read_exact(&mut vec![0; sent]).unwrap();
    while !happened.iter().any(|event| event.writable) {
        poller.wait(LONG, &mut happened).unwrap();
    }
    assert!(server.write(&[0]).is_ok());
}
