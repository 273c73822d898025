//! Hubs on one log, over a real server of NATS.
#![cfg(feature = "nats")]

use crate::world;
use std::fs;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::world::{Folder, Hub, Process, eventually, run, text, tidings};
use serde_json::Value;
use tidings_testkit::nats::{Operator, program};
use tidings_testkit::ports;
use tidings_testkit::proxy::{Direction, Flow, Proxy};

/// One server, with a folder for its streams.
pub(crate) struct Nats {
    program: PathBuf,
    name: String,
    store: PathBuf,
    port: u16,
    /// Lines of its configuration besides the usual ones.
    more: String,
    process: Option<Process>,
}

impl Nats {
    /// Starts one; `None` if no program is found.
    pub(crate) fn start(folder: &Folder) -> Option<Self> {
        Self::start_with(folder, "nats", "")
    }

    fn start_with(folder: &Folder, name: &str, more: &str) -> Option<Self> {
        let store = folder.path().join(name);
        let (name, more) = (name.to_owned(), more.to_owned());
        let mut nats =
            Self { program: program()?, name, store, port: ports::free(), more, process: None };
        nats.run(folder);
        Some(nats)
    }

    /// Starts three that have the same streams, and waits until they lead one another.
    fn three(folder: &Folder) -> Option<[Self; 3]> {
        Self::three_after(folder, |_| {})
    }

    /// The same, and does something once one of them runs, which without the others has no leader.
    fn three_after(folder: &Folder, once_one_runs: impl FnOnce(&Self)) -> Option<[Self; 3]> {
        let (routes, monitor) = ([ports::free(), ports::free(), ports::free()], ports::free());
        let peers = routes.map(|port| format!("nats://127.0.0.1:{port}"));
        let start = |number: usize| {
            let monitor =
                if number == 0 { format!("http: 127.0.0.1:{monitor}\n") } else { "".into() };
            let more = format!(
                "server_name: n{number}\n{monitor}cluster {{ name: c, no_advertise: true\n \
                 listen: 127.0.0.1:{}\n routes: {peers:?} }}\n",
                routes[number]
            );
            Self::start_with(folder, &format!("n{number}"), &more)
        };
        let first = start(0)?;
        once_one_runs(&first);
        let servers = [first, start(1)?, start(2)?];
        let url = format!("http://127.0.0.1:{monitor}/jsz");
        eventually(|| {
            let output = run(Command::new("curl").args(["-s", "--max-time", "5", &url]));
            let state: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let meta = &state["meta_cluster"];
            meta["leader"].is_string() && meta["cluster_size"] == 3
        });
        Some(servers)
    }

