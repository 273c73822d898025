//! Memory that an idle stream costs the hub, by protocol.
//!
//! ```sh
//! cargo run --release -p tidings-bench --example idle -- ADDRESS PID KIND STREAMS PER_CONNECTION
//! ```
//!
//! KIND is `h1`, `h1s`, `h2` or `h2s`; `s` means TLS, with any certificate. A tenth of the streams
//! is opened first, so that one-time allocations do not count; the figure is the growth of the
//! hub's anonymous memory (`RssAnon`) over the rest, divided by their number.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Opened = Vec<Incoming>;

#[tokio::main]
async fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let [address, pid, kind, streams, per_connection] = &words[..] else {
        panic!("ADDRESS PID KIND STREAMS PER_CONNECTION");
    };
    let address: SocketAddr = address.parse().unwrap();
    let (streams, each): (usize, usize) =
        (streams.parse().unwrap(), per_connection.parse().unwrap());
    let warm = (streams / 10).next_multiple_of(each);
    let mut open = Vec::new();
    let mut after = Vec::new();
    for goal in [warm, streams] {
        while open.iter().map(Vec::len).sum::<usize>() < goal {
            open.push(connect(address, kind, each).await);
        }
        // Waits until the handshakes' buffers are freed.
        tokio::time::sleep(Duration::from_secs(3)).await;
        after.push(anonymous_bytes(pid));
    }
    let opened = open.iter().map(Vec::len).sum::<usize>();
    let each_bytes = (after[1] - after[0]) as usize / (opened - warm);
    println!("{kind}, {each} per connection, {opened} streams: {each_bytes} bytes per stream");
}

async fn connect(address: SocketAddr, kind: &str, streams: usize) -> Opened {
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let protocol: &[u8] = if kind.starts_with("h2") { b"h2" } else { b"http/1.1" };
    if !kind.ends_with('s') {
        return subscribe(tcp, protocol == b"h2", streams).await;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything(aws_lc_rs::default_provider())))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    subscribe(tls, protocol == b"h2", streams).await
}

async fn subscribe<T>(io: T, is_http2: bool, streams: usize) -> Opened
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(io);
    let mut bodies = Vec::new();
    if is_http2 {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..streams {
            sender.ready().await.unwrap();
            bodies.push(sender.send_request(request()).await.unwrap().into_body());
        }
    } else {
        let (mut sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        bodies.push(sender.send_request(request()).await.unwrap().into_body());
    }
    for body in &mut bodies {
        body.frame().await.unwrap().unwrap();
    }
    bodies
}

fn request() -> Request<Empty<Bytes>> {
    let request = Request::get("https://localhost/events/idle").header("host", "localhost");
    request.header("accept", "text/event-stream").body(Empty::new()).unwrap()
}

fn anonymous_bytes(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Trusts any certificate: this only measures, and has no secrets.
#[derive(Debug)]
struct Anything(CryptoProvider);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
