//! A backend of an application, for hubs that ask one what a client may do: a real HTTP server,
//! whose answers a test chooses.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A question as the backend got it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Path and query.
    pub target: String,
    /// All headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Asked {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Whether it is signed as Standard Webhooks ask for, as a receiver finds out that knows this
    /// secret.
    pub fn is_signed_with(&self, secret: &[u8]) -> bool {
        let header = |name| self.header(name).unwrap_or_default();
        let signed =
            format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), self.body);
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let signatures = header("webhook-signature").split(' ');
        signatures
            .filter_map(|text| STANDARD.decode(text.strip_prefix("v1,")?).ok())
            .any(|signature| hmac::verify(&key, signed.as_bytes(), &signature).is_ok())
    }
}

/// What it answers.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: String,
    body: String,
    /// Before the answer.
    pause: Duration,
    /// Within the body.
    pause_in_body: Duration,
}

impl Reply {
    /// This status, without a body.
    pub fn status(status: u16) -> Self {
        let (headers, body) = (String::new(), String::new());
        Self { status, headers, body, pause: Duration::ZERO, pause_in_body: Duration::ZERO }
    }

    /// 200 with this body.
    pub fn ok(body: impl ToString) -> Self {
        Self { body: body.to_string(), ..Self::status(200) }
    }

    /// With this line in the head.
    #[must_use]
    pub fn with_header(mut self, line: &str) -> Self {
        self.headers += line;
        self.headers += "\r\n";
        self
    }

    /// After this time.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// With a pause in the middle of the body.
    #[must_use]
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.pause_in_body = pause;
        self
    }
}

type Answer = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A backend that runs until it is dropped.
pub struct Backend {
    address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    answer: Box<Answer>,
    asked: Mutex<Vec<Asked>>,
    is_down: AtomicBool,
    is_over: AtomicBool,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Backend {
    /// A backend that answers each question with what `answer` returns.
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let inner = Arc::new(Inner {
            answer: Box::new(answer),
            asked: Mutex::default(),
            is_down: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let served = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if served.is_over.load(Ordering::Acquire) {
                    break;
                }
                let served = Arc::clone(&served);
                std::thread::spawn(move || served.serve(&stream));
            }
        });
        Self { address, inner }
    }

    /// Its URL, with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Whether it is down: then it closes every connection without an answer.
    pub fn set_down(&self, is_down: bool) {
        self.inner.is_down.store(is_down, Ordering::Release);
    }

    /// All questions so far, in the order in which they came.
    pub fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The most questions that were being answered at once.
    pub fn most_at_once(&self) -> usize {
        self.inner.most.load(Ordering::Acquire)
    }
}

impl Inner {
    /// Answers the requests of one connection, which stays open.
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(asked) = read(&mut reader) {
            if self.is_down.load(Ordering::Acquire) || self.is_over.load(Ordering::Acquire) {
                break;
            }
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
            let now = self.now.fetch_add(1, Ordering::AcqRel) + 1;
            self.most.fetch_max(now, Ordering::AcqRel);
            let reply = (self.answer)(&asked);
            std::thread::sleep(reply.pause);
            self.now.fetch_sub(1, Ordering::AcqRel);
            if self.is_down.load(Ordering::Acquire) || write(stream, &reply).is_err() {
                break;
            }
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.inner.is_over.store(true, Ordering::Release);
        // So that the listener notices.
        let _ = TcpStream::connect(self.address);
    }
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|length| *length > 0)?;
    let target = first.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut asked = Asked { target, headers, body: String::new() };
    let length = asked.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).ok()?;
    Some(asked)
}

fn write(mut stream: &TcpStream, reply: &Reply) -> std::io::Result<()> {
    let Reply { status, headers, body, pause_in_body, .. } = reply;
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    let (first, rest) = body.split_at(body.floor_char_boundary(body.len() / 2));
    if pause_in_body.is_zero() {
        return stream.write_all(format!("{head}{body}").as_bytes());
    }
    stream.write_all(format!("{head}{first}").as_bytes())?;
    std::thread::sleep(*pause_in_body);
    stream.write_all(rest.as_bytes())
}
