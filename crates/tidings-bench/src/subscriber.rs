use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use crate::body::Body;
use crate::head::{self, Head};
use crate::header_lines::{self, USER_AGENT};
use crate::judge::Judge;
use crate::limits::HEAD_BYTES_MAX;
use crate::payload::Header;
use crate::plan::Plan;
use crate::scanner::{Ids, Scanner};
use crate::template::Values;

/// A subscriber: one connection at a time, and the check of its events over all its connections.
pub(crate) struct Subscriber {
    /// Its number among all subscribers.
    pub(crate) number: usize,
    pub(crate) topic: usize,
    /// Whether it never reads.
    pub(crate) stalled: bool,
    pub(crate) judge: Judge,
    pub(crate) life: Life,
    /// State kept between two connections.
    ids: Option<Box<Ids>>,
    /// Time at which it last began to connect.
    pub(crate) began_ns: u64,
    /// Whether it has been connected before, so that the next connection is a reconnection.
    pub(crate) known: bool,
    /// Whether it got an event on this connection.
    pub(crate) got_event: bool,
}

/// The state of a connection.
pub(crate) enum Life {
    /// Not connected.
    Out,
    /// The handshake is in progress.
    Connecting(TcpStream),
    /// The request is sent; the bytes of the head received so far.
    Asked(TcpStream, Vec<u8>),
    /// Events arrive.
    Open(TcpStream, Box<Reading>),
    /// It will not reconnect.
    Over,
}

/// The state of an open stream.
pub(crate) struct Reading {
    body: Body,
    scanner: Scanner,
}

/// The result of bytes that arrived.
pub(crate) enum Progress {
    /// More is needed.
    Going,
    /// The head is complete.
    Opened(Head),
    /// The response is not a stream.
    Refused(Option<Head>),
    /// The body ended; with its head, if that has only just come.
    Ended(Option<Head>),
}

impl Subscriber {
    pub(crate) fn new(plan: &Plan, number: usize) -> Self {
        let ids = plan.last_event_id.as_ref().map(|id| Ids::starting_at(id));
        let remembers = plan.reconnect || ids.is_some();
        Self {
            number,
            topic: number % plan.topics,
            stalled: number >= plan.subscribers - plan.stalled,
            judge: Judge::new(plan.lanes().map_or(0, |lanes| lanes.per_topic())),
            life: Life::Out,
            ids: remembers.then(|| Box::new(ids.unwrap_or_default())),
            began_ns: 0,
            known: false,
            got_event: false,
        }
    }

    /// Begins to connect.
    pub(crate) fn connect(&mut self, plan: &Plan, now_ns: u64) -> io::Result<&mut TcpStream> {
        let stream = connect(plan, self.number)?;
        self.began_ns = now_ns;
        self.got_event = false;
        self.life = Life::Connecting(stream);
        Ok(self.stream().expect("it was just made"))
    }

    pub(crate) fn stream(&mut self) -> Option<&mut TcpStream> {
        match &mut self.life {
            Life::Connecting(stream) | Life::Asked(stream, _) | Life::Open(stream, _) => {
                Some(stream)
            }
            Life::Out | Life::Over => None,
        }
    }

    /// The socket is writable: sends the request, once it is connected. `true` when it was sent.
    pub(crate) fn ask(&mut self, plan: &Plan, topic: &str) -> io::Result<bool> {
        let Life::Connecting(stream) = &mut self.life else { return Ok(false) };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(false),
            Err(error) => return Err(error),
        }
        let values = Values { topic, number: self.number, ..Values::default() };
        let mut request = b"GET ".to_vec();
        plan.subscribe.path.fill(&values, &mut request);
        write!(request, " HTTP/1.1\r\nHost: {}\r\n", plan.subscribe.authority)?;
        for (name, value) in [
            ("Accept", "text/event-stream"),
            ("Accept-Encoding", "identity"),
            ("Cache-Control", "no-store"),
            ("User-Agent", USER_AGENT),
        ] {
            header_lines::push_unless_given(&mut request, &plan.subscribe_headers, name, value);
        }
        request.extend_from_slice(plan.subscribe_headers.as_bytes());
        if let Some(ids) = &self.ids
            && !ids.last.is_empty()
        {
            request.extend_from_slice(b"Last-Event-ID: ");
            request.extend_from_slice(&ids.last);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        // A new socket has room for a request; one that does not is as good as broken.
        if stream.write(&request)? < request.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let Life::Connecting(stream) = std::mem::replace(&mut self.life, Life::Out) else {
            unreachable!("it was connecting above");
        };
        self.life = Life::Asked(stream, Vec::new());
        Ok(true)
    }

