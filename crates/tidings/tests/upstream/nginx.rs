//! A real nginx before a hub, with a path for each way to set it up.

use std::process::{Command, Stdio};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tidings_testkit::ports;

use crate::world::{Folder, Hub, Process, eventually};

pub struct Nginx {
    _process: Process,
    port: u16,
    tls_port: u16,
}

/// The paths, and what stands in their locations.
const LOCATIONS: [(&str, &str); 6] = [
    ("unbuffered", "proxy_buffering off; proxy_http_version 1.1;"),
    ("buffered", "proxy_ignore_headers X-Accel-Buffering;"),
    ("heeded", ""),
    ("gzip-flushed", "gzip on;"),
    // The hub's chunks are passed on one by one, and gathered by the compression.
    ("gzip-held", "gzip on; proxy_http_version 1.1; proxy_ignore_headers X-Accel-Buffering;"),
    ("impatient", "proxy_read_timeout 1s;"),
];

impl Nginx {
    /// `None`, and a word about it, where there is no nginx.
    #[allow(clippy::print_stderr)]
    pub fn start(folder: &Folder, hub: &Hub) -> Option<Self> {
        if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
            eprintln!("SKIPPED: there is no nginx here");
            return None;
        }
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        folder.file("certificate.pem", &cert.pem());
        folder.file("key.pem", &signing_key.serialize_pem());
        // Ports that are free now may be taken by a neighbour before nginx has them.
        (0..10)
            .find_map(|_| Self::try_start(folder, hub))
            .or_else(|| panic!("nginx does not start"))
    }

    fn try_start(folder: &Folder, hub: &Hub) -> Option<Self> {
        let place = folder.path().display();
        let [port, tls_port] = [ports::free(), ports::free()];
        let locations = LOCATIONS.map(|(name, lines)| {
            let hub = &hub.address;
            format!("location /{name}/ {{ proxy_pass http://{hub}/; {lines} }}\n")
        });
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"));
        let config = format!(
            "daemon off; master_process off; pid {place}/nginx.pid;\n\
             events {{ worker_connections 200; }}\n\
             http {{ access_log off;\n{}\
             gzip_types text/event-stream; gzip_min_length 0;\n\
             server {{ listen 127.0.0.1:{port}; listen 127.0.0.1:{tls_port} ssl http2;\n\
             ssl_certificate {place}/certificate.pem; ssl_certificate_key {place}/key.pem;\n\
             {} }} }}\n",
            temporary.concat(),
            locations.concat()
        );
        let config = folder.file("nginx.conf", &config);
        let mut nginx = Command::new("nginx");
        nginx.args(["-e", &format!("{place}/nginx.log"), "-c"]).arg(config);
        let mut process = Process::spawn(nginx.stdin(Stdio::null()));
        // It writes its number when it has its ports.
        let pid = folder.path().join("nginx.pid");
        let mut has_ended = false;
        eventually(|| {
            has_ended = process.has_ended();
            has_ended || pid.exists()
        });
        (!has_ended).then_some(Self { _process: process, port, tls_port })
    }

    /// Of a topic of the hub, by one of the [`LOCATIONS`].
    pub fn url(&self, location: &str) -> String {
        format!("http://127.0.0.1:{}/{location}/events/a", self.port)
    }

    /// The same over TLS, with HTTP/2.
    pub fn tls_url(&self, location: &str) -> String {
        format!("https://localhost:{}/{location}/events/a", self.tls_port)
    }
}
