//! What subscribers cost a hub that get an event stream as it is, or compressed.
//!
//! ```sh
//! cargo run --release -p tidings-bench --example compressed -- target/release/tidings --gzip
//! ```
//!
//! Starts the hub, opens subscribers, publishes JSON with random values, and prints a line of JSON.
//! `bench/compressed` runs it in turns and makes a table. All subscribers count bytes; a hundred,
//! spread over all, read the events and say how old they are. The hub's CPU time is for the time
//! that is measured; its memory is `RssAnon`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use mio::{Events, Interest, Poll, Token};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Maximum time for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Subscribers that read what they get.
const SAMPLES: usize = 100;

#[derive(Parser)]
struct Words {
    /// A release build of tidings
    program: String,
    /// Subscribers ask for gzip, and the hub compresses
    #[arg(long)]
    gzip: bool,
    #[arg(long)]
    tls: bool,
    #[arg(long, default_value_t = 10_000)]
    subscribers: usize,
    /// Topics, over which the subscribers are spread
    #[arg(long, default_value_t = 1)]
    topics: usize,
    /// Events a second on each topic
    #[arg(long, default_value_t = 10)]
    rate: u64,
    /// Subscribers that come, and leave after a second, in each second
    #[arg(long, default_value_t = 0)]
    joins: u64,
    /// Seconds measured, after two that are not
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

fn main() {
    let words = Words::parse();
    let hub = Hub::start(&words);
    let way =
        Way { address: hub.address, tls: words.tls.then(|| hub.client_config()), words: &words };
    std::thread::sleep(Duration::from_millis(500));
    let empty_bytes = hub.anonymous_bytes();
    let mut crowd = Crowd::connect(&way);
    std::thread::sleep(Duration::from_secs(3));
    let connected_bytes = hub.anonymous_bytes();

    let is_over = AtomicBool::new(false);
    let published = AtomicUsize::new(0);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| publish(&way, &published, &is_over));
        scope.spawn(|| join(&way, &is_over));
        crowd.read_for(Duration::from_secs(2));
        crowd.forget();
        let (cpu, since) = (hub.cpu_seconds(), published.load(Ordering::Relaxed));
        crowd.read_for(Duration::from_secs(words.seconds));
        let cpu = hub.cpu_seconds() - cpu;
        let events = published.load(Ordering::Relaxed) - since;
        let busy_bytes = hub.anonymous_bytes();
        is_over.store(true, Ordering::Relaxed);
        Report { cpu, events, busy_bytes }
    });
    let ages = crowd.ages();
    let each = words.subscribers / words.topics;
    let deliveries = (report.events * each) as f64;
    // Whoever samples must get what is published; some of it may be on its way at either end.
    let seen = ages.len() as f64 / crowd.samples as f64 * words.topics as f64;
    let lacks = (seen - report.events as f64).abs();
    let may_lack = 2.0 * words.topics as f64 + 0.1 * report.events as f64;
    assert!(lacks <= may_lack, "{seen} of {} events were seen", report.events);
    println!(
        "{}",
        serde_json::json!({
            "deliveries": deliveries,
            "bytes_per_delivery": crowd.bytes as f64 / deliveries,
            "us_per_delivery": report.cpu * 1e6 / deliveries,
            "p50_ms": ages[ages.len() / 2],
            "p99_ms": ages[ages.len() * 99 / 100],
            "empty_bytes": empty_bytes,
            "connected_bytes": connected_bytes,
            "busy_bytes": report.busy_bytes,
        })
    );
}

struct Report {
    cpu: f64,
    events: usize,
    busy_bytes: u64,
}

/// A hub that is killed when this is dropped.
struct Hub {
    child: Child,
    folder: std::path::PathBuf,
    address: SocketAddr,
    roots: RootCertStore,
}

impl Hub {
    fn start(words: &Words) -> Self {
        let folder =
            std::env::temp_dir().join(format!("tidings-compressed-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(&words.program);
        // The disk's moments are not what is compared.
        command.args(["serve", "--store", "memory", "--log", "error", "--max-connections", "1500"]);
        command.args(["--listen", &address.to_string()]);
        command.args(["--compression", if words.gzip { "public" } else { "off" }]);
        if words.tls {
            command.arg("--tls-cert").arg(folder.join("cert.pem"));
            command.arg("--tls-key").arg(folder.join("key.pem"));
        }
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let hub = Self { child, folder, address, roots };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "the hub does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        hub
    }

    fn client_config(&self) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(self.roots.clone()).with_no_client_auth())
    }

    /// The time that it has spent, in user and system mode.
    fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        // `USER_HZ` is 100 on every Linux.
        ticks as f64 / 100.0
    }

    fn anonymous_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// How a client comes to the hub.
struct Way<'a> {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    words: &'a Words,
}