    /// Reads once into `buffer`.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stream() {
            Some(stream) => stream.read(buffer),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Takes bytes that arrived and passes each event to `received`.
    pub(crate) fn take(
        &mut self,
        mut input: &[u8],
        received: &mut impl FnMut(&mut Judge, Header),
    ) -> Progress {
        let judge = &mut self.judge;
        if let Life::Open(_, reading) = &mut self.life {
            return reading.take(input, &mut |header| received(judge, header));
        }
        let Life::Asked(_, bytes) = &mut self.life else { return Progress::Going };
        bytes.extend_from_slice(input);
        let Some(end) = head::end(bytes) else {
            return match bytes.len() > HEAD_BYTES_MAX {
                true => Progress::Refused(None),
                false => Progress::Going,
            };
        };
        let head = match head::parse(&bytes[..end]) {
            Some(head) if head.status == 200 && head.media_type == EVENT_STREAM => head,
            other => return Progress::Refused(other),
        };
        let beyond = bytes.len() - end;
        input = &input[input.len() - beyond..];
        let Life::Asked(stream, _) = std::mem::replace(&mut self.life, Life::Out) else {
            unreachable!("it was asked above");
        };
        let scanner = self.ids.take().map_or_else(Scanner::default, Scanner::resuming);
        let mut reading = Box::new(Reading { body: head.body, scanner });
        let progress = reading.take(input, &mut |header| received(judge, header));
        self.life = Life::Open(stream, reading);
        match progress {
            Progress::Going => Progress::Opened(head),
            _ => Progress::Ended(Some(head)),
        }
    }

    /// Drops the connection and keeps its state.
    pub(crate) fn disconnect(&mut self) -> Option<TcpStream> {
        match std::mem::replace(&mut self.life, Life::Out) {
            Life::Connecting(stream) | Life::Asked(stream, _) => Some(stream),
            Life::Open(stream, reading) => {
                self.ids = reading.scanner.into_ids();
                Some(stream)
            }
            Life::Out | Life::Over => None,
        }
    }

    /// The retry time set by the server.
    pub(crate) fn retry(&self) -> Option<std::time::Duration> {
        self.ids.as_ref()?.retry
    }
}

impl Reading {
    fn take(&mut self, mut input: &[u8], received: &mut impl FnMut(Header)) -> Progress {
        while !input.is_empty() {
            match self.body.take(&mut input) {
                Ok(content) => self.scanner.feed(content, received),
                Err(_) => return Progress::Ended(None),
            }
            if self.body == Body::Ended {
                return Progress::Ended(None);
            }
        }
        Progress::Going
    }
}

pub(crate) const EVENT_STREAM: &str = "text/event-stream";

/// Begins a connection from this subscriber's source address.
fn connect(plan: &Plan, number: usize) -> io::Result<TcpStream> {
    let address = plan.subscribe.address;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if plan.source_addresses > 0 && matches!(address.ip(), IpAddr::V4(ip) if ip.is_loopback()) {
        // Each process uses other addresses: the ports of the previous run are not free for a
        // minute (TIME_WAIT), and those of 127.0.0.1 are left to other programs.
        let [.., high, low] = std::process::id().to_be_bytes();
        let last = u8::try_from(number % plan.source_addresses).expect("at most 250") + 1;
        let source = SocketAddr::from((Ipv4Addr::new(127, high.max(1), low, last), 0));
        socket.bind(&source.into())?;
    }
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if in_progress(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

fn in_progress(error: &io::Error) -> bool {
    // The kind for EINPROGRESS is not stable yet.
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(EINPROGRESS)
}

#[cfg(target_os = "linux")]
const EINPROGRESS: i32 = 115;
#[cfg(not(target_os = "linux"))]
const EINPROGRESS: i32 = 36;
