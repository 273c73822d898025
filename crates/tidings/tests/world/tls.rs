//! TLS as a client of our own sees it.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::PATIENCE;

/// A certificate for this machine, and its key.
pub struct Pair {
    pub pem: String,
    pub key: String,
    pub der: CertificateDer<'static>,
}

impl Pair {
    pub fn new() -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        Self { pem: cert.pem(), key: signing_key.serialize_pem(), der: cert.der().clone() }
    }
}

/// A connection of our own, and what the server showed.
pub struct Peer {
    pub stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Peer {
    pub fn connect(address: &str, config: &Arc<ClientConfig>) -> Self {
        Self::connect_as(address, config, "localhost")
    }

    /// The same to a server that is called `name`.
    pub fn connect_as(address: &str, config: &Arc<ClientConfig>, name: &'static str) -> Self {
        let tls = ClientConnection::new(Arc::clone(config), name.try_into().unwrap());
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream: StreamOwned::new(tls.unwrap(), socket) }
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
        self.stream.flush().unwrap();
    }

    pub fn subscribe(&mut self, topic: &str) {
        self.try_subscribe(topic).unwrap();
    }

    /// The same, if the certificate is trusted.
    pub fn try_subscribe(&mut self, topic: &str) -> std::io::Result<()> {
        let head = format!("GET /events/{topic} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.stream.write_all(head.as_bytes())?;
        self.stream.flush()?;
        self.reads("id: ");
        Ok(())
    }

    /// Reads on until `wanted` has come.
    pub fn reads(&mut self, wanted: &str) -> String {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&all).contains(wanted) {
            let length = self.stream.read(&mut buffer).unwrap();
            assert!(length > 0, "it ends without {wanted:?}");
            all.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(all).unwrap()
    }

    pub fn shown(&self) -> CertificateDer<'static> {
        self.stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
    }
}

/// What a client is configured with that trusts these certificates.
pub fn trusting(pairs: &[&Pair]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for pair in pairs {
        roots.add(pair.der.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}
