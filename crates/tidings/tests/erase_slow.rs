//! Erasures that have to wait: for a backup by the real program, which stands still in the middle.
//! They answer 202, finish afterwards, and survive `kill -9`; and what a backup has of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::world::wire::Wire;
use crate::world::{Folder, Hub, Process, eventually, run, said, text, tidings};
use serde_json::json;

/// Longer than the 30 s after which a hub answers 202, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const SECRET_EVENTS: usize = 300;

/// Events of two topics that take a backup a while to copy. Those of `users/7` can be searched for.
fn publish(hub: &Hub) {
    let filler = "x".repeat(60_000);
    let mut lines = String::new();
    for n in 0..SECRET_EVENTS {
        let secret = json!({ "topic": "users/7", "data": format!("payload-secret-{n}") });
        let other = json!({ "topic": "orders", "data": format!("payload-kept-{n} {filler}") });
        lines += &format!("{secret}\n{other}\n");
    }
    let mut wire = Wire::connect(&hub.address).unwrap();
    let answer = wire.post("/events", "application/x-ndjson", lines.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}

/// The first erasure makes the file that an erasure and a backup exclude one another by.
fn erase_something(hub: &Hub) {
    hub.publish("other", "one");
    assert_eq!(said(&mut hub.command(&["erase", "other", "--all"])).0, "1\n");
}

/// How many different words `grep` finds in any file of a folder.
fn found(folder: &Path, word: &str) -> usize {
    let mut grep = Command::new("grep");
    grep.args(["-rhoaE", &format!("{word}-[0-9]+")]).arg(folder).env("LC_ALL", "C");
    let words = text(run(&mut grep).stdout);
    words.lines().collect::<std::collections::BTreeSet<_>>().len()
}

fn data(folder: &Folder) -> PathBuf {
    folder.path().join("data")
}

fn backup_command(folder: &Folder, name: &str) -> Command {
    let mut command = tidings();
    command.args(["backup", "--data"]).arg(data(folder)).arg(folder.path().join(name));
    command
}

fn back_up(folder: &Folder, name: &str) -> PathBuf {
    let (_, stderr, code) = said(&mut backup_command(folder, name));
    assert_eq!(code, 0, "{stderr}");
    folder.path().join(name)
}

/// A backup that stands still after it began to copy events, and its folder once it is complete.
fn stopped_backup(folder: &Folder) -> (Process, PathBuf) {
    for n in 0..50 {
        let name = format!("stopped-{n}");
        let to = folder.path().join(&name);
        let partial = folder.path().join(format!("{name}.partial"));
        let mut backup = Process::spawn(backup_command(folder, &name).stdin(Stdio::null()));
        let has = |ending: &str| {
            fs::read_dir(&partial).is_ok_and(|files| {
                files.flatten().any(|file| file.file_name().to_string_lossy().ends_with(ending))
            })
        };
        eventually(|| has(".log") || to.exists());
        backup.signal("STOP");
        // The file that makes it a log comes last.
        if !backup.has_ended() && has(".log") && !has("format") {
            return (backup, to);
        }
        backup.signal("CONT");
    }
    panic!("no backup stands still in the middle");
}

/// Sends a request to erase the topic, whose answer is awaited for long.
fn ask_to_erase(hub: &Hub) -> Process {
    hub.listen(&["-i", "--max-time", "90", "-X", "DELETE"], "/events/users%2F7?erase")
}

/// All that came: status line, headers and body.
fn answer(mut curl: Process) -> String {
    let mut lines = Vec::new();
    while let Some(line) = curl.line_within(PATIENCE) {
        let is_last = line.starts_with('{');
        lines.push(line);
        if is_last {
            break;
        }
    }
    lines.join("\n")
}

fn assert_is_under_way(answer: &str) {
    let head = answer.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 202") && head.contains("retry-after: 1"), "{answer}");
    assert!(answer.ends_with("{\"erased\":null}"), "{answer}");
}

#[test]
fn an_erasure_that_is_answered_202_finishes_and_the_same_request_waits_for_it() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    publish(&hub);
    erase_something(&hub);
    let (mut backup, copy) = stopped_backup(&folder);
    // It asks again by itself.
    let mut command = hub.command(&["erase", "users/7", "--all"]);
    let mut program = Process::spawn(command.stdin(Stdio::null()));
    assert_is_under_way(&answer(ask_to_erase(&hub)));
    let again = ask_to_erase(&hub);
    // Nothing is erased as long as the backup needs it, and the hub goes on.
    assert_eq!(found(&data(&folder), "payload-secret"), SECRET_EVENTS);
    hub.publish("orders", "payload-kept-999999");
    thread::sleep(Duration::from_millis(100));

    backup.signal("CONT");
    assert!(backup.wait().success(), "{}", backup.stderr());
    let again = answer(again);
    let erased = format!("{{\"erased\":{SECRET_EVENTS}}}");
    assert!(again.starts_with("HTTP/1.1 200") && again.ends_with(&erased), "{again}");
    // Its own repeat may have come when all was over.
    let printed = program.line_within(PATIENCE).unwrap();
    assert!([SECRET_EVENTS.to_string(), "0".to_owned()].contains(&printed), "{printed}");
    assert_eq!(found(&data(&folder), "payload-secret"), 0);
    assert_eq!(found(&data(&folder), "payload-kept"), SECRET_EVENTS + 1);

    // That backup was begun before, and has them; one that begins now has not.
    assert_eq!(found(&copy, "payload-secret"), SECRET_EVENTS);
    let after = back_up(&folder, "after");
    assert_eq!(found(&after, "payload-secret"), 0);
    assert_eq!(found(&after, "payload-kept"), SECRET_EVENTS + 1);

    // After a restore of the old one they are to be erased again.
    let restored = Folder::new();
    let mut restore = tidings();
    restore.args(["restore", "--data"]).arg(data(&restored)).arg(&copy);
    let (_, stderr, code) = said(&mut restore);
    assert_eq!(code, 0, "{stderr}");
    let hub = Hub::serve(&restored, &[]);
    assert_eq!(found(&data(&restored), "payload-secret"), SECRET_EVENTS);
    let (printed, stderr, _) = said(&mut hub.command(&["erase", "users/7", "--all"]));
    assert_eq!(printed, format!("{SECRET_EVENTS}\n"), "{stderr}");
    assert_eq!(found(&data(&restored), "payload-secret"), 0);
}

