//! What a real disk does to a running hub, and that it heals without a restart, or ends and says
//! so.
//!
//! | cause | publishers | `/readyz` | then |
//! |---|---|---|---|
//! | the largest size of a file (`RLIMIT_FSIZE`) | 507 | `store_full` | goes on when it is raised |
//! | a full disk (tmpfs; needs root) | 507 | `store_full` | goes on when there is room |
//! | no descriptors (`RLIMIT_NOFILE`) | 503 | `store_unavailable` | goes on with more |
//! | the data folder moved | 503, `Retry-After` | `store_unavailable` | goes on when it is back |
//! | the data folder removed | 503 | `store_failed` | exits with code 9 |
//! | a file that cannot be removed | nothing | nothing | it is removed later |
//! | an index that cannot be written | nothing | nothing | it is written later |
//! | an index that is damaged | nothing | nothing | it is made again |
//!
//! (What only a simulated disk can do is in `tidings-store-disk/src/tests/faults.rs`.)
#![allow(clippy::print_stderr)]
#![cfg(target_os = "linux")]

use crate::world;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::world::wire::{Answer, Wire};
use crate::world::{Folder, Hub, clean, eventually, said};

const BOTH: [&str; 2] = ["fsync", "os"];
/// `SPARE_FILES` of the disk store.
const RESERVE: usize = 4;

#[test]
fn a_hub_that_cannot_store_says_so_serves_what_it_has_and_heals() {
    for durability in BOTH {
        let folder = Folder::new();
        let hub = serve_with_limit(&folder, durability);
        let mut listener = hub.listen(&[], "/events/t");
        listener.line_with("id: ");
        assert_eq!(ready(&hub), "ready");
        hub.publish("t", "first");
        assert_eq!(listener.values("data: ", 1), ["first"]);

        let mut wire = Wire::connect(&hub.address).unwrap();
        let refused = until_refused(&mut wire, 256 << 10);
        assert_eq!(refused.status, 507);
        let problem = refused.json();
        assert_eq!((&problem["status"], &problem["code"]), (&507.into(), &"store_full".into()));
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");

        let form =
            ["-i", "-d", "topic=t", "--data-urlencode", &format!("data@{}", big_file(&folder))];
        let refused = hub.curl(&form, "/.well-known/mercure");
        assert!(refused.starts_with("HTTP/1.1 507"), "{refused}");
        assert!(refused.contains("the event is not stored"), "{refused}");

        assert_eq!(ready(&hub), "store_full");
        let health = said(&mut hub.command(&["health"]));
        assert_eq!(health, ("not ready: store_full\n".into(), String::new(), 1));
        assert_eq!(hub.curl(&["-o", "/dev/null", "-w", "%{http_code}"], "/healthz"), "200");
        assert_eq!(metric(&hub, "tidings_store_failed"), 1.0);
        assert_eq!(metric(&hub, "tidings_store_failure{reason=\"full\"}"), 1.0);

        let mut late = hub.listen(&[], "/events/t?last=1");
        assert_eq!(late.values("data: ", 1), ["first"]);
        assert!(!listener.has_ended(), "who listens is still connected");

        // With room again it goes on by itself, and nobody has to publish for that.
        prlimit(&hub, "--fsize=unlimited");
        eventually(|| ready(&hub) == "ready");
        assert_eq!(metric(&hub, "tidings_store_failed"), 0.0);
        assert_eq!(post_big(&mut wire, 256 << 10).status, 200);
        hub.publish("t", "second");
        assert_eq!(listener.values("data: ", 1), ["second"]);
    }
}

#[test]
fn what_was_acknowledged_before_the_disk_was_full_is_there_when_it_is_not() {
    let folder = Folder::new();
    let mut hub = serve_with_limit(&folder, "fsync");
    let mut wire = Wire::connect(&hub.address).unwrap();
    let mut stored = 0;
    while post_big(&mut wire, 100 << 10).status == 200 {
        stored += 1;
        assert!(stored < 1000, "the limit is never reached");
    }
    hub.process.kill();

    let hub = Hub::serve(&folder, &[]);
    let mut wire = Wire::connect(&hub.address).unwrap();
    let page = wire.get("/topics", "application/json").unwrap().json();
    assert_eq!(page["topics"][0]["events"], stored, "what was refused was cut off: {page}");
    assert_eq!(wire.post("/events/t", "text/plain", b"on").unwrap().status, 200);
}

