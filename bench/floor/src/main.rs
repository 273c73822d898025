//! The floor: the least that a fan-out can cost.
//!
//! It keeps every socket that sends a `GET`, and for each `POST` makes one `write(2)` to every
//! socket it keeps, one after the other, before it answers. There are no topics, no history, no
//! queues, no timers and no readiness; a subscriber that does not read holds up all others. The
//! bytes are the same as those of Tidings: one HTTP chunk with an id and a data line.
//!
//!     tidings-floor [ADDRESS]        127.0.0.1:3900 unless given

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The subscribers' sockets, and the number of events published.
#[derive(Default)]
struct Hub {
    sockets: Vec<TcpStream>,
    position: u64,
    frame: Vec<u8>,
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-cache\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3900".to_owned());
    // The standard library's backlog is 128: the load generator opens no more than that at a time.
    let listener = TcpListener::bind(&address)?;
    eprintln!("the floor is at {address}");
    let hub = Arc::new(Mutex::new(Hub::default()));
    for stream in listener.incoming() {
        // A failed accept (no files left) affects one connection.
        let Ok(stream) = stream else { continue };
        if let Err(error) = greet(stream, &hub) {
            eprintln!("a connection failed: {error}");
        }
    }
    Ok(())
}

/// Reads the first request: a subscriber joins the hub, and a publisher is served on this thread.
fn greet(stream: TcpStream, hub: &Arc<Mutex<Hub>>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_nodelay(true)?;
    let mut first = [0];
    if stream.peek(&mut first)? == 0 {
        return Ok(());
    }
    if first[0] != b'G' {
        stream.set_read_timeout(None)?;
        let hub = Arc::clone(hub);
        thread::spawn(move || publisher(stream, &hub));
        return Ok(());
    }
    let mut reader = BufReader::with_capacity(1024, stream);
    while read_line(&mut reader)?.is_some_and(|line| !line.is_empty()) {}
    let mut stream = reader.into_inner();
    stream.write_all(HEAD)?;
    hub.lock().unwrap_or_else(PoisonError::into_inner).sockets.push(stream);
    Ok(())
}

/// Publishes everything that one connection posts, until it ends.
fn publisher(stream: TcpStream, hub: &Mutex<Hub>) -> io::Result<()> {
    let mut answers = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        loop {
            match read_line(&mut reader)? {
                None => return Ok(()),
                Some(line) if line.is_empty() => break,
                Some(line) => {
                    if let Some((name, value)) = line.split_once(':')
                        && name.eq_ignore_ascii_case("content-length")
                    {
                        length = value.trim().parse().unwrap_or(0);
                    }
                }
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        hub.lock().unwrap_or_else(PoisonError::into_inner).publish(&body);
        answers.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}

impl Hub {
    fn publish(&mut self, data: &[u8]) {
        self.position += 1;
        let id = format!("id: floor0:{}\n", self.position);
        let bytes = id.len() + b"data: ".len() + data.len() + b"\n\n".len();
        self.frame.clear();
        self.frame.extend_from_slice(format!("{bytes:x}\r\n{id}data: ").as_bytes());
        self.frame.extend_from_slice(data);
        self.frame.extend_from_slice(b"\n\n\r\n");
        let frame = &self.frame;
        // A blocking socket takes all of it in one call; a closed one fails.
        self.sockets.retain_mut(|socket| socket.write_all(frame).is_ok());
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if reader.take(8192).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    line.truncate(line.trim_end().len());
    Ok(Some(line))
}
