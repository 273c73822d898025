//! Three servers of NATS, or one. Between any two of them there is a proxy.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tidings_testkit::ports;
use tidings_testkit::proxy::{Flow, Proxy};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::client::Client;
use crate::process::Process;
use crate::world::PATIENCE;

/// The servers.
pub(crate) struct Servers {
    pub(crate) processes: Vec<Process>,
    /// Where clients connect.
    pub(crate) addresses: Vec<SocketAddr>,
    monitors: Vec<SocketAddr>,
    /// What is between the servers: from, to.
    links: Vec<(usize, usize, Proxy)>,
    folder: PathBuf,
    is_old: bool,
}

impl Servers {
    /// Starts `count` servers of `program` with their data in `folder`.
    pub(crate) fn start(program: &Path, folder: &Path, count: usize) -> io::Result<Self> {
        let said = Command::new(program).arg("--version").output()?.stdout;
        let is_old = String::from_utf8_lossy(&said).contains("v2.9.");
        let ports = free_addresses(3 * count);
        let (addresses, rest) = ports.split_at(count);
        let (monitors, routes) = rest.split_at(count);
        let mut links = Vec::new();
        let mut processes = Vec::new();
        for number in 0..count {
            let others = (0..count).filter(|other| *other != number);
            for other in others {
                links.push((number, other, Proxy::start(routes[other])?));
            }
            let peers = links.iter().filter(|(from, ..)| *from == number);
            let peers: Vec<_> =
                peers.map(|(.., link)| format!("nats://{}", link.address())).collect();
            let sync = if is_old { "" } else { "sync_interval: always" };
            let cluster = format!(
                "cluster {{ name: c, listen: {:?}, no_advertise: true\n routes: {peers:?} }}\n",
                routes[number].to_string(),
            );
            let text = format!(
                "server_name: n{number}\nlisten: {:?}\nhttp: {:?}\nmax_payload: 8MB\n\
                 jetstream {{ store_dir: {:?}\n {sync} }}\n{}",
                addresses[number].to_string(),
                monitors[number].to_string(),
                folder.join(format!("n{number}")).display().to_string(),
                if count > 1 { &cluster } else { "" },
            );
            let config = folder.join(format!("n{number}.conf"));
            fs::write(&config, text)?;
            let command = vec![program.into(), "-c".into(), config.into()];
            let mut process = Process::new(command, folder.join(format!("n{number}.log")));
            process.start()?;
            processes.push(process);
        }
        let (addresses, monitors) = (addresses.to_vec(), monitors.to_vec());
        Ok(Self { processes, addresses, monitors, links, folder: folder.to_owned(), is_old })
    }

    /// Whether they are from before `sync_interval` could be set.
    pub(crate) fn is_old(&self) -> bool {
        self.is_old
    }

    /// Where the server `number` has its data.
    pub(crate) fn data(&self, number: usize) -> PathBuf {
        self.folder.join(format!("n{number}"))
    }

    /// The number of the server that leads the stream; any if none does.
    pub(crate) async fn leader(&self) -> usize {
        for monitor in &self.monitors {
            let jetstream = Client::new(*monitor).get("/jsz?streams=1").await;
            let leader = jetstream.as_ref().and_then(|answer| {
                let stream = &answer["account_details"][0]["stream_detail"][0];
                stream["cluster"]["leader"].as_str()?.strip_prefix('n')?.parse().ok()
            });
            if let Some(leader) = leader {
                return leader;
            }
        }
        0
    }

    /// Asks JetStream through any server: `request` is the subject after `$JS.API.`.
    pub(crate) async fn ask(&self, request: &str) -> Result<Value, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            for address in &self.addresses {
                let asked = timeout(Duration::from_secs(5), ask(*address, request)).await;
                if let Ok(Ok(answer)) = asked {
                    return Ok(answer);
                }
            }
            if Instant::now() > until {
                return Err(format!("no server answers {request} within {PATIENCE:?}"));
            }
        }
    }

    /// Cuts the server `number` off from the others; clients reach it.
    pub(crate) fn isolate(&self, number: usize) {
        for (from, to, link) in &self.links {
            if *from == number || *to == number {
                link.set_both(Flow::Paused);
            }
        }
    }

    /// All servers reach one another again.
    pub(crate) fn mend(&self) {
        for (.., link) in &self.links {
            link.mend();
        }
    }
}

/// One request in the text protocol of NATS, on a connection of its own.
async fn ask(address: SocketAddr, request: &str) -> io::Result<Value> {
    let mut socket = BufReader::new(TcpStream::connect(address).await?);
    let lines = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB $JS.API.{request} answer 0\r\n\r\n"
    );
    socket.write_all(lines.as_bytes()).await?;
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // MSG answer 1 LENGTH
        let length = line.strip_prefix("MSG ").and_then(|rest| rest.trim().rsplit(' ').next());
        if let Some(length) = length.and_then(|length| length.parse().ok()) {
            let mut body = vec![0; length];
            socket.read_exact(&mut body).await?;
            return Ok(serde_json::from_slice(&body)?);
        }
    }
}

/// Addresses on loopback that are nobody else's.
pub(crate) fn free_addresses(count: usize) -> Vec<SocketAddr> {
    (0..count).map(|_| ports::address()).collect()
}
