//! Hubs on one log, over a real server of NATS.
#![cfg(feature = "nats")]
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod world;

use std::env;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use world::{Folder, Hub, Process, eventually, run, text, tidings};

/// One server, with a folder for its streams.
struct Nats {
    program: PathBuf,
    store: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Nats {
    /// Starts one; `None`, and a word about it, if no program is found.
    fn start(folder: &Folder) -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("SKIPPED: no nats-server in TIDINGS_NATS_SERVER or PATH");
            return None;
        };
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let store = folder.path().join("nats");
        let mut nats = Self { program, store, port, process: None };
        nats.run(folder);
        Some(nats)
    }

    fn run(&mut self, folder: &Folder) {
        let text = format!(
            "listen: 127.0.0.1:{}\nmax_payload: 8MB\njetstream {{ store_dir: {:?} }}\n",
            self.port, self.store
        );
        let config = folder.file("nats.conf", &text);
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(config).stdin(Stdio::null()).stdout(Stdio::null());
        self.process = Some(Process::new(command.stderr(Stdio::null()).spawn().unwrap()));
        eventually(|| TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal("TERM");
            process.wait();
        }
    }

    /// A command that starts a hub with its data in the folder `data`.
    fn hub(&self, data: &Path) -> Command {
        let mut command = tidings();
        let url = format!("nats://127.0.0.1:{}", self.port);
        command.args(["serve", "--log", "warn", "--store", "nats", "--store-url", &url]);
        command.args(["--store-unsafe", "--cluster-create", "--data"]).arg(data);
        command
    }
}

fn program() -> Option<PathBuf> {
    if let Some(path) = env::var_os("TIDINGS_NATS_SERVER") {
        return Some(PathBuf::from(path));
    }
    let mut folders: Vec<_> = env::split_paths(&env::var_os("PATH")?).collect();
    // Where Debian has it, which is not on everybody's path.
    folders.push(Path::new("/usr/sbin").to_owned());
    folders.into_iter().map(|folder| folder.join("nats-server")).find(|path| path.is_file())
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    assert!(run(Command::new("cp").arg("-r").arg(from).arg(to)).status.success());
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn operators_reach_the_subscribers_of_every_hub_through_any() {
    let folder = Folder::new();
    let Some(nats) = Nats::start(&folder) else { return };
    let hubs = ["one", "two"].map(|name| Hub::start(&mut nats.hub(&folder.path().join(name))));
    let stats = |hub: &Hub| json(&hub.curl(&[], "/stats"));
    eventually(|| hubs.iter().all(|hub| stats(hub)["hubs"]["known"] == 2));
    let mut streams = hubs.each_ref().map(|hub| hub.listen(&[], "/events/a"));
    eventually(|| stats(&hubs[0])["hubs"]["subscribers"] == 2);
    hubs[0].publish("a", "x");
    for stream in &mut streams {
        stream.line_with("data: x");
    }
    let closed = json(&hubs[1].curl(&["-X", "DELETE"], "/connections?topic=a"));
    assert_eq!((&closed["closed"], &closed["hubs"]["answered"]), (&2.into(), &2.into()));
    for mut stream in streams {
        stream.line_with("data: {\"reason\":\"kicked\"}");
        stream.wait();
    }
    let [mut one, two] = hubs;
    one.process.signal("TERM");
    one.process.wait();
    eventually(|| stats(&two)["hubs"]["known"] == 1);
}

#[test]
fn a_hub_whose_log_lost_its_end_says_so_by_its_exit_code_and_starts_again() {
    let folder = Folder::new();
    let Some(mut nats) = Nats::start(&folder) else { return };
    let data = folder.path().join("data");
    let mut command = nats.hub(&data);
    command.stderr(Stdio::piped());
    let mut hub = Hub::start(&mut command);
    hub.publish("a", "kept");
    nats.stop();
    let (store, kept) = (nats.store.clone(), folder.path().join("kept"));
    copy(&store, &kept);
    nats.run(&folder);
    eventually(|| hub.curl(&["-d", "lost"], "/events/a").contains("\"id\""));

    // While the server is away, the hub serves what it has, and says so.
    nats.stop();
    eventually(|| hub.curl(&[], "/readyz").contains("\"publishing\""));
    let ready = json(&hub.curl(&[], "/readyz"));
    assert_eq!(
        (&ready["status"], &ready["publishing"]),
        (&"ready".into(), &"store_unavailable".into())
    );
    assert!(json(&hub.curl(&[], "/stats"))["shared_log"]["away_s"].as_f64().unwrap() >= 0.0);
    let history = hub.curl(&["-H", "accept: application/json"], "/events/a");
    assert_eq!(json(&history)["events"].as_array().unwrap().len(), 2);

    copy(&kept, &store);
    nats.run(&folder);
    let status = hub.process.wait();
    let stderr = hub.process.stderr();
    assert_eq!(status.code(), Some(11), "{stderr}");
    assert!(stderr.contains("hint: start the hub again"), "{stderr}");
    let hub = Hub::start(&mut nats.hub(&data));
    let history = json(&hub.curl(&["-H", "accept: application/json"], "/events/a"));
    let events: Vec<_> = history["events"].as_array().unwrap().iter().collect();
    assert_eq!(events.len(), 1, "{history}");
    eventually(|| hub.curl(&["-d", "next"], "/events/a").contains("\"id\""));
}

#[test]
fn check_says_what_is_missing_of_a_shared_log() {
    let folder = Folder::new();
    let config = folder.file("hub.toml", "store = \"nats\"\n");
    let output = run(tidings().arg("check").arg(&config));
    let stderr = text(output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("--store-url nats://"), "{stderr}");
}
