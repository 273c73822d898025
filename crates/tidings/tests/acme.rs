//! Certificates that the hub orders by itself, from a real authority on this machine (Pebble).
//!
//! Most of the certificates are for an address, 127.0.0.1; names are asked of a name server of the
//! test's own.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stderr)] // a failed test shows the log

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidings_testkit::ports;

use crate::world::dns::NameServer;
use crate::world::pebble::{self, Pebble, Setup};
use crate::world::tls::{Pair, Peer};
use crate::world::{Folder, PATIENCE, Process, eventually, run, said, text, tidings};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// What several hubs have in common.
struct Scene {
    folder: Folder,
    /// What certificates are ordered for.
    names: &'static str,
    directory: String,
    ca_file: PathBuf,
}

/// A hub at a port that the authority knows.
struct Hub {
    process: Process,
    port: u16,
    log: PathBuf,
}

impl Scene {
    fn new(directory: String, ca: &str) -> Self {
        let folder = Folder::new();
        let ca_file = folder.file("ca.pem", ca);
        Self { folder, names: "127.0.0.1", directory, ca_file }
    }

    fn of(setup: &Setup) -> Self {
        Self::new(setup.directory(), &setup.pair.pem)
    }

    fn command(&self, port: u16, words: &[&str]) -> Command {
        let mut command = tidings();
        command.args(["serve", "--store", "memory", "--log", "info"]);
        command.args(["--listen", &format!("127.0.0.1:{port}"), "--acme-domain", self.names]);
        command.arg("--acme-directory").arg(&self.directory);
        command.arg("--acme-ca-file").arg(&self.ca_file);
        command.arg("--acme-dir").arg(self.folder.path().join("acme")).args(words);
        command
    }

    fn hub(&self, port: u16, words: &[&str]) -> Hub {
        self.start(self.command(port, words), port)
    }

    fn start(&self, mut command: Command, port: u16) -> Hub {
        let log = self.folder.path().join(format!("log-{port}"));
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut process =
            Process::new(command.stdout(Stdio::piped()).stderr(file).spawn().unwrap());
        assert_eq!(process.line(), format!("listening on https://127.0.0.1:{port}"));
        Hub { process, port, log }
    }

    /// A file of the folder.
    fn file(&self, suffix: &str) -> PathBuf {
        let authority = self.directory.split_once("://").unwrap().1.replace([':', '/'], "_");
        self.folder.path().join("acme").join(authority).join(format!("127.0.0.1{suffix}"))
    }

    fn attempts(&self) -> serde_json::Value {
        let text = fs::read_to_string(self.file(".attempts.json")).unwrap_or("{}".to_owned());
        serde_json::from_str(&text).unwrap()
    }

    /// As if the last order had been long ago.
    fn forget_attempts(&self) {
        fs::remove_file(self.file(".attempts.json")).unwrap();
    }
}

impl Hub {
    fn curl(&self, words: &[&str], path: &str) -> String {
        let mut curl = Command::new("curl");
        curl.args(["-sk", "--max-time", "30"]).args(words);
        text(run(curl.arg(format!("https://127.0.0.1:{}{path}", self.port))).stdout)
    }

    fn readiness(&self) -> String {
        self.curl(&[], "/readyz")
    }

    /// What `tidings doctor` finds, and what it says is all right. Where the certificate is
    /// trusted, the topic must have ended: a stream would be judged by how fast it is.
    fn diagnosis(&self, words: &[&str]) -> (Vec<String>, String, i32) {
        let mut doctor = tidings();
        doctor.args(["doctor", &format!("https://127.0.0.1:{}/events/a", self.port), "--json"]);
        let (stdout, stderr, code) = said(doctor.args(["--for", "1m"]).args(words));
        let found: serde_json::Value = serde_json::from_str(&stdout).expect(&stderr);
        let findings = found["findings"].as_array().unwrap();
        let codes = findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned());
        (codes.collect(), found["passed"].to_string(), code)
    }

    fn is_ready(&self) -> bool {
        self.readiness().contains("\"ready\"")
    }

    fn says(&self, words: &str) -> bool {
        fs::read_to_string(&self.log).unwrap().contains(words)
    }

    fn metric(&self, name: &str) -> u64 {
        let page = self.curl(&[], "/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    fn issued(&self) -> u64 {
        self.metric("tidings_acme_orders_total{result=\"issued\"}")
    }

    /// A stream, and the certificate that was shown for it. `trust` has to be who signed it.
    fn stream(&self, trust: &Trust) -> Result<(Peer, CertificateDer<'static>), std::io::Error> {
        let address = format!("127.0.0.1:{}", self.port);
        let mut peer = Peer::connect_as(&address, &trust.0, "127.0.0.1");
        peer.try_subscribe("t")?;
        let shown = peer.shown();
        Ok((peer, shown))
    }
}

