//! The same under TLS: the connection is moved with its session, after the handshake.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tidings_http::Tls;
use tidings_testkit::http::request;
use tidings_testkit::http2::{self, kind};
use tidings_testkit::server::{EPOCH, TestServer, is_portable};

use super::{PATIENCE, watched};

/// A server under TLS with these threads for requests, those that its requests were on, and what
/// its clients are configured with.
fn server(threads: usize) -> (TestServer, impl Fn() -> Vec<String>, ClientConfig) {
    let names = ["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let tls = Tls::new(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes()).unwrap();
    let (log, seen) = watched();
    let builder = TestServer::builder().store(log).config(|config| {
        config.http.tls = Some(tls);
        config.http.request_threads = threads;
    });
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    (builder.start(), seen, config.with_root_certificates(roots).with_no_client_auth())
}

struct Client {
    stream: StreamOwned<ClientConnection, TcpStream>,
    bytes: Vec<u8>,
}

impl Client {
    fn connect(server: &TestServer, config: &ClientConfig) -> Self {
        let name = "localhost".try_into().unwrap();
        let tls = ClientConnection::new(Arc::new(config.clone()), name).unwrap();
        let socket = TcpStream::connect(server.address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { stream: StreamOwned::new(tls, socket), bytes: Vec::new() }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self.stream.flush().unwrap();
    }

    fn publish(&mut self, data: &str) {
        self.send(request("POST", "/events/a", &[], data.as_bytes()));
    }

    /// Reads to the end of `wanted`, and drops that.
    fn reads(&mut self, wanted: &str) {
        loop {
            let mut parts = self.bytes.windows(wanted.len());
            if let Some(at) = parts.position(|part| part == wanted.as_bytes()) {
                self.bytes.drain(..at + wanted.len());
                return;
            }
            let text = String::from_utf8_lossy(&self.bytes).into_owned();
            assert!(self.more(), "it ends without {wanted:?}: {text:?}");
        }
    }

    fn more(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let length = self.stream.read(&mut buffer).unwrap();
        self.bytes.extend_from_slice(&buffer[..length]);
        length > 0
    }
}

#[test]
fn a_connection_under_tls_does_everything_where_it_is() {
    let (server, threads, config) = server(2);
    let mut clients = [(); 2].map(|()| {
        let mut client = Client::connect(&server, &config);
        client.publish("x");
        client.reads("HTTP/1.1 200");
        client.reads("\"id\"");
        client
    });
    for number in 3..=40 {
        let client = &mut clients[number % 2];
        client.publish(&format!("event {number}"));
        client.reads(&format!("\"{EPOCH}:{number}\""));
    }
    let expected: &[&str] = match is_portable() {
        true => &[],
        false => &["tidings-http-0", "tidings-http-1"],
    };
    assert_eq!(threads(), expected);
    let [mut client, mut other] = clients;
    client.send(request("GET", "/events/a", &[("accept", "application/json")], b""));
    client.reads("HTTP/1.1 200");
    client.reads("\"event 40\"");
    // A shard takes the socket, and the session with it.
    let from = [("accept", "text/event-stream"), ("last-event-id", &format!("{EPOCH}:39"))];
    client.send(request("GET", "/events/a", &from, b""));
    client.reads("data: event 40\n");
    other.publish("later");
    client.reads("data: later\n");
    server.stop();
}

/// The first records of HTTP come with the last one of the handshake, and are read from the socket
/// with it.
#[test]
fn what_comes_with_the_handshake_moves_along() {
    let (server, _, config) = server(1);
    for number in 1..=20 {
        let mut client = Client::connect(&server, &config);
        for _ in 0..3 {
            // Into the session's buffer: all of it leaves with the handshake's last record.
            let request = request("POST", "/events/a", &[], b"x");
            client.stream.conn.writer().write_all(&request).unwrap();
        }
        for part in 0..3 {
            client.reads(&format!("\"{EPOCH}:{}\"", 3 * (number - 1) + part + 1));
        }
    }
}

#[test]
fn http2_under_tls_stays_with_the_shared_runtime() {
    let (server, threads, mut config) = server(2);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut client = Client::connect(&server, &config);
    client.send(http2::PREFACE);
    let head = http2::post("/events/a", &[http2::LOCALHOST]);
    client.send(http2::frame(kind::HEADERS, http2::END_HEADERS, 1, &head));
    client.send(http2::frame(kind::DATA, http2::END_STREAM, 1, b"x"));
    let answered = |client: &Client| {
        let frames = http2::frames(&client.bytes);
        frames.iter().any(|frame| frame.stream == 1 && frame.ends_stream())
    };
    while !answered(&client) {
        assert!(client.more());
    }
    assert_eq!(server.engine().head().get(), 1);
    assert_eq!(threads(), <[&str; 0]>::default());
}

#[test]
fn a_shutdown_ends_connections_under_tls() {
    let (server, _, config) = server(2);
    let mut clients = [(); 4].map(|()| {
        let mut client = Client::connect(&server, &config);
        client.publish("x");
        client.reads("\"id\"");
        client
    });
    let stopping = thread::spawn(move || server.stop());
    for client in &mut clients {
        let mut rest = Vec::new();
        // With or without a word of TLS at the end.
        let _ = client.stream.read_to_end(&mut rest);
    }
    stopping.join().unwrap();
}
