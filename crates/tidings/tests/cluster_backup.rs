//! A backup of a hub of a cluster is what another hub starts with: real hubs on a real server of
//! NATS.
#![cfg(feature = "nats")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cluster::Nats;
use crate::world::{Folder, Hub, Process, eventually, run, said, tidings};
use serde_json::Value;

/// Rules of which one promises the newest events of each topic.
const RULES: &str = "[[retention]]\nname = \"kept\"\ntopics = [\"kept/**\"]\nkeep-last = 5\n";

fn back_up(data: &Path, to: &Path) -> Command {
    let mut command = tidings();
    command.arg("backup").arg("--data").arg(data).arg(to);
    command
}

/// Copies a folder, as an operator does.
fn copy(from: &Path, to: &Path) {
    let copied = run(Command::new("cp").arg("-r").arg(from).arg(to));
    assert!(copied.status.success(), "{copied:?}");
}

fn data(hub: &Hub, topic: &str) -> Vec<String> {
    let page = hub.curl(&["-H", "accept: application/json"], &format!("/events/{topic}?last=1000"));
    let page: Value = serde_json::from_str(&page).unwrap();
    let events = page["events"].as_array().unwrap_or_else(|| panic!("{page}")).iter();
    events.map(|event| event["data"].as_str().unwrap_or_default().to_owned()).collect()
}

fn publish_lines(hub: &Hub, topic: &str, count: u64) {
    let urls: Vec<_> = (0..count).map(|_| hub.url(&format!("/events/{topic}"))).collect();
    let published = run(Command::new("curl").args(["-s", "-d", &"x".repeat(200)]).args(urls));
    assert!(published.status.success(), "{published:?}");
}

#[test]
fn a_hub_starts_from_the_backup_of_another_that_runs_and_so_does_a_hub_of_its_own() {
    let folder = Folder::new();
    let Some(nats) = Nats::start(&folder) else { return };
    let path = |name: &str| folder.path().join(name);
    let one = Hub::start(&mut nats.hub(&path("one")));
    let first = one.publish("a", "first");
    publish_lines(&one, "b", 50);
    let (stdout, stderr, code) = said(&mut back_up(&path("one"), &path("copy")));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("bytes copied to"), "{stdout}");
    let (_, stderr, code) = said(&mut back_up(&path("one"), &path("copy")));
    assert!(code == 1 && stderr.contains("already exists"), "{stderr}");
    one.publish("a", "second");

    copy(&path("copy"), &path("two"));
    let two = Hub::start(&mut nats.hub(&path("two")));
    eventually(|| two.curl(&[], "/readyz").contains("\"ready\""));
    let mut stream = two.listen(&["-H", &format!("last-event-id: {first}")], "/events/a");
    two.publish("a", "third");
    assert_eq!(stream.values("data: ", 2), ["second", "third"]);
    assert_eq!(data(&two, "b").len(), 50);
    eventually(|| data(&one, "a") == data(&two, "a"));

    // A log of one hub is restored from it, and from the copy alone, as it was before.
    let (stdout, stderr, code) = said(&mut back_up(&path("one/log"), &path("old form")));
    assert_eq!(code, 0, "{stdout}{stderr}");
    for from in ["copy", "old form"] {
        let to = path("alone").join(from);
        let (stdout, stderr, code) =
            said(tidings().arg("restore").arg("--data").arg(&to).arg(path(from)));
        assert_eq!(code, 0, "{stdout}{stderr}");
        let mut command = tidings();
        command.args(["serve", "--log", "warn", "--data"]).arg(&to);
        let alone = Hub::start(&mut command);
        assert_eq!((data(&alone, "b").len(), data(&alone, "a")[0].as_str()), (50, "first"));
    }
}

#[test]
fn a_backup_that_is_killed_leaves_what_is_no_backup() {
    let folder = Folder::new();
    let Some(nats) = Nats::start(&folder) else { return };
    let path = |name: &str| folder.path().join(name);
    let one = Hub::start(&mut nats.hub(&path("one")));
    let large = folder.file("large", &"x".repeat(900_000));
    let large = format!("@{}", large.display());
    let urls: Vec<_> = (0..40).map(|_| one.url("/events/a")).collect();
    let published = run(Command::new("curl").args(["-s", "--data-binary", &large]).args(urls));
    assert!(published.status.success(), "{published:?}");
    for n in 0..50 {
        let (to, partial) = (path(&format!("copy-{n}")), path(&format!("copy-{n}.partial")));
        let mut backup = Process::spawn(back_up(&path("one"), &to).stdin(Stdio::null()));
        eventually(|| partial.exists() || to.exists());
        backup.kill();
        if to.exists() {
            // It was faster.
            continue;
        }
        assert!(!partial.join("origin").exists(), "it looks like the folder of a hub");
        let (_, stderr, code) = said(&mut back_up(&path("one"), &to));
        assert!(code == 1 && stderr.contains("partial already exists"), "{stderr}");
        let (_, stderr, code) =
            said(tidings().arg("restore").arg("--data").arg(path("new")).arg(&partial));
        assert!(code == 1 && stderr.contains("there is no backup"), "{stderr}");
        return;
    }
    panic!("no backup is killed in the middle");
}

#[test]
fn where_rules_promise_events_a_hub_starts_from_a_backup_and_not_from_a_trimmed_stream() {
    let folder = Folder::new();
    let Some(nats) = Nats::start(&folder) else { return };
    let rules = folder.file("rules.toml", RULES);
    let path = |name: &str| folder.path().join(name);
    let command = |data: &str, words: &[&str]| {
        let mut command = nats.hub(&path(data));
        command.arg("--config").arg(&rules).args(words);
        command
    };
    let one = Hub::start(&mut command("one", &[]));
    for n in 0..5 {
        one.publish("kept%2Fa", &format!("promised-{n}"));
    }
    publish_lines(&one, "b", 40);
    let (_, stderr, code) = said(&mut back_up(&path("one"), &path("copy")));
    assert_eq!(code, 0, "{stderr}");
    publish_lines(&one, "b", 5);
    // The servers have dropped what the rule promises.
    nats.drop_before(21);

    let (_, stderr, code) = said(&mut command("two", &[]));
    assert_eq!(code, 4, "{stderr}");
    for words in ["has nothing before position", "tidings backup --data", "--cluster-allow-gaps"] {
        assert!(stderr.contains(words), "{stderr}");
    }
    let _ = fs::remove_dir_all(path("two"));
    copy(&path("copy"), &path("two"));
    let two = Hub::start(&mut command("two", &[]));
    eventually(|| two.curl(&[], "/readyz").contains("\"ready\""));
    for topic in ["kept%2Fa", "b"] {
        eventually(|| data(&two, topic) == data(&one, topic));
    }
    assert_eq!(data(&two, "kept%2Fa").len(), 5);
    // If no hub had a copy any more.
    let mut command = command("three", &["--cluster-allow-gaps"]);
    let mut three = Hub::start(command.stderr(Stdio::piped()));
    eventually(|| three.curl(&[], "/readyz").contains("\"ready\""));
    assert_eq!(data(&three, "kept%2Fa").len(), 0);
    three.process.signal("TERM");
    three.process.wait();
    let stderr = three.process.stderr();
    assert!(stderr.contains("UNSAFE, as cluster-allow-gaps allows"), "{stderr}");
}