#[test]
fn a_full_file_system_refuses_events_until_somebody_makes_room() {
    let folder = Folder::new();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let Some(mounted) = Mounted::tmpfs(&disk) else {
        eprintln!("SKIPPED: a tmpfs cannot be mounted here (it needs root)");
        return;
    };
    for durability in BOTH {
        let data = disk.join(durability);
        let hub = serve(&data, &["--durability", durability]);
        let filler = disk.join("filler");
        let room = Command::new("sh").args(["-c", "cat /dev/zero > \"$0\""]).arg(&filler).output();
        assert!(!room.unwrap().status.success(), "it is full");
        let mut wire = Wire::connect(&hub.address).unwrap();
        let refused = until_refused(&mut wire, 64 << 10);
        assert_eq!((refused.status, &refused.json()["code"]), (507, &"store_full".into()));
        assert_eq!(ready(&hub), "store_full");
        // Not even a restart needs room.
        drop(hub);
        let hub = serve(&data, &["--durability", durability]);
        let mut wire = Wire::connect(&hub.address).unwrap();
        assert_eq!(until_refused(&mut wire, 64 << 10).status, 507);
        fs::remove_file(&filler).unwrap();
        eventually(|| ready(&hub) == "ready");
        assert_eq!(post_big(&mut wire, 64 << 10).status, 200);
    }
    drop(mounted);
}

#[test]
fn a_hub_without_descriptors_goes_on_for_some_segments_and_heals_when_it_has_more() {
    for durability in BOTH {
        let folder = Folder::new();
        let data = folder.path().join("data");
        let hub = serve(&data, &["--durability", durability, "--retention-bytes", "64MiB"]);
        let mut wire = Wire::connect(&hub.address).unwrap();
        assert_eq!(post_big(&mut wire, 1 << 10).status, 200);
        let open = || -> Vec<u32> {
            let open = fs::read_dir(format!("/proc/{}/fd", hub.process.pid())).unwrap();
            let names = open.map(|one| one.unwrap().file_name().into_string().unwrap());
            names.map(|name| name.parse().unwrap()).collect()
        };
        // The folder itself, and its reserve, which is filled soon after the start. (How many other
        // descriptors there are depends on what the test itself was started with.)
        let of_the_folder = |&number: &u32| {
            let link = format!("/proc/{}/fd/{number}", hub.process.pid());
            fs::read_link(link).is_ok_and(|target| target == data)
        };
        eventually(|| open().into_iter().filter(of_the_folder).count() == 1 + RESERVE);
        let limit = prlimit_of(&hub, "NOFILE");
        let all = open().into_iter().max().unwrap() + 1;
        prlimit(&hub, &format!("--nofile={all}:"));
        // Connections take the rest.
        let mut idle = Vec::new();
        eventually(|| {
            idle.push(TcpStream::connect(&hub.address).unwrap());
            open().len() == all as usize
        });
        let segments = || names(&data, ".log").len();
        let refused = until_refused(&mut wire, 256 << 10);
        let problem = refused.json();
        assert_eq!((refused.status, &problem["code"]), (503, &"store_unavailable".into()));
        assert!(segments() > 1, "the reserve was used");
        prlimit(&hub, &format!("--nofile={limit}:"));
        drop(idle);
        eventually(|| ready(&hub) == "ready");
        assert_eq!(post_big(&mut wire, 256 << 10).status, 200);
    }
}

#[test]
fn a_data_folder_that_is_moved_takes_no_events_until_it_is_back() {
    for durability in BOTH {
        let folder = Folder::new();
        let (data, elsewhere) = (folder.path().join("data"), folder.path().join("elsewhere"));
        let hub = serve(&data, &["--durability", durability]);
        hub.publish("t", "first");
        fs::rename(&data, &elsewhere).unwrap();
        eventually(|| ready(&hub) == "store_unavailable");
        let refused = hub.curl(&["-i", "-d", "lost"], "/events/t");
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        assert!(refused.contains("\r\nretry-after: 2\r\n"), "{refused}");
        fs::rename(&elsewhere, &data).unwrap();
        hub.publish("t", "second");
        eventually(|| ready(&hub) == "ready");
    }
}