impl Way<'_> {
    fn connect(&self) -> (TcpStream, Option<Box<ClientConnection>>) {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let tls = self.tls.as_ref().map(|config| {
            let name = ServerName::try_from("localhost").unwrap();
            Box::new(ClientConnection::new(Arc::clone(config), name).unwrap())
        });
        (socket, tls)
    }

    /// A stream whose first block has come, and what has come of its body.
    fn subscribe(&self, topic: usize) -> (TcpStream, Option<Box<ClientConnection>>, Vec<u8>) {
        let (mut socket, mut tls) = self.connect();
        let coding = if self.words.gzip { "gzip" } else { "identity" };
        let request = format!(
            "GET /events/topic-{topic} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\
             accept-encoding: {coding}\r\n\r\n"
        );
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        let body = match &mut tls {
            None => {
                socket.write_all(request.as_bytes()).unwrap();
                read_head(&mut bytes, || {
                    socket.read(&mut buffer).map(|read| buffer[..read].to_vec())
                })
            }
            Some(tls) => {
                let mut stream = rustls::Stream::new(&mut **tls, &mut socket);
                stream.write_all(request.as_bytes()).unwrap();
                read_head(&mut bytes, || {
                    stream.read(&mut buffer).map(|read| buffer[..read].to_vec())
                })
            }
        };
        (socket, tls, body)
    }
}

/// Reads until the first block of the body is whole: the hub sends it with the head.
fn read_head(bytes: &mut Vec<u8>, mut more: impl FnMut() -> std::io::Result<Vec<u8>>) -> Vec<u8> {
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end.filter(|end| bytes[*end..].windows(2).any(|two| two == b"\n\n")) {
            assert!(bytes.starts_with(b"HTTP/1.1 200"), "{}", bytes.escape_ascii());
            return bytes.split_off(end + 4);
        }
        let read = more().unwrap();
        assert!(!read.is_empty(), "it ends without a stream: {}", bytes.escape_ascii());
        bytes.extend_from_slice(&read);
    }
}

/// The subscribers.
struct Crowd {
    poll: Poll,
    subscribers: Vec<Subscriber>,
    samples: usize,
    /// Bytes that were read from sockets.
    bytes: u64,
    /// Ages of events at their arrival, in milliseconds.
    ages: Vec<f64>,
    buffer: Vec<u8>,
}

struct Subscriber {
    socket: mio::net::TcpStream,
    tls: Option<Box<ClientConnection>>,
    reader: Option<Box<Reader>>,
}

impl Crowd {
    fn connect(way: &Way<'_>) -> Self {
        let poll = Poll::new().unwrap();
        let every = (way.words.subscribers / SAMPLES).max(1);
        let (mut subscribers, mut samples) = (Vec::new(), 0);
        for number in 0..way.words.subscribers {
            let (socket, tls, body) = way.subscribe(number % way.words.topics);
            socket.set_nonblocking(true).unwrap();
            let mut socket = mio::net::TcpStream::from_std(socket);
            poll.registry().register(&mut socket, Token(number), Interest::READABLE).unwrap();
            let reader = (number % every == 0).then(|| {
                samples += 1;
                let mut reader = Box::new(Reader::new(way.words.gzip));
                reader.read(&body, &mut Vec::new());
                reader
            });
            subscribers.push(Subscriber { socket, tls, reader });
        }
        let buffer = vec![0; 64 << 10];
        Self { poll, subscribers, samples, bytes: 0, ages: Vec::new(), buffer }
    }

