//! A thousand clients, as light as possible: they send what each transport needs, and look in what
//! arrives for the time that each event carries. Byte counts are those of HTTP and WebSocket,
//! without TCP and IP headers.

use std::fs::read_to_string;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Interval of a short poller.
const SHORT_POLL: Duration = Duration::from_secs(1);

/// Payload of an event, in bytes.
const PAYLOAD: usize = 100;

pub struct Plan {
    pub dialect: Dialect,
    pub address: SocketAddr,
    pub clients: usize,
    pub events_per_second: f64,
    pub seconds: u64,
    pub server_pid: u32,
}

/// One server's form of one transport.
#[derive(Clone, Copy)]
pub struct Dialect {
    path: &'static str,
    headers: &'static str,
    /// Text before the position to continue from, in an answer; polls only.
    next: &'static str,
    polls: Option<Duration>,
    publish: &'static str,
}

impl Dialect {
    pub fn named(server: &str, transport: &str) -> Option<Self> {
        let tidings = server == "tidings";
        let publish = if tidings { "/events/feed" } else { "/publish" };
        let json = "Accept: application/json\r\n";
        let dialect = |path, headers, next, polls| Self { path, headers, next, polls, publish };
        Some(match (tidings, transport) {
            (true, "sse") => dialect("/events/feed", "Accept: text/event-stream\r\n", "", None),
            (true, "long") => {
                dialect("/events/feed?wait=30s&after=", json, "\"next\":\"", Some(Duration::ZERO))
            }
            (true, "short") => {
                dialect("/events/feed?after=", json, "\"next\":\"", Some(SHORT_POLL))
            }
            (false, "sse") => dialect("/sse", "Accept: text/event-stream\r\n", "", None),
            (false, "websocket") => dialect("/ws", WEBSOCKET, "", None),
            (false, "long") => dialect("/long?after=", json, "\"next\": ", Some(Duration::ZERO)),
            (false, "short") => dialect("/short?after=", json, "\"next\": ", Some(SHORT_POLL)),
            _ => return None,
        })
    }
}

/// The key is that of the standard's example; no server checks its randomness.
const WEBSOCKET: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Headers that a browser sends with every request, of about this size: they are part of the cost
/// of polling.
const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, \
     like Gecko) Chrome/156.0.0.0 Safari/537.36\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
     Accept-Language: en-US,en;q=0.9\r\nReferer: http://127.0.0.1/\r\n";

struct Count {
    began: Instant,
    counting: AtomicU64,
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    late: Mutex<Vec<u64>>,
}