impl Drop for Hub {
    /// A failed test shows what the hub said.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// What a client trusts.
struct Trust(Arc<ClientConfig>);

impl Trust {
    fn only(root: CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        Self(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    }
}

#[test]
fn an_address_gets_a_certificate_by_a_handshake_of_its_own() {
    let Some(program) = pebble::program() else { return };
    let port = ports::free();
    let setup = Setup { lifetime: 6 * 24 * 3600, ..Setup::looking_at(port) };
    let (scene, pebble) = (Scene::of(&setup), Pebble::start(&program, &setup));
    let hub = scene.hub(port, &["--acme-profile", "default", "--acme-contact", "a@example.org"]);
    eventually(|| hub.is_ready());
    eventually(|| !scene.file(".order.json").exists());
    let (_stream, shown) = hub.stream(&Trust::only(pebble.root())).unwrap();
    assert_eq!((pebble.orders(), hub.issued()), (1, 1));

    // Chain and key are in one file, for nobody else.
    let pem = fs::read_to_string(scene.file(".pem")).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
    assert!(pem.trim_end().ends_with("-----END PRIVATE KEY-----"));
    for file in [".pem", ".attempts.json"] {
        let mode = fs::metadata(scene.file(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert!(!scene.file(".order.json").exists(), "the order is decided");
    assert_eq!(fs::read_dir(scene.file(".challenges")).unwrap().count(), 0);
    let lifetime = hub.metric("tidings_tls_certificate_expiry_timestamp_seconds")
        - hub.metric("tidings_tls_certificate_begin_timestamp_seconds");
    assert!((6 * 24 * 3600 - 60..=6 * 24 * 3600).contains(&lifetime), "{lifetime}");

    // The next start has it at once, and orders nothing.
    drop(hub);
    let hub = scene.hub(port, &["--acme-profile", "default", "--acme-contact", "a@example.org"]);
    assert!(hub.is_ready(), "{}", hub.readiness());
    assert_eq!(hub.stream(&Trust::only(pebble.root())).unwrap().1, shown);
    assert_eq!(pebble.orders(), 1);

    // Nobody else can shake hands like an authority.
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-alpn", "acme-tls/1", "-servername", "1.0.0.127.in-addr.arpa"]);
    let answer = run(openssl.args(["-connect", &format!("127.0.0.1:{port}")]));
    assert!(!text(answer.stdout).contains("BEGIN CERTIFICATE"));
}

#[test]
fn a_certificate_comes_by_the_plain_port_through_an_authority_that_rejects_nonces() {
    let Some(program) = pebble::program() else { return };
    let (port, plain) = (ports::free(), ports::free());
    let setup = Setup {
        http_port: plain,
        tls_port: ports::free(),
        bad_nonces: 30,
        ..Setup::looking_at(plain)
    };
    let (scene, pebble) = (Scene::of(&setup), Pebble::start(&program, &setup));
    let hub = scene.hub(port, &["--redirect-listen", &format!("127.0.0.1:{plain}")]);
    let deadline = Instant::now() + 3 * PATIENCE;
    while !hub.is_ready() {
        assert!(Instant::now() < deadline, "{}", fs::read_to_string(&hub.log).unwrap());
        std::thread::sleep(Duration::from_millis(100));
    }
    hub.stream(&Trust::only(pebble.root())).unwrap();
    let plain = |path: &str, words: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "30"]).args(words);
        text(run(curl.arg(format!("http://127.0.0.1:{plain}{path}"))).stdout)
    };
    assert_eq!(plain("/.well-known/acme-challenge/unknown", &[]), "404");
    assert_eq!(plain("/.well-known/acme-challenge/..%2faccount.json", &[]), "404");
    assert_eq!(plain("/.well-known/acme-challenge/unknown", &["-d", "x"]), "400");
    assert_eq!(plain("/events/a", &[]), "308", "everything else is redirected as before");
}

#[test]
fn a_hub_serves_without_a_certificate_until_its_authority_is_there() {
    let Some(program) = pebble::program() else { return };
    let port = ports::free();
    let setup = Setup::looking_at(port);
    let scene = Scene::of(&setup);
    let hub = scene.hub(port, &[]);
    eventually(|| hub.says("cannot get a certificate"));
    assert!(hub.readiness().contains("\"no_certificate\""), "{}", hub.readiness());
    assert!(hub.curl(&["-d", "x"], "/events/a?end").contains("\"id\""), "it serves");
    assert_eq!(hub.metric("tidings_tls_certificate_expiry_timestamp_seconds"), 0, "no sample");
    assert!(hub.metric("tidings_acme_orders_total{result=\"failed\"}") >= 1);
    assert_eq!(hub.curl(&["-o", "/dev/null", "-w", "%{http_code}"], "/healthz"), "200");
    let (codes, _, code) = hub.diagnosis(&[]);
    assert_eq!((codes, code), (vec!["no-certificate".to_owned()], 6), "the doctor");

    let pebble = Pebble::start(&program, &setup);
    eventually(|| hub.is_ready());
    assert_eq!(pebble.orders(), 1);
    // Nobody trusts such an authority without being told to, and then all is well.
    let (codes, _, code) = hub.diagnosis(&[]);
    assert_eq!((codes, code), (vec!["certificate-untrusted".to_owned()], 6), "the doctor");
    let root = scene.folder.file("root.pem", &pebble.root_pem());
    let (codes, passed, code) = hub.diagnosis(&["--ca-file", root.to_str().unwrap()]);
    assert_eq!((codes, code), (vec!["no-content".to_owned()], 0), "the doctor");
    assert!(passed.contains("the certificate is trusted, for 89 days"), "{passed}");
}

#[test]
fn names_get_one_certificate_together_by_either_challenge() {
    let Some(program) = pebble::program() else { return };
    let names = NameServer::start(Ipv4Addr::LOCALHOST, "unknown.example");
    for is_plain in [false, true] {
        let (port, plain) = (ports::free(), ports::free());
        let looked_at = if is_plain { plain } else { port };
        let setup = Setup { name_server: Some(names.address()), ..Setup::looking_at(looked_at) };
        let mut scene = Scene::of(&setup);
        scene.names = "hub.example.org,www.hub.example.org,127.0.0.1";
        let pebble = Pebble::start(&program, &setup);
        let plain = format!("127.0.0.1:{plain}");
        let words = ["--redirect-listen", plain.as_str()];
        let hub = scene.hub(port, if is_plain { &words } else { &[] });
        eventually(|| hub.is_ready());
        let trust = Trust::only(pebble.root());
        let address = format!("127.0.0.1:{port}");
        for name in ["hub.example.org", "www.hub.example.org", "127.0.0.1"] {
            let mut peer = Peer::connect_as(&address, &trust.0, name);
            peer.try_subscribe("t").expect(name);
        }
        let mut stranger = Peer::connect_as(&address, &trust.0, "other.example.org");
        assert!(stranger.try_subscribe("t").is_err(), "it is for no other name");
        assert_eq!((pebble.orders(), hub.issued()), (1, 1), "plain: {is_plain}");
    }
}

#[test]
fn a_name_that_leads_nowhere_is_explained_and_the_other_name_waits_with_it() {
    let Some(program) = pebble::program() else { return };
    let names = NameServer::start(Ipv4Addr::LOCALHOST, "unknown.example");
    let port = ports::free();
    let setup = Setup { name_server: Some(names.address()), ..Setup::looking_at(port) };
    let mut scene = Scene::of(&setup);
    scene.names = "hub.example.org,hub.unknown.example";
    let pebble = Pebble::start(&program, &setup);
    let hub = scene.hub(port, &[]);
    eventually(|| hub.says("next attempt in"));
    let log = fs::read_to_string(&hub.log).unwrap();
    assert!(log.contains("hub.unknown.example: "), "{log}");
    assert!(log.contains("Could not resolve"), "{log}");
    assert!(!log.contains("; hub.example.org: "), "the other name is fine: {log}");
    assert!(log.contains("next attempt in 60 minutes"), "{log}");
    assert!(hub.readiness().contains("no_certificate"));
    assert_eq!(pebble.orders(), 1);
}

#[test]
fn a_renewal_drops_no_stream() {
    let Some(program) = pebble::program() else { return };
    let port = ports::free();
    let setup = Setup { lifetime: 20, ..Setup::looking_at(port) };
    let (scene, pebble) = (Scene::of(&setup), Pebble::start(&program, &setup));
    let hub = scene.hub(port, &[]);
    eventually(|| hub.is_ready() && scene.file(".pem").exists());
    drop(hub);
    // Orders come an hour apart, whatever the lifetime is.
    scene.forget_attempts();
    let hub = scene.hub(port, &[]);
    assert!(hub.is_ready(), "{}", hub.readiness());
    let trust = Trust::only(pebble.root());
    let mut streams: Vec<_> = (0..50).map(|_| hub.stream(&trust).unwrap()).collect();
    let before = streams[0].1.clone();
    eventually(|| pebble.orders() == 2 && hub.issued() == 1);
    // A client that has a ticket would not be shown it.
    let fresh = || hub.stream(&Trust::only(pebble.root()));
    eventually(|| fresh().is_ok_and(|(_, shown)| shown != before));
    assert!(hub.curl(&["-d", "still"], "/events/t").contains("\"id\""));
    for (stream, _) in &mut streams {
        stream.reads("data: still\n");
    }
}

#[test]
fn hubs_that_share_a_folder_order_once_and_answer_for_each_other() {
    let Some(program) = pebble::program() else { return };
    let (first, second) = (ports::free(), ports::free());
    // The authority comes to the second hub, but the first one has the lock.
    let setup = Setup { lifetime: 24, ..Setup::looking_at(second) };
    let scene = Scene::of(&setup);
    let there = scene.hub(first, &[]);
    eventually(|| there.says("cannot get a certificate"));
    let here = scene.hub(second, &[]);
    let pebble = Pebble::start(&program, &setup);
    eventually(|| there.is_ready() && here.is_ready());
    let trust = Trust::only(pebble.root());
    assert_eq!(there.stream(&trust).unwrap().1, here.stream(&trust).unwrap().1);
    assert_eq!((pebble.orders(), there.issued(), here.issued()), (1, 1, 0));

    // The other one orders when the first is gone.
    scene.forget_attempts();
    drop(there);
    eventually(|| here.issued() == 1);
}

#[test]
fn a_hub_that_is_killed_before_it_has_written_its_certificate_goes_on_with_the_order() {
    let Some(program) = pebble::program() else { return };
    for delay in [0, 50, 300] {
        let port = ports::free();
        let setup = Setup::looking_at(port);
        let (scene, pebble) = (Scene::of(&setup), Pebble::start(&program, &setup));
        let mut hub = scene.hub(port, &[]);
        eventually(|| pebble.log().contains("POST /finalize-order/"));
        std::thread::sleep(Duration::from_millis(delay));
        hub.process.kill();
        assert!(!scene.file(".pem").exists() && scene.file(".order.json").exists(), "{delay} ms");
        let hub = scene.hub(port, &[]);
        eventually(|| hub.is_ready());
        hub.stream(&Trust::only(pebble.root())).unwrap();
        assert_eq!(pebble.orders(), 1, "after {delay} ms");
    }
}

#[test]
fn a_failed_challenge_is_explained_and_not_repeated_within_the_hour() {
    let Some(program) = pebble::program() else { return };
    let port = ports::free();
    // Nobody listens where the authority looks.
    let setup = Setup::looking_at(ports::free());
    let (scene, pebble) = (Scene::of(&setup), Pebble::start(&program, &setup));
    let hub = scene.hub(port, &[]);
    eventually(|| hub.says("next attempt in"));
    let log = fs::read_to_string(&hub.log).unwrap();
    assert!(log.contains("127.0.0.1: Failed to connect"), "{log}");
    assert!(log.contains("next attempt in 60 minutes"), "{log}");
    assert_eq!(scene.attempts()["failed_orders"], 1);
    assert!(hub.readiness().contains("no_certificate"));
    // Nor does a supervisor that starts it again and again.
    drop(hub);
    for _ in 0..3 {
        let hub = scene.hub(port, &[]);
        eventually(|| hub.curl(&[], "/healthz").contains("ok"));
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(pebble.orders(), 1);
}

#[test]
fn a_folder_that_cannot_be_written_to_costs_no_order() {
    let Some(program) = pebble::program() else { return };
    let port = ports::free();
    let setup = Setup::looking_at(port);
    let (scene, pebble) = (Scene::of(&setup), Pebble::start(&program, &setup));
    let in_the_way = scene.folder.file("acme", "not a folder");
    let hub = scene.hub(port, &[]);
    eventually(|| hub.says("cannot get a certificate: the folder"));
    assert!(hub.readiness().contains("no_certificate"));
    assert_eq!(pebble.orders(), 0);
    fs::remove_file(in_the_way).unwrap();
    eventually(|| hub.is_ready());
    assert_eq!(pebble.orders(), 1);
}

/// A limit of the size of files is as good as a full disk: nothing can be written until it is
/// raised.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_no_order() {
    let Some(program) = pebble::program() else { return };
    let port = ports::free();
    let setup = Setup::looking_at(port);
    let (scene, pebble) = (Scene::of(&setup), Pebble::start(&program, &setup));
    let real = scene.command(port, &[]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -S -f 0 || exit 9; exec \"$@\" 2>/dev/null", "sh"]);
    limited.arg(real.get_program()).args(real.get_args()).env("NO_COLOR", "1");
    let hub = scene.start(limited, port);
    let failed = || hub.metric("tidings_acme_orders_total{result=\"failed\"}");
    eventually(|| failed() >= 1);
    assert_eq!(pebble.orders(), 0);
    let pid = hub.process.pid().to_string();
    let freed = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status();
    assert!(freed.unwrap().success());
    eventually(|| hub.is_ready());
    assert_eq!(pebble.orders(), 1);
}

#[test]
fn an_authority_that_asks_for_patience_gets_it_also_over_a_restart() {
    let authority = FixedAuthority::start();
    let scene = Scene::new(authority.directory(), &authority.pair.pem);
    let port = ports::free();
    let hub = scene.hub(port, &[]);
    eventually(|| hub.says("too many certificates (rateLimited)"));
    eventually(|| hub.says("next attempt in 2 hours"));
    assert!(hub.readiness().contains("no_certificate"));
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
    let not_before = scene.attempts()["not_before"].as_u64().unwrap();
    assert!((now + 7100..=now + 7200).contains(&not_before), "{not_before}, now {now}");
    drop(hub);
    let hub = scene.hub(port, &[]);
    eventually(|| hub.curl(&[], "/healthz").contains("ok"));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(authority.orders.load(Ordering::SeqCst), 1);
}

#[test]
fn check_says_what_is_ordered_and_what_stands_in_the_way() {
    let folder = Folder::new();
    let mut check = tidings();
    check.arg("check").current_dir(folder.path());
    check.env("TIDINGS_ACME_DOMAIN", "hub.example.org,192.0.2.7");
    check.env("TIDINGS_ACME_DIRECTORY", "https://127.0.0.1:1/dir");
    let (stdout, stderr, code) = said(&mut check);
    assert_eq!((stderr.as_str(), code), ("", 0));
    let line = stdout.lines().find(|line| line.starts_with("certificates for ")).unwrap();
    let expected = "certificates for hub.example.org, 192.0.2.7 from https://127.0.0.1:1/dir \
                    (TLS-ALPN-01, at listen), kept in tidings-data/acme/";
    assert!(line.starts_with(expected), "{line}");
    assert!(stdout.contains("the certificate: there is none yet"), "{stdout}");
    let problem = "no certificate could be ordered from here: the directory \
                   https://127.0.0.1:1/dir cannot be read";
    assert!(stdout.contains(problem), "{stdout}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "it leaves nothing");
}

#[test]
fn settings_that_cannot_be_meant_stop_the_start_and_say_why() {
    let folder = Folder::new();
    let missing = folder.path().join("missing.pem");
    let missing = missing.to_str().unwrap();
    for (words, reason) in [
        (&["--acme-domain", "*.example.org"][..], "needs a record in DNS"),
        (&["--acme-domain", "https://hub.example.org"], "is neither a name"),
        (&["--acme-contact", "a@example.org"], "acme-contact needs an acme-domain beside it"),
        (&["--acme-domain", "a.example", "--acme-contact", "me"], "is not a mail address"),
        (&["--acme-domain", "a.example", "--acme-directory", "http://x/"], "begins with https://"),
        (&["--acme-domain", "a.example", "--tls-cert", "c.pem"], "leave out tls-cert"),
        (&["--acme-domain", "a.example", "--acme-ca-file", missing], "cannot be read as PEM"),
    ] {
        let mut serve = tidings();
        serve.args(["serve", "--store", "memory"]).args(words).current_dir(folder.path());
        let (_, stderr, code) = said(&mut serve);
        assert!(stderr.contains(reason), "{words:?}: {stderr}");
        assert!([2, 3].contains(&code), "{words:?}: {code}");
    }
}

/// An authority that takes accounts and no orders.
struct FixedAuthority {
    pair: Pair,
    port: u16,
    orders: Arc<AtomicUsize>,
}

impl FixedAuthority {
    fn start() -> Self {
        let pair = Pair::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let orders = Arc::new(AtomicUsize::new(0));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let config = builder.with_no_client_auth().with_single_cert(vec![pair.der.clone()], key);
        let (config, counted) = (Arc::new(config.unwrap()), Arc::clone(&orders));
        // It ends with the test.
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let socket = socket.unwrap();
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut stream = rustls::StreamOwned::new(tls, socket);
                if let Ok(path) = read_request(&mut stream) {
                    counted.fetch_add(usize::from(path == "/order"), Ordering::SeqCst);
                    let _ = stream.write_all(answer(port, &path).as_bytes());
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            }
        });
        Self { pair, port, orders }
    }

    fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }
}

/// Reads a request to its end; its path.
fn read_request(stream: &mut impl Read) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body)?;
    Ok(head.split_whitespace().nth(1).unwrap().to_owned())
}

fn answer(port: u16, path: &str) -> String {
    let base = format!("https://127.0.0.1:{port}");
    let (status, headers, body) = match path {
        "/dir" => {
            let body = serde_json::json!({
                "newNonce": format!("{base}/nonce"),
                "newAccount": format!("{base}/account"),
                "newOrder": format!("{base}/order"),
            });
            ("200 OK", String::new(), body.to_string())
        }
        "/account" => {
            let place = format!("location: {base}/account/1\r\n");
            ("201 Created", place, r#"{"status":"valid"}"#.to_owned())
        }
        "/order" => {
            let body = serde_json::json!({
                "type": "urn:ietf:params:acme:error:rateLimited",
                "detail": "too many certificates",
            });
            ("429 Too Many Requests", "retry-after: 7200\r\n".to_owned(), body.to_string())
        }
        _ => ("200 OK", String::new(), String::new()),
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}replay-nonce: MTIz\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
