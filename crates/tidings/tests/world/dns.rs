//! A name server for the names of one test, on this machine.
#![allow(clippy::unwrap_used)]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::PATIENCE;

/// Answers, over TCP, until it is dropped.
pub struct NameServer {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
}

impl NameServer {
    /// Every name has this address, except those that end in `unknown`, which have none.
    pub fn start(answer: Ipv4Addr, unknown: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::spawn(move || serve(client, answer, unknown));
            }
        });
        Self { address, is_over }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// Messages have their length before them (RFC 1035 §4.2.2).
fn serve(mut client: TcpStream, answer: Ipv4Addr, unknown: &str) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    loop {
        let mut length = [0; 2];
        client.read_exact(&mut length)?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        client.read_exact(&mut query)?;
        let reply = reply(&query, answer, unknown).ok_or(io::ErrorKind::InvalidData)?;
        let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
        client.write_all(&[&length[..], &reply].concat())?;
    }
}

/// The answer to a query with one question (RFC 1035 §4.1); `None` if it is none.
fn reply(query: &[u8], answer: Ipv4Addr, unknown: &str) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    const NO_SUCH_NAME: u8 = 3;
    const A: [u8; 2] = [0, 1];
    let mut name = String::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        name.push_str(str::from_utf8(query.get(at..at + length)?).ok()?);
        name.push('.');
        at += length;
    }
    let kind = query.get(at..at + 2)?;
    let question = query.get(HEADER..at + 4)?;
    let is_unknown = name.trim_end_matches('.').to_ascii_lowercase().ends_with(unknown);
    let has_answer = !is_unknown && kind == A;
    let code = if is_unknown { NO_SUCH_NAME } else { 0 };
    // The id, a reply with recursion, and the number of questions and answers.
    let mut reply = vec![query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, u8::from(has_answer)];
    reply.extend([0; 4]);
    reply.extend(question);
    if has_answer {
        // The name of the question, an address of the Internet, good for a second.
        reply.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        reply.extend(answer.octets());
    }
    Some(reply)
}