#[test]
fn after_kill_9_the_same_request_finishes_an_erasure_that_was_answered_202() {
    let folder = Folder::new();
    let mut hub = Hub::serve(&folder, &[]);
    publish(&hub);
    erase_something(&hub);
    let (mut backup, _) = stopped_backup(&folder);
    assert_is_under_way(&answer(ask_to_erase(&hub)));
    hub.process.kill();

    let hub = Hub::serve(&folder, &[]);
    // Without a further request nothing is erased: it is the client that has no answer.
    assert_eq!(found(&data(&folder), "payload-secret"), SECRET_EVENTS);
    let again = ask_to_erase(&hub);
    backup.signal("CONT");
    assert!(backup.wait().success(), "{}", backup.stderr());
    let again = answer(again);
    let erased = format!("{{\"erased\":{SECRET_EVENTS}}}");
    assert!(again.starts_with("HTTP/1.1 200") && again.ends_with(&erased), "{again}");
    assert_eq!(found(&data(&folder), "payload-secret"), 0);
    assert_eq!(found(&data(&folder), "payload-kept"), SECRET_EVENTS);
    assert_eq!(found(&back_up(&folder, "after"), "payload-secret"), 0);
}

#[test]
fn a_backup_that_the_first_erasure_overtakes_begins_again_and_has_nothing_of_it() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    publish(&hub);
    assert!(!data(&folder).join("copying").exists(), "nothing was erased yet");
    let (mut backup, copy) = stopped_backup(&folder);
    // Nothing holds this one up.
    let (printed, stderr, _) = said(&mut hub.command(&["erase", "users/7", "--all"]));
    assert_eq!(printed, format!("{SECRET_EVENTS}\n"), "{stderr}");
    assert_eq!(found(&data(&folder), "payload-secret"), 0);
    backup.signal("CONT");
    assert!(backup.wait().success(), "{}", backup.stderr());
    assert_eq!(found(&copy, "payload-secret"), 0);
    assert_eq!(found(&copy, "payload-kept"), SECRET_EVENTS);
}
