//! The source over TLS: versions agreed on, certificates refused.

#![allow(clippy::unwrap_used)]

mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tidings_client::{Backoff, Cause, EventSource, HttpTransport, Item, ReadError};
use tokio_rustls::TlsAcceptor;

use wire::{Server, Speaks, event_stream};

/// A server on `localhost` that offers these protocols, and the certificate to trust.
async fn server(protocols: &[&str]) -> (Server, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let wrap = move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.ok()?;
            let speaks = match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => Speaks::Http2,
                _ => Speaks::Http1,
            };
            Some((stream, speaks))
        }
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start_with(address, wrap, |request| async move {
        let (writer, response) = event_stream();
        tokio::spawn(async move {
            writer.write(format!("data: {:?}\n\n", request.version())).await;
            writer.closed().await;
        });
        response
    })
    .await;
    (server, cert.der().clone())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn transport_trusting(certificate: CertificateDer<'static>) -> HttpTransport {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    HttpTransport::with_tls(config)
}

fn url(server: &Server) -> String {
    format!("https://localhost:{}/", server.address.port())
}

async fn version_spoken(protocols: &[&str]) -> String {
    let (server, certificate) = server(protocols).await;
    let mut source = EventSource::builder(&url(&server))
        .transport(transport_trusting(certificate))
        .open()
        .unwrap();
    source.next_event().await.unwrap().unwrap().into_data()
}

#[tokio::test]
async fn http2_is_spoken_where_both_can() {
    assert_eq!(version_spoken(&["h2", "http/1.1"]).await, "HTTP/2.0");
}

#[tokio::test]
async fn http1_is_spoken_where_the_server_knows_no_other() {
    assert_eq!(version_spoken(&["http/1.1"]).await, "HTTP/1.1");
    assert_eq!(version_spoken(&[]).await, "HTTP/1.1");
}

#[tokio::test]
async fn an_http2_connection_is_shared_over_tls_too() {
    let (server, certificate) = server(&["h2"]).await;
    let transport = transport_trusting(certificate);
    let mut sources = Vec::new();
    for _ in 0..5 {
        let builder = EventSource::builder(&url(&server));
        let mut source = builder.transport(transport.clone()).open().unwrap();
        let item = source.next().await.unwrap().unwrap();
        assert!(matches!(item, Item::Open(_)));
        sources.push(source);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused() {
    let (server, _) = server(&["h2", "http/1.1"]).await;
    let mut source = EventSource::builder(&url(&server))
        .retry_policy(Backoff::new().retries_max(0))
        .open()
        .unwrap();
    let error = source.next().await.unwrap().unwrap_err();
    let ReadError::GaveUp { cause: Cause::Network(error), .. } = error else {
        panic!("{error:?}");
    };
    assert!(error.is_connect());
    let chain: Vec<_> =
        std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect();
    assert!(chain.iter().any(|text| text.contains("certificate")), "{chain:?}");
}

/// The clock advances by itself while all tasks wait.
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_to_tls_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let mut source =
        EventSource::builder(&url).retry_policy(Backoff::new().retries_max(0)).open().unwrap();
    let error = source.next().await.unwrap().unwrap_err();
    let ReadError::GaveUp { cause: Cause::Network(network), .. } = &error else {
        panic!("{error:?}");
    };
    assert!(network.is_connect(), "{error:?}");
}
