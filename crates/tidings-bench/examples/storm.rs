//! What a restart costs a hub whose subscribers come by TLS and all return at once.
//!
//! ```sh
//! ulimit -n 20000
//! cargo run --release -p tidings-bench --example storm -- target/release/tidings 5000
//! cargo run --release -p tidings-bench --example storm -- target/release/tidings 5000 KEYS
//! ```
//!
//! KEYS is a file for `--tls-ticket-keys`, made if it does not exist. The hub is started, gets its
//! subscribers, each with a session of its own, is killed, and is started again. Printed are the
//! kinds of handshakes and the CPU time of the new hub's first ten seconds, which this program
//! shares the machine with.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Connections that are made at the same time.
const AT_ONCE: usize = 256;

/// Maximum time for one of them.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let [program, streams, keys @ ..] = &words[..] else { panic!("PROGRAM STREAMS [KEYS]") };
    let streams: usize = streams.parse().unwrap();
    let folder = std::env::temp_dir().join(format!("tidings-storm-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let roots = Arc::new(roots);
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let keys = keys.first().map(PathBuf::from);
    let start = || Hub::start(program, &folder, address, keys.as_deref());

    let hub = start();
    let configs: Vec<_> = (0..streams).map(|_| config(&roots)).collect();
    let open = all(address, &configs).await;
    println!("{} streams are open", open.len());
    // The tickets come after the handshakes.
    drop(hub);
    drop(open);

    let hub = start();
    let begin = Instant::now();
    let open = all(address, &configs).await;
    let back = begin.elapsed();
    tokio::time::sleep(Duration::from_secs(10).saturating_sub(back)).await;
    let kinds =
        |wanted| open.iter().filter(|one| one.get_ref().1.handshake_kind() == wanted).count();
    println!(
        "{} full and {} resumed handshakes; all back after {:.1} s; the hub used {:.1} s of CPU",
        kinds(Some(HandshakeKind::Full)),
        kinds(Some(HandshakeKind::Resumed)),
        back.as_secs_f64(),
        hub.cpu_seconds(),
    );
    drop(hub);
    std::fs::remove_dir_all(folder).unwrap();
}

/// A hub that is killed when this is dropped.
struct Hub(Child);

impl Hub {
    fn start(program: &str, folder: &Path, address: SocketAddr, keys: Option<&Path>) -> Self {
        let mut command = Command::new(program);
        command.args(["serve", "--store", "memory", "--log", "error"]);
        command.args(["--listen", &address.to_string()]);
        command.arg("--tls-cert").arg(folder.join("cert.pem"));
        command.arg("--tls-key").arg(folder.join("key.pem")).stdout(Stdio::null());
        if let Some(keys) = keys {
            command.arg("--tls-ticket-keys").arg(keys);
        }
        let hub = Self(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "the hub does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        hub
    }

    /// The time that it has spent, in user and system mode.
    fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        // `USER_HZ` is 100 on every Linux.
        ticks as f64 / 100.0
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A client of its own, with room for its own tickets.
fn config(roots: &Arc<RootCertStore>) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(Arc::clone(roots)).with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(2);
    Arc::new(config)
}

async fn all(address: SocketAddr, configs: &[Arc<ClientConfig>]) -> Vec<TlsStream<TcpStream>> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = Vec::new();
    for config in configs {
        let (room, config) = (Arc::clone(&room), Arc::clone(config));
        tasks.push(tokio::spawn(async move {
            let _place = room.acquire_owned().await.unwrap();
            let subscribed = tokio::time::timeout(PATIENCE, subscribe(address, config));
            subscribed.await.expect("a stream in time")
        }));
    }
    let mut open = Vec::new();
    for task in tasks {
        open.push(task.await.unwrap());
    }
    open
}

/// A stream with its first bytes, before which its ticket came.
async fn subscribe(address: SocketAddr, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(config).connect(name, tcp).await.unwrap();
    stream.write_all(b"GET /events/storm HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|four| four == b"id: ") {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "it ends without a stream");
    }
    stream
}