    fn run(&mut self, folder: &Folder) {
        let text = format!(
            "listen: 127.0.0.1:{}\nmax_payload: 8MB\njetstream {{ store_dir: {:?} }}\n{}",
            self.port, self.store, self.more
        );
        let config = folder.file(&format!("{}.conf", self.name), &text);
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

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Drops the blocks of the stream before this one, as hubs do.
    pub(crate) fn drop_before(&self, block: u64) {
        let mut server = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!("{{\"seq\":{block}}}");
        let length = request.len();
        let lines = format!(
            "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\n\
             PUB $JS.API.STREAM.PURGE.tidings answer {length}\r\n{request}\r\n"
        );
        server.write_all(lines.as_bytes()).unwrap();
        let mut lines = io::BufReader::new(server).lines().map_while(Result::ok);
        let answer = lines.find(|line| line.contains("purge_response")).unwrap();
        assert!(answer.contains("\"success\":true"), "{answer}");
    }

    /// A command that starts a hub with its data in the folder `data`.
    pub(crate) fn hub(&self, data: &Path) -> Command {
        hub(&self.url(), data)
    }
}

/// A command that starts a hub on the servers of `url`, whatever they are.
fn hub(url: &str, data: &Path) -> Command {
    let mut command = careful_hub(url, data);
    command.arg("--store-unsafe");
    command
}

fn careful_hub(url: &str, data: &Path) -> Command {
    let mut command = tidings();
    command.args(["serve", "--log", "warn", "--store", "nats", "--store-url", url]);
    command.args(["--cluster-create", "--data"]).arg(data);
    command
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

#[test]
fn a_hub_on_healthy_servers_starts_without_a_warning() {
    let folder = Folder::new();
    let Some(servers) = Nats::three(&folder) else { return };
    let url = servers.each_ref().map(Nats::url).join(",");
    let data = folder.path().join("data");
    // The first start creates the log, the second finds it, the third has it all.
    for start in ["one", "two", "three"] {
        let mut command = hub(&url, &data);
        command.stderr(Stdio::piped());
        let mut hub = Hub::start(&mut command);
        hub.publish("a", start);
        assert_eq!(json(&hub.curl(&[], "/readyz?for=publish"))["status"], "ready", "{start}");
        hub.process.signal("TERM");
        hub.process.wait();
        let stderr = hub.process.stderr();
        // Servers of Debian are old, which the hub has to say.
        let said: Vec<_> = stderr.lines().filter(|line| !line.contains("UNSAFE")).collect();
        assert!(said.is_empty(), "{start}: {stderr}");
    }
}

#[test]
fn a_new_hub_waits_for_servers_that_start_at_the_same_time() {
    let folder = Folder::new();
    let log = folder.file("log", "");
    let mut process = None;
    let servers = Nats::three_after(&folder, |first| {
        let mut command = first.hub(&folder.path().join("data"));
        command.args(["--listen", &ports::address().to_string()]);
        command.stdout(Stdio::piped()).stderr(fs::File::create(&log).unwrap());
        process = Some(Process::new(command.spawn().unwrap()));
        eventually(|| fs::read_to_string(&log).unwrap().contains("the hub waits for them"));
    });
    let (Some(_servers), Some(mut process)) = (servers, process) else { return };
    let line = process.line_within(world::PATIENCE);
    let log = fs::read_to_string(&log).unwrap();
    assert!(line.is_some_and(|line| line.starts_with("listening on ")), "{log}");
}

#[test]
fn a_hub_logs_in_with_a_credentials_file_and_one_that_is_of_no_use_is_named() {
    let folder = Folder::new();
    let operator = Operator::new();
    let Some(nats) = Nats::start_with(&folder, "nats", &operator.server_config()) else { return };
    let data = folder.path().join("data");
    let creds = folder.file("hub.creds", &operator.credentials());
    let hub = Hub::start(nats.hub(&data).arg("--store-creds").arg(&creds));
    hub.publish("a", "x");
    drop(hub);

    let said = |creds: &Path| world::said(nats.hub(&data).arg("--store-creds").arg(creds));
    let (_, stderr, code) = said(&folder.path().join("none.creds"));
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("none.creds cannot be read"), "{stderr}");
    let half = folder.file("half.creds", operator.credentials().split("\n\n").next().unwrap());
    let (_, stderr, code) = said(&half);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("half.creds has no section USER NKEY SEED"), "{stderr}");
    assert!(stderr.contains("hint: "), "{stderr}");
    let foreign = folder.file("foreign.creds", &Operator::new().credentials());
    let (_, stderr, code) = said(&foreign);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("a NATS server rejected the login"), "{stderr}");
    assert!(stderr.contains("store-creds"), "{stderr}");

    // `check` sees a file that cannot be used, and two logins at once.
    let text = format!("store = \"nats\"\nstore-url = \"nats://a:4222\"\nstore-creds = {half:?}\n");
    let output = run(tidings().arg("check").arg(folder.file("hub.toml", &text)));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text =
        format!("store = \"nats\"\nstore-url = \"nats://u:p@a:4222\"\nstore-creds = {creds:?}\n");
    let output = run(tidings().arg("check").arg(folder.file("hub.toml", &text)));
    let stderr = world::text(output.stderr);
    assert!(stderr.contains("remove user and password from store-url"), "{stderr}");
}