#[test]
fn a_data_folder_that_is_removed_ends_the_hub_with_a_code_of_its_own() {
    for (durability, publishes) in [("fsync", true), ("os", true), ("fsync", false)] {
        let folder = Folder::new();
        let data = folder.path().join("data");
        let mut hub = serve(&data, &["--durability", durability, "--drain-window", "100ms"]);
        hub.publish("t", "first");
        fs::remove_dir_all(&data).unwrap();
        if publishes {
            let refused = hub.curl(&["-w", "%{http_code}", "-d", "into nowhere"], "/events/t");
            assert!(refused.ends_with("503") && refused.contains("store_failed"), "{refused}");
        }
        assert_eq!(hub.process.wait().code(), Some(9));
        // And the next one begins a new log.
        let hub = serve(&data, &["--durability", durability]);
        assert_eq!(ready(&hub), "ready");
    }
}

#[test]
fn a_file_that_cannot_be_removed_stops_nobody_and_goes_later() {
    for durability in BOTH {
        let folder = Folder::new();
        let data = folder.path().join("data");
        let hub = serve(&data, &["--durability", durability, "--retention-bytes", "4MiB"]);
        // The oldest segment: what is in its place now cannot be unlinked.
        let oldest = names(&data, ".log").remove(0);
        fs::rename(&oldest, folder.path().join("aside")).unwrap();
        fs::create_dir(&oldest).unwrap();
        let mut wire = Wire::connect(&hub.address).unwrap();
        for _ in 0..60 {
            assert_eq!(post_big(&mut wire, 256 << 10).status, 200);
        }
        eventually(|| metric(&hub, "tidings_store_background_failures_total") > 1.0);
        assert_eq!(ready(&hub), "ready");
        fs::remove_dir(&oldest).unwrap();
        eventually(|| fs::metadata(&oldest).is_err() && bytes(&data) < 6 << 20);
        assert_eq!(post_big(&mut wire, 256 << 10).status, 200);
    }
}

#[test]
fn a_file_that_is_immutable_stops_nobody_and_no_restart() {
    for durability in BOTH {
        let folder = Folder::new();
        let data = folder.path().join("data");
        let arguments = ["--durability", durability, "--retention-bytes", "4MiB"];
        let mut hub = serve(&data, &arguments);
        let oldest = names(&data, ".log").remove(0);
        let mut wire = Wire::connect(&hub.address).unwrap();
        while names(&data, ".log").len() < 2 {
            assert_eq!(post_big(&mut wire, 256 << 10).status, 200);
        }
        let Some(immutable) = Immutable::make(&oldest) else {
            eprintln!("SKIPPED: a file cannot be made immutable here (it needs root and chattr)");
            return;
        };
        for _ in 0..2 {
            for _ in 0..30 {
                assert_eq!(post_big(&mut wire, 256 << 10).status, 200);
            }
            eventually(|| metric(&hub, "tidings_store_background_failures_total") > 0.0);
            assert_eq!(ready(&hub), "ready");
            // It is one file more, not the first of many.
            eventually(|| bytes(&data) < 6 << 20);
            hub.process.kill();
            hub = serve(&data, &arguments);
            wire = Wire::connect(&hub.address).unwrap();
        }
        assert_eq!(post_big(&mut wire, 256 << 10).status, 200);
        drop(immutable);
        eventually(|| fs::metadata(&oldest).is_err() && bytes(&data) < 6 << 20);
    }
}

