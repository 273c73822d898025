//! Real servers of NATS on loopback, each with a folder and ports of its own.

use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tidings_store_nats::{Nats, NatsConfig, NatsJournal};
use tidings_store_shared::{AppendFault, Journal as _, Nonce, Seq};
use tidings_testkit::nats::program;
use tidings_testkit::ports;

/// Time after which a test fails that waits for something.
const PATIENCE: Duration = Duration::from_secs(60);

/// Servers, three or one, stopped when they are dropped.
pub(crate) struct Cluster {
    program: PathBuf,
    folder: PathBuf,
    ports: Vec<u16>,
    servers: Vec<Option<Child>>,
}

impl Cluster {
    /// Starts three; `None` if no program is found.
    pub(crate) fn start() -> Option<Self> {
        Self::of(3)
    }

    /// Starts `count`; `None` if no program is found.
    pub(crate) fn of(count: usize) -> Option<Self> {
        let program = program()?;
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidings-nats-{}-{number}", std::process::id());
        let folder = env::temp_dir().join(name);
        let ports = (0..2 * count).map(|_| ports::free()).collect();
        let servers = (0..count).map(|_| None).collect();
        let mut cluster = Self { program, folder, ports, servers };
        for number in 0..count {
            cluster.write_config(number);
            cluster.start_server(number);
        }
        Some(cluster)
    }

    fn write_config(&self, number: usize) {
        let (clients, routes) = self.ports.split_at(self.servers.len());
        let (clients, own_route) = (clients[number], routes[number]);
        let folder = self.folder.join(format!("{number}"));
        fs::create_dir_all(&folder).unwrap();
        let peers = routes.iter().map(|port| format!("nats://127.0.0.1:{port}"));
        let peers: Vec<_> = peers.collect();
        let sync = if self.is_old() { "" } else { "sync_interval: always" };
        let mut text = format!(
            "server_name: n{number}\nlisten: 127.0.0.1:{clients}\nmax_payload: 8MB\n\
             jetstream {{ store_dir: {:?}\n {sync} }}\n",
            folder.display().to_string(),
        );
        if peers.len() > 1 {
            text += &format!(
                "cluster {{ name: c, listen: 127.0.0.1:{own_route}, no_advertise: true\n \
                 routes: {peers:?} }}\n",
            );
        }
        fs::write(self.folder.join(format!("{number}.conf")), text).unwrap();
    }

    /// Whether the servers are from before `sync_interval` could be set.
    pub(crate) fn is_old(&self) -> bool {
        let said = Command::new(&self.program).arg("--version").output().unwrap();
        String::from_utf8_lossy(&said.stdout).contains("v2.9.")
    }

    /// Starts the server `number`, also again after it was killed.
    pub(crate) fn start_server(&mut self, number: usize) {
        let log = fs::File::create(self.folder.join(format!("{number}.log"))).unwrap();
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(self.folder.join(format!("{number}.conf")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.servers[number] = Some(child);
    }

    /// Kills the server `number` (SIGKILL).
    pub(crate) fn kill(&mut self, number: usize) {
        if let Some(mut child) = self.servers[number].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks JetStream, as an operator's tool does, and ignores the answer: `request` is the subject
    /// after `$JS.API.`. One that no server answers is asked of the next.
    pub(crate) fn ask(&self, request: &str, body: &str) {
        let clients = &self.ports[..self.servers.len()];
        let answers = clients.iter().any(|port| ask(*port, request, body).is_ok());
        assert!(answers, "no server answers {request}");
    }

    /// A client of all, for the stream `stream`.
    pub(crate) fn client(&self, stream: &str) -> Nats {
        let servers: Vec<_> = self.ports[..self.servers.len()]
            .iter()
            .map(|port| format!("nats://127.0.0.1:{port}"))
            .collect();
        Nats::new(NatsConfig {
            servers: servers.join(",").parse().unwrap(),
            stream: stream.to_owned(),
            replicas: self.servers.len(),
            tls: false,
            tls_ca: None,
            tls_identity: None,
            credentials: None,
        })
        .unwrap()
    }

    /// A connection to a new stream, once the cluster can create it.
    pub(crate) fn journal(&self, stream: &str) -> NatsJournal {
        let mut journal = NatsJournal::connect(&self.client(stream)).unwrap();
        eventually(|| journal.create().is_ok() && matches!(journal.bounds(), Ok(Some(_))));
        journal
    }

    /// The number of the server that leads `stream`.
    pub(crate) fn leader(&self, journal: &NatsJournal) -> usize {
        let name = journal.leader().unwrap().expect("a stream of three servers has a leader");
        name.strip_prefix('n').unwrap().parse().unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for number in 0..self.servers.len() {
            self.kill(number);
        }
        if thread::panicking() {
            eprintln!("the servers' logs are in {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// One request in the text protocol of NATS, on a connection of its own.
fn ask(port: u16, request: &str, body: &str) -> io::Result<()> {
    let mut socket = BufReader::new(TcpStream::connect(("127.0.0.1", port))?);
    socket.get_ref().set_read_timeout(Some(Duration::from_secs(5)))?;
    let length = body.len();
    let lines = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB $JS.API.{request} answer \
         {length}\r\n{body}\r\n"
    );
    socket.get_mut().write_all(lines.as_bytes())?;
    let mut line = String::new();
    while !line.starts_with("MSG ") {
        line.clear();
        if socket.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Waits until `holds`.
pub(crate) fn eventually(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "the condition never holds");
        thread::sleep(Duration::from_millis(50));
    }
}

/// An append by the writer `run`.
pub(crate) fn append(
    journal: &mut NatsJournal,
    after: u64,
    run: u64,
    number: u64,
) -> Result<u64, AppendFault> {
    let block = format!("{run}/{number}");
    let nonce = Nonce { run, number };
    let patience = Duration::from_secs(3);
    journal.append(Seq::new(after), nonce, block.as_bytes(), patience).map(Seq::get)
}

/// Everything that can be read after `after`.
pub(crate) fn read_all(journal: &mut NatsJournal, after: u64) -> Vec<(u64, String)> {
    let mut all: Vec<(u64, String)> = Vec::new();
    loop {
        let after = all.last().map_or(after, |(seq, _)| *seq);
        let page = journal.read(Seq::new(after), 1 << 16).unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(
            page.into_iter()
                .map(|(seq, block)| (seq.get(), String::from_utf8(block.to_vec()).unwrap())),
        );
    }
}