#[test]
fn a_hub_with_other_settings_than_the_rest_does_not_start_and_both_values_are_named() {
    let folder = Folder::new();
    let Some(nats) = Nats::start(&folder) else { return };
    let command = |data: &str, words: &[&str]| {
        let mut command = nats.hub(&folder.path().join(data));
        command.args(words);
        command
    };
    let one = Hub::start(&mut command("one", &["--retention-age", "2d"]));
    one.publish("a", "x");
    let output = run(&mut command("two", &["--retention-age", "3d", "--max-topics", "9"]));
    let stderr = text(output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    for difference in [
        "retention-age is 3 days here and 2 days for the log",
        "max-topics is 9 here and 1000000 for the log",
        "--cluster-update",
    ] {
        assert!(stderr.contains(difference), "{stderr}");
    }
    // Nothing was changed: the same settings as the first hub's are those of the log.
    let two = Hub::start(&mut command("two", &["--retention-age", "2d"]));
    drop((one, two));
    // The operator changes them for all; the old ones are then the wrong ones.
    drop(Hub::start(&mut command("one", &["--retention-age", "3d", "--cluster-update"])));
    let output = run(&mut command("two", &["--retention-age", "2d"]));
    let stderr = text(output.stderr);
    assert!(stderr.contains("retention-age is 2 days here and 3 days for the log"), "{stderr}");
    let two = Hub::start(&mut command("two", &["--retention-age", "3d"]));
    assert!(two.curl(&["-H", "accept: application/json"], "/events/a").contains("\"x\""));
}

#[test]
fn a_hub_whose_clock_is_not_that_of_the_servers_does_not_start() {
    let folder = Folder::new();
    let Some(nats) = Nats::three(&folder) else { return };
    let data = folder.path().join("data");
    // Every time that the servers say is a hundred years later: so is the hub's clock behind.
    let proxied = format!("nats://127.0.0.1:{}", in_a_hundred_years(nats[0].port));
    let version = run(Command::new(&nats[0].program).arg("--version"));
    // Servers of Debian are refused for their age.
    if text(version.stdout).contains("v2.9.") {
        Hub::start(&mut hub(&nats[0].url(), &data)).publish("a", "x");
    } else {
        Hub::start(&mut careful_hub(&nats[0].url(), &data)).publish("a", "x");
        let output = run(&mut careful_hub(&proxied, &data));
        let stderr = text(output.stderr);
        assert_eq!(output.status.code(), Some(4), "{stderr}");
        assert!(stderr.contains("s behind that of the NATS servers"), "{stderr}");
        assert!(stderr.contains("chrony"), "{stderr}");
    }
    // With store-unsafe, it starts and says so.
    let mut command = hub(&proxied, &data);
    let mut hub = Hub::start(command.stderr(Stdio::piped()));
    hub.publish("a", "y");
    hub.process.signal("TERM");
    hub.process.wait();
    let stderr = hub.process.stderr();
    assert!(stderr.contains("s behind that of the NATS servers"), "{stderr}");
}

/// A proxy to the server at `port` that turns its 2000s into 2100s. Returns its port.
fn in_a_hundred_years(port: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let (mut to_server, mut from_client) =
                (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || {
                let _ = io::copy(&mut from_client, &mut to_server);
                let _ = to_server.shutdown(Shutdown::Both);
            });
            thread::spawn(move || pass_later(server, client));
        }
    });
    own
}