    fn read_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        let mut events = Events::with_capacity(1024);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.poll.poll(&mut events, Some(left)).unwrap();
            for event in &events {
                self.read(event.token().0);
            }
        }
    }

    fn read(&mut self, number: usize) {
        let Subscriber { socket, tls, reader } = &mut self.subscribers[number];
        match tls {
            None => loop {
                match socket.read(&mut self.buffer) {
                    Ok(0) => panic!("a stream ended"),
                    Ok(read) => {
                        self.bytes += read as u64;
                        if let Some(reader) = reader {
                            reader.read(&self.buffer[..read], &mut self.ages);
                        }
                        // Less than there was room for: nothing is left.
                        if read < self.buffer.len() {
                            return;
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                    Err(error) => panic!("{error}"),
                }
            },
            Some(tls) => loop {
                match tls.read_tls(socket) {
                    Ok(0) => panic!("a stream ended"),
                    Ok(read) => self.bytes += read as u64,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                    Err(error) => panic!("{error}"),
                }
                let text = tls.process_new_packets().unwrap().plaintext_bytes_to_read();
                let text = &mut self.buffer[..text];
                tls.reader().read_exact(text).unwrap();
                if let Some(reader) = reader {
                    reader.read(text, &mut self.ages);
                }
            },
        }
    }

    fn forget(&mut self) {
        self.bytes = 0;
        self.ages.clear();
    }

    /// In order.
    fn ages(&self) -> Vec<f64> {
        let mut ages = self.ages.clone();
        ages.sort_by(f64::total_cmp);
        ages
    }
}

/// Reads the body of one subscriber: chunks, perhaps compressed, with JSON that says when it was
/// sent.
struct Reader {
    chunked: Vec<u8>,
    inflater: Option<Inflater>,
    text: Vec<u8>,
}

struct Inflater {
    header_left: usize,
    state: DecompressorOxide,
    ring: Vec<u8>,
    at: usize,
}

impl Reader {
    fn new(is_gzip: bool) -> Self {
        let inflater = is_gzip.then(|| Inflater {
            header_left: 10,
            state: DecompressorOxide::new(),
            ring: vec![0; 32 << 10],
            at: 0,
        });
        Self { chunked: Vec::new(), inflater, text: Vec::new() }
    }

    fn read(&mut self, bytes: &[u8], ages: &mut Vec<f64>) {
        const SENT: &[u8] = b"\"sent\":";
        let now = now_ns();
        self.chunked.extend_from_slice(bytes);
        while let Some(line) = self.chunked.windows(2).position(|two| two == b"\r\n") {
            let size = std::str::from_utf8(&self.chunked[..line]).unwrap();
            let end = line + 2 + usize::from_str_radix(size, 16).unwrap();
            if self.chunked.len() < end + 2 {
                break;
            }
            let chunk = &self.chunked[line + 2..end];
            match &mut self.inflater {
                None => self.text.extend_from_slice(chunk),
                Some(inflater) => inflater.read(chunk, &mut self.text),
            }
            self.chunked.drain(..end + 2);
        }
        while let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
            let event = &self.text[..end];
            if let Some(at) = event.windows(SENT.len()).position(|some| some == SENT) {
                let digits =
                    event[at + SENT.len()..].iter().take_while(|byte| byte.is_ascii_digit());
                let sent = digits.fold(0, |sent, digit| sent * 10 + u64::from(digit - b'0'));
                ages.push((now - sent) as f64 / 1e6);
            }
            self.text.drain(..end + 2);
        }
    }
}

impl Inflater {
    fn read(&mut self, mut bytes: &[u8], text: &mut Vec<u8>) {
        let header = self.header_left.min(bytes.len());
        self.header_left -= header;
        bytes = &bytes[header..];
        loop {
            let flags = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
            let (status, read, written) =
                decompress(&mut self.state, bytes, &mut self.ring, self.at, flags);
            text.extend_from_slice(&self.ring[self.at..self.at + written]);
            self.at = (self.at + written) % self.ring.len();
            bytes = &bytes[read..];
            match status {
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::NeedsMoreInput if bytes.is_empty() => return,
                status => panic!("not a deflate stream: {status:?}"),
            }
        }
    }
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// Publishes to all topics in one request, at the rate.
fn publish(way: &Way<'_>, published: &AtomicUsize, is_over: &AtomicBool) {
    let (socket, tls) = way.connect();
    match tls {
        None => publish_by(socket, way, published, is_over),
        Some(tls) => publish_by(StreamOwned::new(*tls, socket), way, published, is_over),
    }
}

fn publish_by<S: Read + Write>(
    mut stream: S,
    way: &Way<'_>,
    published: &AtomicUsize,
    is_over: &AtomicBool,
) {
    let start = Instant::now();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0_u64.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let at = start + Duration::from_micros(number * 1_000_000 / way.words.rate);
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        let mut body = String::new();
        for topic in 0..way.words.topics {
            let data = serde_json::to_string(&event(&mut random, number)).unwrap();
            body += &format!("{{\"topic\":\"topic-{topic}\",\"data\":{data}}}\n");
        }
        let head = format!(
            "POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        stream.flush().unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while !answer.ends_with(b"}") && !answer.ends_with(b"}\n") {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the hub has closed the publisher's connection");
            answer.extend_from_slice(&buffer[..read]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
        published.fetch_add(way.words.topics, Ordering::Relaxed);
    }
}

/// 200 bytes of JSON, a third of which differs from event to event.
fn event(random: &mut u64, number: u64) -> String {
    let mut next = |below: u64| {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        *random % below
    };
    let event = format!(
        "{{\"symbol\":\"ACME\",\"price\":{:06},\"size\":{:04},\"side\":\"{}\",\"venue\":\"XNYS\",\
         \"currency\":\"USD\",\"flags\":[\"regular\",\"lit\"],\"order\":\"{:08x}\",\
         \"trader\":\"user-{:05}\",\"sequence\":{number:07},\"sent\":{}}}",
        next(1_000_000),
        next(10_000),
        ["buy!", "sell"][next(2) as usize],
        next(1 << 32),
        next(100_000),
        now_ns(),
    );
    event
}

/// Subscribers that come and go.
fn join(way: &Way<'_>, is_over: &AtomicBool) {
    if way.words.joins == 0 {
        return;
    }
    let pause = Duration::from_secs(1) / u32::try_from(way.words.joins).unwrap();
    let mut here = VecDeque::new();
    while !is_over.load(Ordering::Relaxed) {
        here.push_back((Instant::now(), way.subscribe(0)));
        while here.front().is_some_and(|(since, _)| since.elapsed() > Duration::from_secs(1)) {
            here.pop_front();
        }
        std::thread::sleep(pause);
    }
}
