//! Retention by rules where hubs share a log: two real hubs on a real server of NATS, with a
//! history that is old enough for the rules.
#![cfg(feature = "nats")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cluster::Nats;
use crate::world::{Folder, Hub, eventually, run, said, text, tidings};
use serde_json::Value;
use tidings_hub::{Draft, Key, Log as _, Timestamp, Topic};
use tidings_store_disk::{DiskConfig, DiskStore};

const RULES: &str = r#"
[[retention]]
topics = ["chat"]
age = "10m"

[[retention]]
topics = ["notify/**"]
keep-last = 5

[[retention]]
topics = ["boards/**"]
state = true
age = "10m"
"#;

/// Rounds of events that are twenty minutes old.
const ROUNDS: u64 = 100;

/// Puts a history into the stream, as a hub that was alone leaves it.
fn put_history(folder: &Folder, nats: &Nats) {
    let path = |name: &str| folder.path().join(name);
    let store = DiskStore::open(DiskConfig::new(path("alone"))).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let begin = u64::try_from((now - Duration::from_secs(1200)).as_millis()).unwrap();
    let draft = |on: &str, data: String| Draft::new(Topic::new(on).unwrap(), data);
    for n in 0..ROUNDS {
        let mut drafts: Vec<_> = (0..5).map(|m| draft("chat", format!("chat {n} {m}"))).collect();
        drafts.push(draft(&format!("notify/{}", n % 2), format!("note {n}")));
        let key = Key::new(&format!("k{}", n % 3)).ok();
        drafts.push(Draft { key, ..draft("boards/1", format!("value {n}")) });
        store.append(drafts, Timestamp::from_millis(begin + n)).unwrap();
    }
    drop(store);
    let copied = run(tidings().arg("backup").arg("--data").arg(path("alone")).arg(path("copy")));
    assert!(copied.status.success(), "{copied:?}");
    let mut restore = tidings();
    restore.arg("restore").arg("--data").arg(path("one")).args(["--store", "nats"]);
    restore.args(["--store-unsafe", "--cluster-create", "--store-url", &nats.url()]);
    let (stdout, stderr, code) = said(restore.arg(path("copy")));
    assert_eq!(code, 0, "{stdout} {stderr}");
}

/// A command that starts a hub with these rules.
fn with_rules(nats: &Nats, data: &Path, rules: &Path) -> Command {
    let mut command = nats.hub(data);
    command.arg("--config").arg(rules);
    command
}

fn data(hub: &Hub, query: &str) -> Vec<String> {
    let page = hub.curl(&["-H", "accept: application/json"], &format!("/events/{query}"));
    let page: Value = serde_json::from_str(&page).unwrap();
    let events = page["events"].as_array().unwrap_or_else(|| panic!("{page}")).iter();
    events.map(|event| event["data"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Number of the segments in the folder of a copy.
fn segments(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".log")).count()
}

/// What a hub answers about all topics.
fn answers(hub: &Hub) -> [Vec<String>; 4] {
    ["chat?last=1000", "notify%2F0?last=1000", "notify%2F1?last=1000", "boards%2F1?from=state"]
        .map(|query| data(hub, query))
}

#[test]
fn every_hub_keeps_by_the_rules_and_answers_the_same_after_a_restart() {
    let folder = Folder::new();
    let Some(nats) = Nats::start(&folder) else { return };
    put_history(&folder, &nats);
    let rules = folder.file("hub.toml", RULES);
    let start = |name: &str| Hub::start(&mut with_rules(&nats, &folder.path().join(name), &rules));
    let hubs = [start("one"), start("two")];
    // Rules are applied to segments, once the newest event of one is old enough; and not to the
    // newest event of all.
    for name in ["one", "two"] {
        eventually(|| segments(&folder.path().join(name).join("log")) > 1);
    }
    hubs[0].publish("chat", "new");
    hubs[1].publish("notify%2F0", "new");
    hubs[0].publish("boards%2F1?key=k0", "new");
    let notes = |of: u64| (0..ROUNDS).filter(move |n| n % 2 == of).map(|n| format!("note {n}"));
    let newest = |of: u64| notes(of).skip(ROUNDS as usize / 2 - 5);
    let new = || ["new".to_owned()].into_iter();
    let expected = [
        new().collect(),
        newest(0).chain(new()).collect(),
        newest(1).collect(),
        ["value 97", "value 98", "new"].map(str::to_owned).to_vec(),
    ];
    for hub in &hubs {
        eventually(|| answers(hub) == expected);
        // Rules keep all of it, but for the superseded value of the new one.
        assert_eq!(data(hub, "boards%2F1?last=1000").len(), 4);
    }
    drop(hubs);
    for name in ["one", "two"] {
        assert_eq!(answers(&start(name)), expected, "{name}, after it was killed");
    }
}

#[test]
fn hubs_with_other_rules_do_not_start_and_a_hub_that_runs_does_not_read_them_again() {
    let folder = Folder::new();
    let Some(nats) = Nats::start(&folder) else { return };
    let path = |name: &str| folder.path().join(name);
    let rules = folder.file("hub.toml", RULES);
    let mut command = with_rules(&nats, &path("one"), &rules);
    let log = path("log of one");
    let one = Hub::start(command.stderr(fs::File::create(&log).unwrap()));
    let (stdout, stderr, code) =
        said(tidings().arg("check").arg(&rules).args(["--topic", "notify/7"]));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("notify/7: the rule \"notify/**\""), "{stdout}");

    let other = folder.file("other.toml", &RULES.replace("keep-last = 5", "keep-last = 6"));
    for (config, here) in [(Some(&other), "notify/** keep-last 6"), (None, "none here")] {
        let mut command = nats.hub(&path("two"));
        if let Some(file) = config {
            command.arg("--config").arg(file);
        }
        let output = run(&mut command);
        let stderr = text(output.stderr);
        assert_eq!(output.status.code(), Some(4), "{stderr}");
        assert!(stderr.contains("retention-rules is ") && stderr.contains(here), "{stderr}");
        let there = "here and chat age 10 minutes, notify/** keep-last 5, boards/** state age 10 \
                     minutes for the log";
        assert!(stderr.contains(there), "{stderr}");
        assert!(stderr.contains("--cluster-update"), "{stderr}");
    }

    folder.file("hub.toml", &RULES.replace("keep-last = 5", "keep-last = 6"));
    one.process.signal("HUP");
    let said = || fs::read_to_string(&log).unwrap();
    eventually(|| said().contains("the rules of retention are not read again"));
    drop(one);
    let mut command = with_rules(&nats, &path("one"), &rules);
    drop(Hub::start(command.arg("--cluster-update")));
    drop(Hub::start(&mut with_rules(&nats, &path("two"), &other)));
}