fn pass_later(mut from: TcpStream, mut to: TcpStream) {
    let (mut piece, mut held) = (vec![0; 1 << 16], Vec::new());
    while let Ok(count @ 1..) = from.read(&mut piece) {
        held.extend_from_slice(&piece[..count]);
        // Every message of the protocol ends like this, so no time is torn.
        if held.ends_with(b"\r\n") {
            for place in 0..held.len().saturating_sub(8) {
                if held[place..].starts_with(b"ts\":\"20") {
                    held[place + 6] = b'1';
                }
            }
            if to.write_all(&held).is_err() {
                break;
            }
            held.clear();
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn a_hub_that_fetches_a_long_log_is_not_ready_and_turns_subscribers_away() {
    let folder = Folder::new();
    let Some(nats) = Nats::start(&folder) else { return };
    let one = Hub::start(&mut nats.hub(&folder.path().join("one")));
    let data = folder.file("data", &"x".repeat(500_000));
    let data = format!("@{}", data.display());
    let urls = vec![one.url("/events/a"); 60];
    let published = run(Command::new("curl").args(["-s", "--data-binary", &data]).args(&urls));
    assert!(published.status.success(), "{published:?}");
    let newest = one.publish("a", "newest");

    let slow = Proxy::start(([127, 0, 0, 1], nats.port).into()).unwrap();
    slow.set(Direction::ToClient, Flow::Slow { bytes_per_second: 3_000_000 });
    let url = format!("nats://{}", slow.address());
    let two = Hub::start(&mut hub(&url, &folder.path().join("two")));
    let ready = json(&two.curl(&[], "/readyz"));
    assert_eq!(ready["reasons"][0], "catching_up", "{ready}");
    assert!(ready["behind_blocks"].as_u64().unwrap() > 0, "{ready}");
    // Neither one that knows the newest event nor one that knows none is served old ones.
    for header in [format!("last-event-id: {newest}"), "x: y".to_owned()] {
        let mut stream =
            two.listen(&["-H", &header, "-H", "accept: text/event-stream"], "/events/a");
        assert_eq!(stream.line(), "event: tidings.open");
        stream.line_with("retry: ");
    }
    let refused = two.curl(&["-i", "-d", "y"], "/events/a");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after"), "{refused}");

    slow.mend();
    eventually(|| two.curl(&[], "/readyz").contains("\"ready\""));
    assert_eq!(two.curl(&[], "/readyz?for=publish"), "{\"status\":\"ready\"}\n");
    let mut stream = two.listen(&["-H", &format!("last-event-id: {newest}")], "/events/a");
    two.publish("a", "next");
    stream.line_with("data: next");
}

#[test]
fn the_history_of_one_hub_goes_into_a_stream_and_back() {
    let folder = Folder::new();
    let Some(nats) = Nats::start(&folder) else { return };
    let path = |name: &str| folder.path().join(name);
    let alone = |data: &str| {
        let mut command = tidings();
        command.args(["serve", "--log", "warn", "--data"]).arg(path(data));
        Hub::start(&mut command)
    };
    let hub = alone("alone");
    let first = hub.publish("a", "first");
    hub.publish("a", "second");
    let copied = run(tidings().arg("backup").arg("--data").arg(path("alone")).arg(path("copy")));
    assert!(copied.status.success(), "{copied:?}");
    drop(hub);

    let restore = |words: &[&str]| {
        let mut command = tidings();
        command.arg("restore").arg("--data").arg(path("one")).args(["--store", "nats"]);
        command.args(["--store-unsafe", "--store-url", &nats.url()]).args(words);
        world::said(command.arg(path("copy")))
    };
    let (_, stderr, code) = restore(&[]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("the stream does not exist"), "{stderr}");
    assert!(stderr.contains("hint: add --cluster-create"), "{stderr}");
    let (stdout, stderr, code) = restore(&["--cluster-create"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("2 events restored to the stream tidings"), "{stdout}");
    let (_, stderr, code) = restore(&["--cluster-create"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("the stream is not empty"), "{stderr}");
    assert_eq!(fs::read_dir(path("one")).unwrap().count(), 0, "nothing is in a hub's way");

    // Those who had an event of the former hub go on where they were, at any of the new ones.
    let hubs = ["one", "two"].map(|name| Hub::start(&mut nats.hub(&path(name))));
    hubs[1].publish("a", "third");
    for hub in &hubs {
        let mut stream = hub.listen(&["-H", &format!("last-event-id: {first}")], "/events/a");
        assert_eq!(stream.values("data: ", 2), ["second", "third"]);
    }

    let copied = run(tidings().arg("restore").arg("--data").arg(path("back")).arg(path("one/log")));
    assert_eq!(copied.status.code(), Some(1), "a hub uses it");
    drop(hubs);
    let copied = run(tidings().arg("restore").arg("--data").arg(path("back")).arg(path("one/log")));
    assert!(copied.status.success(), "{copied:?}");
    let hub = alone("back");
    let history = json(&hub.curl(&["-H", "accept: application/json"], "/events/a"));
    let data: Vec<_> =
        history["events"].as_array().unwrap().iter().map(|event| &event["data"]).collect();
    assert_eq!(data, ["first", "second", "third"], "{history}");
}
