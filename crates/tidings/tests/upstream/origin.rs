//! A server of event streams over plain sockets, that does what a test has it do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// The server. It lives as long as the test process; what is connected when a test ends is cut with
/// it.
pub struct Origin {
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Origin {
    /// Answers each connection with `answer`, on a thread of its own.
    pub fn start(answer: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), Arc::clone(&requests));
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                thread::spawn(move || {
                    let mut socket = socket.unwrap();
                    if let Some(request) = read(&socket) {
                        seen.lock().unwrap().push(request.clone());
                        answer(&request, &mut socket);
                    }
                });
            }
        });
        Self { address, requests }
    }

    /// The same bytes for everybody, and then the end.
    pub fn saying(text: &'static str) -> Self {
        Self::start(move |_, socket| {
            let _ = socket.write_all(text.as_bytes());
        })
    }

    /// Events 1 to `count`, in bursts, resumed by `Last-Event-ID`. Behind every third stands one
    /// without an id, which is sent again to clients that have not come further. Connections are
    /// cut, often in the middle of an event.
    pub fn counting(count: u64) -> Self {
        Self::start(move |request, socket| {
            let last = request.header("last-event-id").and_then(|id| id.parse().ok()).unwrap_or(0);
            let mut text = STREAM.to_owned();
            if last > 0 {
                push_note(&mut text, last);
            }
            for number in last + 1..=count {
                text.push_str(&format!("id: {number}\ndata: event {number}\n\n"));
                push_note(&mut text, number);
                if number % 20 == 0 || number == count {
                    if socket.write_all(text.as_bytes()).is_err() {
                        return;
                    }
                    text.clear();
                    thread::sleep(Duration::from_millis(1));
                }
                // Somebody who comes from far back gets further before it is cut.
                if number > last + 700 && number % 700 == 3 {
                    let _ = socket.write_all(b"id: 1000000\ndata: cut off");
                    return;
                }
            }
            hold(socket);
        })
    }

    /// What such a server sends in all.
    pub fn counted(count: u64) -> Vec<String> {
        let mut all = Vec::new();
        for number in 1..=count {
            all.push(format!("event {number}"));
            if number.is_multiple_of(3) {
                all.push(format!("note {number}"));
            }
        }
        all
    }

    pub fn url(&self) -> String {
        format!("http://{}/stream", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn push_note(text: &mut String, number: u64) {
    if number.is_multiple_of(3) {
        text.push_str(&format!("data: note {number}\n\n"));
    }
}

/// Keeps a connection open until the other side goes.
pub fn hold(socket: &TcpStream) {
    let mut line = String::new();
    let _ = BufReader::new(socket).read_line(&mut line);
}

/// The head of an event stream that ends with its connection.
pub const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                          cache-control: no-cache\r\nconnection: close\r\n\r\nretry: 20\n\n";

fn read(socket: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let method = line.split(' ').next()?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    std::io::Read::read_exact(&mut reader, &mut body).ok()?;
    Some(Request { method, headers, body: String::from_utf8(body).unwrap() })
}
