//! A server that writes a fixed stream of events as fast as its reader takes them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Bytes of an event on the wire, including its blank line.
pub const EVENT_BYTES: usize = 100;
/// `id: 0000000000\ndata: …\n\n`
pub const DATA_BYTES: usize = EVENT_BYTES - "id: 0000000000\n".len() - "data: \n\n".len();

#[derive(Debug, Clone, Copy)]
pub enum Framing {
    /// HTTP chunks of about 64 KiB, with many events in each.
    Batches,
    /// One HTTP chunk per event, as written by a hub that encodes an event once for all
    /// subscribers.
    EventByEvent,
}

impl Framing {
    pub fn name(self) -> &'static str {
        match self {
            Self::Batches => "chunks of 64 KiB",
            Self::EventByEvent => "a chunk per event",
        }
    }
}

pub struct Server {
    address: SocketAddr,
}

impl Server {
    pub fn start(framing: Framing, events: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            // An error here means that the client has left, which it may once it has everything.
            let _ = serve(stream, framing, events);
        });
        Self { address }
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

fn serve(mut stream: TcpStream, framing: Framing, events: u64) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut buffer)?;
        head.extend_from_slice(&buffer[..count]);
    }
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    )?;
    let (mut pending, mut wire) = (Vec::new(), Vec::new());
    for number in 0..events {
        let data = "x".repeat(DATA_BYTES);
        write!(pending, "id: {number:010}\ndata: {data}\n\n")?;
        match framing {
            Framing::EventByEvent => chunk(&mut wire, &mut pending)?,
            Framing::Batches if pending.len() >= 64 * 1024 => chunk(&mut wire, &mut pending)?,
            Framing::Batches => {}
        }
        if wire.len() >= 64 * 1024 {
            stream.write_all(&wire)?;
            wire.clear();
        }
    }
    chunk(&mut wire, &mut pending)?;
    stream.write_all(&wire)?;
    // Held open until the client has read to its last event and hangs up.
    let _ = stream.read(&mut buffer);
    Ok(())
}

fn chunk(wire: &mut Vec<u8>, body: &mut Vec<u8>) -> std::io::Result<()> {
    if !body.is_empty() {
        write!(wire, "{:x}\r\n", body.len())?;
        wire.append(body);
        wire.extend_from_slice(b"\r\n");
    }
    Ok(())
}