#[tokio::main]
pub async fn run(plan: Plan) -> Result<String, Failed> {
    let count = Arc::new(Count {
        began: Instant::now(),
        counting: AtomicU64::new(0),
        requests: AtomicU64::new(0),
        sent: AtomicU64::new(0),
        received: AtomicU64::new(0),
        late: Mutex::default(),
    });
    let mut publisher = TcpStream::connect(plan.address).await?;
    publisher.set_nodelay(true)?;
    publish(&mut publisher, &plan, &count).await?;
    let start = place(&plan).await?;
    for number in 0..plan.clients {
        let (dialect, address, count, start) =
            (plan.dialect, plan.address, Arc::clone(&count), start.clone());
        // Short pollers do not all ask at the same moment.
        let wait = dialect.polls.unwrap_or_default().mul_f64(number as f64 / plan.clients as f64);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            if let Err(error) = client(dialect, address, &count, start).await {
                eprintln!("client {number}: {error}");
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;

    count.counting.store(1, Relaxed);
    let (cpu, began) = (cpu_ticks(plan.server_pid)?, Instant::now());
    let every = Duration::from_secs_f64(1.0 / plan.events_per_second);
    let events = (plan.seconds as f64 * plan.events_per_second).round() as u32;
    for event in 0..events {
        tokio::time::sleep_until((began + every.mul_f64(f64::from(event) + 0.37)).into()).await;
        publish(&mut publisher, &plan, &count).await?;
    }
    let end = began + Duration::from_secs(plan.seconds) + Duration::from_millis(1200);
    tokio::time::sleep_until(end.into()).await;
    let seconds = began.elapsed().as_secs_f64();
    let ticks = cpu_ticks(plan.server_pid)? - cpu;
    count.counting.store(0, Relaxed);

    let mut late = count.late.lock().expect("no thread panics with it").clone();
    late.sort_unstable();
    let at = |part: f64| late.get(((late.len() as f64 * part) as usize).min(late.len().max(1) - 1));
    let ms = |part: f64| at(part).map_or(f64::NAN, |nanos| *nanos as f64 / 1e6);
    let per_second = |total: &AtomicU64| total.load(Relaxed) as f64 / seconds;
    Ok(format!(
        "{{\"events\": {events}, \"delivered\": {}, \"expected\": {}, \"cpu_percent\": {:.2}, \
         \"requests_per_second\": {:.1}, \"sent_per_second\": {:.0}, \
         \"received_per_second\": {:.0}, \"p50_ms\": {:.2}, \"p99_ms\": {:.2}}}",
        late.len(),
        events as usize * plan.clients,
        ticks as f64 / seconds, // a tick is a hundredth of a second
        per_second(&count.requests),
        per_second(&count.sent),
        per_second(&count.received),
        ms(0.5),
        ms(0.99),
    ))
}

/// User and system time of the server, in ticks.
fn cpu_ticks(pid: u32) -> Result<u64, Failed> {
    let stat = read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

async fn publish(publisher: &mut TcpStream, plan: &Plan, count: &Count) -> Result<(), Failed> {
    let mut data = format!("t={};", count.began.elapsed().as_nanos());
    data.extend(std::iter::repeat_n('x', PAYLOAD - data.len()));
    let path = plan.dialect.publish;
    let request =
        format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {PAYLOAD}\r\n\r\n\
             {data}");
    publisher.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"}\n") && !answer.ends_with(b"}") {
        if publisher.read_buf(&mut answer).await? == 0 {
            return Err("the server closed the publisher's connection".into());
        }
    }
    Ok(())
}

/// The position at which pollers begin: after all events.
async fn place(plan: &Plan) -> Result<String, Failed> {
    if plan.dialect.polls.is_none() {
        return Ok(String::new());
    }
    let mut socket = TcpStream::connect(plan.address).await?;
    // The address of a poll that answers at once.
    let path = plan.dialect.path.replace("wait=30s&", "").replace("/long", "/short");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", plan.dialect.headers);
    socket.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    let length = whole(&mut socket, &mut text).await?;
    Ok(next(&text[..length], plan.dialect.next))
}

async fn client(
    dialect: Dialect,
    address: SocketAddr,
    count: &Count,
    mut place: String,
) -> Result<(), Failed> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let asked = Instant::now();
        let Dialect { path, headers, .. } = dialect;
        let request =
            format!("GET {path}{place} HTTP/1.1\r\nHost: 127.0.0.1\r\n{BROWSER}{headers}\r\n");
        socket.write_all(request.as_bytes()).await?;
        count.add(&count.requests, 1);
        count.add(&count.sent, request.len());
        let Some(pause) = dialect.polls else { break };
        let length = whole(&mut socket, &mut buffer).await?;
        count.add(&count.received, length);
        count.find_events(&buffer[..length]);
        place = next(&buffer[..length], dialect.next);
        buffer.drain(..length);
        tokio::time::sleep_until((asked + pause).into()).await;
    }
    loop {
        let read = socket.read_buf(&mut buffer).await?;
        if read == 0 {
            return Err("the server closed the stream".into());
        }
        count.add(&count.received, read);
        let used = count.find_events(&buffer);
        buffer.drain(..used);
    }
}

/// Reads until a response with a `Content-Length` is complete; returns its length.
async fn whole(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<usize, Failed> {
    loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).ok_or("no length")?;
            let length: usize = length.split("\r\n").next().unwrap_or("").parse()?;
            if buffer.len() >= end + 4 + length {
                return Ok(end + 4 + length);
            }
        }
        if socket.read_buf(buffer).await? == 0 {
            return Err("the server closed the connection".into());
        }
    }
}

fn next(answer: &[u8], mark: &str) -> String {
    let Some(at) = find(answer, mark.as_bytes()) else { return String::new() };
    let rest = &answer[at + mark.len()..];
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b',' | b'}')).unwrap_or(0);
    String::from_utf8_lossy(&rest[..end]).into_owned()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

impl Count {
    fn add(&self, counter: &AtomicU64, amount: usize) {
        if self.counting.load(Relaxed) == 1 {
            counter.fetch_add(amount as u64, Relaxed);
        }
    }

    /// Records the latency of each event in `bytes`; returns the number of bytes searched.
    fn find_events(&self, bytes: &[u8]) -> usize {
        let now = self.began.elapsed().as_nanos() as u64;
        let mut used = 0;
        while let Some(at) = find(&bytes[used..], b"t=") {
            let digits = &bytes[used + at + 2..];
            let Some(end) = digits.iter().position(|byte| !byte.is_ascii_digit()) else {
                return used + at;
            };
            let sent = std::str::from_utf8(&digits[..end]).unwrap_or("").parse::<u64>();
            if let (Ok(sent), 1, b';') = (sent, self.counting.load(Relaxed), digits[end]) {
                self.late.lock().expect("no thread panics with it").push(now.saturating_sub(sent));
            }
            used += at + 2 + end;
        }
        // A mark may be cut in two.
        used.max(bytes.len().saturating_sub(1))
    }
}
