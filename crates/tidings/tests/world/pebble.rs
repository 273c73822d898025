//! Pebble, the test authority of Let's Encrypt, on this machine alone.
#![allow(clippy::unwrap_used, clippy::print_stderr)] // a skipped test says so

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tidings_testkit::ports;

use super::tls::Pair;
use super::{Folder, Process, eventually, run, text};

/// A running authority.
pub struct Pebble {
    pub process: Process,
    folder: Folder,
    management: u16,
}

/// How an authority is.
pub struct Setup {
    /// Its own port; the hub may know it before the authority runs.
    pub port: u16,
    /// Where it looks for the answers to challenges.
    pub http_port: u16,
    pub tls_port: u16,
    /// Seconds that its certificates are good for.
    pub lifetime: u64,
    /// Percent of nonces that it rejects for no reason.
    pub bad_nonces: u8,
    /// The certificate of its directory.
    pub pair: Pair,
    /// The name server that it asks, instead of the machine's.
    pub name_server: Option<String>,
}

impl Setup {
    /// One that looks at this port for either challenge.
    pub fn looking_at(port: u16) -> Self {
        let lifetime = 90 * 24 * 3600;
        Self {
            port: ports::free(),
            http_port: port,
            tls_port: port,
            lifetime,
            bad_nonces: 0,
            pair: Pair::new(),
            name_server: None,
        }
    }

    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }
}

/// The program; `None`, said loudly, if it is not here.
pub fn program() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_tidings")).ancestors().nth(2).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [target.join("tools")].into_iter().chain(std::env::split_paths(&path));
    let found = folders.map(|folder| folder.join("pebble")).find(|program| program.is_file());
    if found.is_none() {
        eprintln!(
            "!!! SKIPPED: pebble is not here; `scripts/test unit` installs it where there is Go"
        );
    }
    found
}

impl Pebble {
    pub fn start(program: &Path, setup: &Setup) -> Self {
        let folder = Folder::new();
        let certificate = folder.file("cert.pem", &setup.pair.pem);
        let key = folder.file("key.pem", &setup.pair.key);
        let management = ports::free();
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{}", setup.port),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": certificate,
            "privateKey": key,
            "httpPort": setup.http_port,
            "tlsPort": setup.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "retryAfter": {"authz": 1, "order": 1},
            "keyAlgorithm": "ecdsa",
            "profiles": {
                "default": {"description": "the only one", "validityPeriod": setup.lifetime},
            },
        }});
        let config = folder.file("pebble.json", &config.to_string());
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command.arg("-config").arg(config).stdin(Stdio::null());
        if let Some(address) = &setup.name_server {
            command.args(["-dnsserver", address]);
        }
        command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", "0");
        command.env("PEBBLE_WFE_NONCEREJECT", setup.bad_nonces.to_string());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let process = Process::new(command.spawn().unwrap());
        let pebble = Self { process, folder, management };
        eventually(|| run(&mut pebble.curl(&setup.directory())).status.success());
        pebble
    }

    /// The root of what it issues.
    pub fn root(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.root_pem().as_bytes()).unwrap()
    }

    /// The same as a file has it.
    pub fn root_pem(&self) -> String {
        let url = format!("https://127.0.0.1:{}/roots/0", self.management);
        text(run(&mut self.curl(&url)).stdout)
    }

    /// How many orders it has taken.
    pub fn orders(&self) -> usize {
        self.log().matches("Added order ").count()
    }

    /// What it says about itself.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn curl(&self, url: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["-sf", "--max-time", "30", "--cacert"])
            .arg(self.folder.path().join("cert.pem"))
            .arg(url);
        curl
    }
}