#[test]
fn an_index_that_cannot_be_written_or_read_stops_nobody_and_is_made_again() {
    for durability in BOTH {
        let folder = Folder::new();
        let data = folder.path().join("data");
        let hub = serve(&data, &["--durability", durability, "--retention-bytes", "64MiB"]);
        let mut wire = Wire::connect(&hub.address).unwrap();
        let path = "/events/t?id=once";
        assert_eq!(wire.post(path, "text/plain", b"once").unwrap().status, 200);
        let index = names(&data, ".log").remove(0).with_extension("index");
        fs::create_dir(&index).unwrap();
        while names(&data, ".log").len() < 2 {
            assert_eq!(post_big(&mut wire, 256 << 10).status, 200);
        }
        eventually(|| metric(&hub, "tidings_store_background_failures_total") > 0.0);
        assert_eq!(ready(&hub), "ready");
        fs::remove_dir(&index).unwrap();
        eventually(|| fs::metadata(&index).is_ok_and(|index| index.is_file()));

        // Now every page of it is wrong.
        let mut damaged = fs::read(&index).unwrap();
        let whole = damaged.clone();
        damaged.iter_mut().step_by(100).for_each(|byte| *byte ^= 1);
        fs::write(&index, &damaged).unwrap();
        let repeated = wire.post(path, "text/plain", b"once").unwrap();
        assert_eq!(repeated.status, 200);
        assert_eq!(repeated.json()["duplicate"], true, "{}", repeated.json());
        assert_eq!(wire.post("/events/t?id=new", "text/plain", b"new").unwrap().status, 200);
        eventually(|| fs::read(&index).is_ok_and(|index| index == whole));
        assert_eq!(ready(&hub), "ready");
    }
}

/// A hub whose files can have 8 MiB each, for now. The signal that comes with that limit does not
/// end it.
fn serve_with_limit(folder: &Folder, durability: &str) -> Hub {
    let script = "ulimit -S -f 8192 || exit 9; exec \"$@\"";
    let mut command = Command::new("bash");
    clean(&mut command);
    command.args(["-c", script, "bash", env!("CARGO_BIN_EXE_tidings"), "serve", "--log", "off"]);
    command.args(["--durability", durability]);
    command.arg("--data").arg(folder.path().join("data")).stderr(Stdio::null());
    Hub::start(&mut command)
}

fn serve(data: &Path, arguments: &[&str]) -> Hub {
    let mut command = world::tidings();
    command.args(["serve", "--log", "off", "--data"]).arg(data).args(arguments);
    Hub::start(command.stderr(Stdio::null()))
}

fn post_big(wire: &mut Wire, bytes: usize) -> Answer {
    wire.post("/events/big", "text/plain", "x".repeat(bytes).as_bytes()).unwrap()
}

fn until_refused(wire: &mut Wire, bytes: usize) -> Answer {
    let mut answers = (0..1000).map(|_| post_big(wire, bytes));
    answers.find(|answer| answer.status != 200).expect("the limit was reached")
}

fn big_file(folder: &Folder) -> String {
    folder.file("big", &"x".repeat(256 << 10)).display().to_string()
}

/// `ready`, or why it is not.
fn ready(hub: &Hub) -> String {
    let text = hub.curl(&[], "/readyz");
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    match &answer["reasons"][0] {
        serde_json::Value::String(reason) => reason.clone(),
        _ => answer["status"].as_str().unwrap().to_owned(),
    }
}

fn metric(hub: &Hub, name: &str) -> f64 {
    let page = hub.curl(&[], "/metrics");
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {page}")).parse().unwrap()
}

/// Files with this ending, the oldest first.
fn names(data: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<_> =
        entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    names.sort();
    names
}

fn bytes(data: &Path) -> u64 {
    let entries = fs::read_dir(data).unwrap();
    entries.map(|entry| entry.unwrap().metadata().map_or(0, |file| file.len())).sum()
}

/// Changes a limit of the running hub.
fn prlimit(hub: &Hub, limit: &str) {
    let pid = hub.process.pid().to_string();
    let output = Command::new("prlimit").args(["--pid", &pid, limit]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The limit in force.
fn prlimit_of(hub: &Hub, name: &str) -> String {
    let pid = hub.process.pid().to_string();
    let words = ["--pid", &pid, "--raw", "--noheadings", "-o", "RESOURCE,SOFT"];
    let (text, _, _) = said(Command::new("prlimit").args(words));
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

/// A file that cannot be changed or removed, until this is dropped.
struct Immutable(PathBuf);

impl Immutable {
    fn make(path: &Path) -> Option<Self> {
        let mut chattr = Command::new("chattr");
        let done = chattr.arg("+i").arg(path).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}

/// A file system that is unmounted in the end.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(at).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
