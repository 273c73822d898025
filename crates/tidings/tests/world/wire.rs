//! As much HTTP/1.1 as it takes to publish and to listen, over plain sockets: so that nothing of
//! our own stands between a test and what the hub really said.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::PATIENCE;

/// A connection that is kept alive.
pub struct Wire {
    address: String,
    reader: BufReader<TcpStream>,
}

/// An answer that was received whole.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Wire {
    pub fn connect(address: &str) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { address: address.to_owned(), reader: BufReader::new(socket) })
    }

    pub fn post(&mut self, path: &str, media_type: &str, body: &[u8]) -> io::Result<Answer> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        self.reader.get_mut().write_all(&request)?;
        self.answer()
    }

    pub fn delete(&mut self, path: &str) -> io::Result<Answer> {
        let request = format!("DELETE {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.reader.get_mut().write_all(request.as_bytes())?;
        self.answer()
    }

    /// All events that the pages of `path` lead to. `start` is the query of the first of them.
    pub fn pages(&mut self, path: &str, start: &str) -> Vec<serde_json::Value> {
        let is_state = start == "from=state";
        let (mut events, mut from) = (Vec::new(), start.to_owned());
        loop {
            let answer = self.get(&format!("{path}?{from}&limit=1000"), "application/json");
            let answer = answer.unwrap();
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
            let page = answer.json();
            assert!(page.get("reset").is_none(), "{page}");
            events.extend_from_slice(page["events"].as_array().unwrap());
            let came_from = from;
            from = format!("after={}", page["next"].as_str().unwrap());
            if is_state {
                from += "&from=state";
            }
            // A page may have nothing on it and yet lead further.
            if page["complete"] == true || from == came_from {
                return events;
            }
        }
    }

    /// Posts a body piece by piece (RFC 9112 §7.1).
    pub fn post_pieces(
        &mut self,
        path: &str,
        media_type: &str,
        pieces: impl Iterator<Item = String>,
    ) -> io::Result<Answer> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {media_type}\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
            self.address
        );
        self.reader.get_mut().write_all(head.as_bytes())?;
        for piece in pieces {
            let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
            self.reader.get_mut().write_all(chunk.as_bytes())?;
        }
        self.reader.get_mut().write_all(b"0\r\n\r\n")?;
        self.answer()
    }

    pub fn get(&mut self, path: &str, accept: &str) -> io::Result<Answer> {
        self.send_get(path, accept)?;
        self.answer()
    }

    /// Asks for an event stream; `data` is called with the id and the data of each event, until the
    /// connection ends. An event that was cut off is none.
    pub fn listen(mut self, path: &str, mut event: impl FnMut(String, String)) -> io::Result<()> {
        self.send_get(path, "text/event-stream")?;
        let (status, _) = self.head()?;
        assert_eq!(status, 200);
        let (mut id, mut data) = (String::new(), None);
        let mut chunks = Chunks { reader: self.reader, left: 0 };
        let mut line = String::new();
        let mut byte = [0];
        while chunks.read(&mut byte)? > 0 {
            if byte[0] != b'\n' {
                line.push(char::from(byte[0]));
                continue;
            }
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.to_owned();
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = Some(text.to_owned());
            } else if line.is_empty()
                && let Some(data) = data.take()
            {
                event(id.clone(), data);
            }
            line.clear();
        }
        Ok(())
    }

    fn send_get(&mut self, path: &str, accept: &str) -> io::Result<()> {
        let address = &self.address;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
        self.reader.get_mut().write_all(request.as_bytes())
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let (status, length) = self.head()?;
        let mut body = vec![0; length.unwrap_or(0)];
        self.reader.read_exact(&mut body)?;
        Ok(Answer { status, body })
    }

    /// Status and length.
    fn head(&mut self) -> io::Result<(u16, Option<usize>)> {
        let mut status = None;
        let mut length = None;
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            if line.is_empty() {
                return Ok((status.unwrap(), length));
            }
            if status.is_none() {
                status = line.split(' ').nth(1).map(|status| status.parse().unwrap());
            } else if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.parse().unwrap());
            }
        }
    }
}

/// The body of a chunked message (RFC 9112 §7.1).
struct Chunks {
    reader: BufReader<TcpStream>,
    left: usize,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                line.clear();
                self.reader.read_line(&mut line)?;
            }
            self.left = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        }
        let want = buffer.len().min(self.left);
        let read = self.reader.read(&mut buffer[..want])?;
        self.left -= read;
        Ok(read)
    }
}
