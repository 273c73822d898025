//! Retention by rules, with the real program: under load, killed, reloaded, and full.
//!
//! `KILL_ROUNDS` sets how often it is killed; 8 unless set.
#![cfg(unix)]
#![allow(clippy::print_stdout)]

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::world::wire::Wire;
use crate::world::{Folder, Hub, PATIENCE, eventually, said, tidings};
use serde_json::{Value, json};
use tidings_hub::Random;

/// Rules are applied after each mebibyte.
const SETTINGS: [&str; 6] =
    ["--retention-bytes", "4MiB", "--recent-bytes", "64KiB", "--durability", "os"];

const RULES: &str = r#"
[[retention]]
topics = ["chatty/**"]
bytes = "2MiB"
age = "1h"

[[retention]]
name = "notes"
topics = ["notify/**"]
keep-last = 50
"#;

pub(crate) fn serve(folder: &Folder) -> Hub {
    let file = folder.path().join("hub.toml");
    let mut arguments = vec!["--config", file.to_str().unwrap()];
    arguments.extend(SETTINGS);
    Hub::serve(folder, &arguments)
}

pub(crate) fn page(wire: &mut Wire, path: &str) -> Value {
    let page = wire.get(path, "application/json").unwrap();
    assert_eq!(page.status, 200, "{path}: {}", String::from_utf8_lossy(&page.body));
    page.json()
}

/// The data and ids of all events after `from` that are there, and whether there was a reset.
pub(crate) fn read_from(address: &str, topic: &str, from: &str) -> (Vec<(String, String)>, bool) {
    let mut wire = Wire::connect(address).unwrap();
    let (mut from, mut events, mut is_reset) = (from.to_owned(), Vec::new(), false);
    loop {
        // A page may end before its limit.
        let page = page(&mut wire, &format!("/events/{topic}?{from}&limit=1000"));
        is_reset |= page.get("reset").is_some();
        for event in page["events"].as_array().unwrap() {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            events.push((text("data"), text("id")));
        }
        let next = format!("after={}", page["next"].as_str().unwrap());
        if next == from {
            return (events, is_reset);
        }
        from = next;
    }
}

fn read(address: &str, topic: &str) -> Vec<(String, String)> {
    read_from(address, topic, "last=1000").0
}

/// The number of times that rules were applied.
pub(crate) fn jobs(folder: &Folder) -> u64 {
    let text = fs::read_to_string(folder.path().join("data/catalogue")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("gen "));
    line.map_or(0, |number| number.parse().unwrap())
}

fn disk_bytes(folder: &Folder) -> u64 {
    let entries = fs::read_dir(folder.path().join("data")).unwrap();
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|file| file.len()).sum()
}

/// Publishes to a chatty topic as fast as it can, until told to stop or the hub is gone.
pub(crate) fn chatter(address: &str, stop: &AtomicBool) {
    let Ok(mut wire) = Wire::connect(address) else { return };
    let lines: String = (0..100)
        .map(|n| format!("{{\"topic\":\"chatty/{}\",\"data\":\"{}\"}}\n", n % 5, "x".repeat(900)))
        .collect();
    while !stop.load(Ordering::Relaxed) {
        match wire.post("/events", "application/x-ndjson", lines.as_bytes()) {
            // Rules must be applied first.
            Ok(answer) if answer.status == 507 => thread::sleep(Duration::from_millis(20)),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

#[test]
fn the_last_events_beside_a_chatty_topic_survive_kill_9_at_any_moment() {
    let rounds = std::env::var("KILL_ROUNDS").map_or(8, |text| text.parse().unwrap());
    let folder = Folder::new();
    folder.file("hub.toml", RULES);
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let published = Mutex::new(Vec::<String>::new());
    for round in 0..rounds {
        let mut hub = serve(&folder);
        let before = jobs(&folder);
        let stop = AtomicBool::new(false);
        let address = hub.address.clone();
        thread::scope(|scope| {
            scope.spawn(|| chatter(&address, &stop));
            scope.spawn(|| {
                let Ok(mut wire) = Wire::connect(&address) else { return };
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let data = format!("{round}-{n}");
                    match wire.post("/events/notify/1", "text/plain", data.as_bytes()) {
                        Ok(answer) if answer.status == 200 => published.lock().unwrap().push(data),
                        Ok(answer) => assert_eq!(answer.status, 507),
                        Err(_) => return,
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            });
            // Some kills are in the middle of a job, others between two.
            let deadline = Instant::now() + PATIENCE;
            while jobs(&folder) < before + 2 {
                assert!(Instant::now() < deadline, "round {round}: no rule was applied");
                thread::sleep(Duration::from_millis(5));
            }
            thread::sleep(Duration::from_millis(random.below(300)));
            hub.process.kill();
            stop.store(true, Ordering::Relaxed);
        });
        let hub = serve(&folder);
        let published = published.lock().unwrap();
        let there: Vec<_> = read(&hub.address, "notify/1");
        let data: Vec<_> = there.iter().map(|(data, _)| data).collect();
        // An event whose publisher had no answer may be there too.
        let expected = &published[published.len().saturating_sub(40)..];
        let found: Vec<_> = data.iter().filter(|data| expected.contains(data)).collect();
        assert!(found.into_iter().eq(expected.iter().collect::<Vec<_>>().iter()), "round {round}");
        assert!(data.len() >= published.len().min(50), "{} events", data.len());
        // A reader that has one of them lost nothing, however much of the other topic is gone.
        let count = published.len().min(50);
        let id = &there[there.len() - count].1;
        let (rest, is_reset) = read_from(&hub.address, "notify/1", &format!("after={id}"));
        assert_eq!((rest.len(), is_reset), (count - 1, false), "round {round}");
    }
    println!("{} events, {} jobs", published.lock().unwrap().len(), jobs(&folder));
}

#[test]
fn the_disk_stays_bounded_and_each_topic_has_its_last_events_in_order() {
    let folder = Folder::new();
    folder.file("hub.toml", RULES);
    let hub = serve(&folder);
    let stop = AtomicBool::new(false);
    let mut bytes = 0;
    let quiet = hub.publish("rest", "quiet");
    thread::scope(|scope| {
        scope.spawn(|| chatter(&hub.address, &stop));
        let mut wire = Wire::connect(&hub.address).unwrap();
        let mut sent = 0;
        let deadline = Instant::now() + Duration::from_secs(60);
        while jobs(&folder) < 12 || sent < 100 {
            assert!(Instant::now() < deadline, "{} jobs", jobs(&folder));
            let data = sent.to_string();
            let answer = wire.post("/events/notify/7", "text/plain", data.as_bytes()).unwrap();
            sent += u32::from(answer.status == 200);
            bytes = disk_bytes(&folder).max(bytes);
            thread::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
        let there = read(&hub.address, "notify/7");
        let last: Vec<_> =
            there.iter().rev().take(50).rev().map(|(data, _)| data.clone()).collect();
        let expected: Vec<_> = (sent - 50..sent).map(|n| n.to_string()).collect();
        assert_eq!(last, expected);
    });
    // Segments: at most five mebibytes; each rule and the rest, and a job's outputs.
    assert!(bytes < 24 << 20, "{bytes} bytes");
    let mut wire = Wire::connect(&hub.address).unwrap();
    // The chatty topic has lost something, the others have not.
    let reset = |page: Value| page.get("reset").map(|reset| reset["reason"].clone());
    let after = |topic: &str| format!("/events/{topic}?after={quiet}");
    assert_eq!(reset(page(&mut wire, &after("chatty/1"))), Some(json!("expired")));
    assert_eq!(reset(page(&mut wire, &after("rest"))), None);
    let topics = page(&mut wire, "/topics?prefix=notify");
    assert_eq!(topics["topics"][0]["rule"], "notes");
    assert_eq!(page(&mut wire, "/topics?prefix=rest")["topics"][0].get("rule"), None);
    let metrics = wire.get("/metrics", "text/plain").unwrap();
    check_metrics(std::str::from_utf8(&metrics.body).unwrap());
}

/// What is there, and what went, is counted by rule; and nothing is counted by topic.
fn check_metrics(page: &str) {
    let values = |family: &str| -> Vec<f64> {
        let labels =
            ["rule=\"0\",name=\"\"", "rule=\"1\",name=\"chatty/**\"", "rule=\"2\",name=\"notes\""];
        let samples = labels.map(|labels| format!("{family}{{{labels}}} "));
        let of = |sample: &String| page.lines().find_map(|line| line.strip_prefix(&**sample));
        let found: Vec<_> =
            samples.iter().filter_map(of).map(|text| text.parse().unwrap()).collect();
        let lines = page.lines().filter(|line| line.starts_with(&format!("{family}{{"))).count();
        assert_eq!(lines, found.len(), "{page}");
        found
    };
    let one = |family: &str| -> f64 {
        let sample = page.lines().find_map(|line| line.strip_prefix(&format!("{family} ")));
        sample.unwrap().parse().unwrap()
    };
    let (dropped, bytes) =
        (values("tidings_retention_dropped_total"), values("tidings_retention_bytes"));
    assert!(dropped[1] > dropped[0] + dropped[2], "{dropped:?}");
    assert!(bytes[1] > 1e6 && bytes[2] > 1e3, "{bytes:?}");
    let there = one("tidings_log_events");
    assert_eq!(there + dropped.iter().sum::<f64>(), one("tidings_published_total"));
    assert_eq!(one("tidings_expired_total"), dropped.iter().sum::<f64>());
    let events: f64 = values("tidings_retention_events").iter().sum();
    assert!(events > 50.0 && events < there, "{events} of {there}");
    assert_eq!(values("tidings_retention_bytes_max")[..2], [(4 << 20) as f64, (2 << 20) as f64]);
    assert!(values("tidings_retention_written_bytes_total")[1] > bytes[1]);
    assert!(one("tidings_retention_unsorted_bytes") > 0.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let oldest = values("tidings_retention_oldest_timestamp_seconds");
    let is_near =
        |time: &f64| (now.as_secs_f64() - 3_600.0..now.as_secs_f64() + 1.0).contains(time);
    assert!(oldest.len() >= 2 && oldest.iter().all(is_near), "{oldest:?}");
}

#[test]
fn other_rules_apply_when_the_hub_is_asked_to_read_them_again() {
    let folder = Folder::new();
    folder.file("hub.toml", "");
    let hub = serve(&folder);
    hub.publish("notify/1", "x");
    let mut wire = Wire::connect(&hub.address).unwrap();
    let mut rule = || page(&mut wire, "/topics")["topics"][0].get("rule").cloned();
    assert_eq!(rule(), None);
    folder.file("hub.toml", RULES);
    hub.process.signal("HUP");
    eventually(|| rule() == Some(json!("notes")));
    // What cannot be read changes nothing.
    folder.file("hub.toml", "[[retention]]\ntopics = []\n");
    hub.process.signal("HUP");
    folder.file("hub.toml", &RULES.replace("notes", "others"));
    hub.process.signal("HUP");
    eventually(|| rule() == Some(json!("others")));
}

#[test]
fn a_rule_that_is_full_takes_no_other_topics_and_goes_on_with_those_it_has() {
    let folder = Folder::new();
    folder.file(
        "hub.toml",
        "[[retention]]\ntopics = [\"notify/*\"]\nkeep-last = 1\nbytes = \"256KiB\"\n",
    );
    let hub = serve(&folder);
    let mut wire = Wire::connect(&hub.address).unwrap();
    let data = "x".repeat(4000);
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut publish = |topic: String| {
        wire.post(&format!("/events/{topic}"), "text/plain", data.as_bytes()).unwrap()
    };
    for n in 0.. {
        assert!(Instant::now() < deadline, "the rule is not full after {n} topics");
        let answer = publish(format!("notify/{n}"));
        if answer.status == 507 && answer.json()["code"] == "rule_full" {
            assert_eq!(answer.json()["rule"], "notify/*");
            break;
        }
        thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(publish("notify/0".to_owned()).status, 200);
    assert_eq!(publish("other".to_owned()).status, 200);
}

const STATE_RULE: &str = r#"
[[retention]]
name = "boards"
topics = ["boards/**"]
state = true
age = "1s"
"#;

/// The keys and values of a topic, page after page, from a place.
pub(crate) fn state(wire: &mut Wire, topic: &str, after: &str) -> (Vec<(String, String)>, bool) {
    let (mut after, mut held, mut is_reset) = (after.to_owned(), Vec::new(), false);
    loop {
        let page = page(wire, &format!("/events/{topic}?from=state&limit=100{after}"));
        is_reset |= page.get("reset").is_some();
        for event in page["events"].as_array().unwrap() {
            let key = event["key"].as_str().unwrap_or("").to_owned();
            held.retain(|(known, _)| *known != key);
            if event["removed"] != true {
                held.push((key, event["data"].as_str().unwrap().to_owned()));
            }
        }
        after = format!("&after={}", page["next"].as_str().unwrap());
        if page["complete"] == true {
            held.sort();
            return (held, is_reset);
        }
    }
}

#[test]
fn a_rule_keeps_the_state_of_its_topics_beside_a_chatty_one_and_over_kill_9() {
    let folder = Folder::new();
    folder.file("hub.toml", &format!("{STATE_RULE}{RULES}"));
    let mut hub = serve(&folder);
    let mut wire = Wire::connect(&hub.address).unwrap();
    let mut first = String::new();
    let put = |wire: &mut Wire, target: &str, data: &str| {
        let answer = wire.post(&format!("/events/{target}"), "text/plain", data.as_bytes());
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{target}");
        answer.json()["id"].as_str().unwrap().to_owned()
    };
    for round in 0..20 {
        for key in 0..10 {
            let id = put(&mut wire, &format!("boards/1?key=k{key}"), &format!("{round}"));
            first = if first.is_empty() { id } else { first };
        }
    }
    for piece in ["a", "b", "c"] {
        put(&mut wire, "boards/1?append=text", piece);
    }
    put(&mut wire, "boards/2", "old");
    put(&mut wire, "boards/2", "retained");
    let mut expected: Vec<_> = (0..10).map(|key| (format!("k{key}"), "19".to_owned())).collect();
    expected.push(("text".to_owned(), "abc".to_owned()));
    for life in 0..2 {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| chatter(&hub.address, &stop));
            let (before, deadline) = (jobs(&folder), Instant::now() + PATIENCE);
            // All that is superseded goes, at the latest when the lane is merged.
            while (jobs(&folder) < before + 3 || count(&mut wire, "boards/1") > 40)
                && Instant::now() < deadline
            {
                thread::sleep(Duration::from_millis(20));
            }
            stop.store(true, Ordering::Relaxed);
        });
        let left = count(&mut wire, "boards/1");
        let done = jobs(&folder);
        assert!(left <= 40, "life {life}: {left} events are left after {done} jobs");
        hub.process.kill();
        hub = serve(&folder);
        wire = Wire::connect(&hub.address).unwrap();
        assert_eq!(state(&mut wire, "boards/1", ""), (expected.clone(), false), "life {life}");
        let retained = vec![(String::new(), "retained".to_owned())];
        assert_eq!(state(&mut wire, "boards/2", "").0, retained, "life {life}");
        // A reader of the state that was away all the time misses nothing; one of history does.
        let after = format!("&after={first}");
        assert_eq!(state(&mut wire, "boards/1", &after), (expected.clone(), false));
        let history = page(&mut wire, &format!("/events/boards/1?{}", &after[1..]));
        assert_eq!(history["reset"]["reason"], "expired", "life {life}");
    }
}

/// Number of events of a topic that are there.
pub(crate) fn count(wire: &mut Wire, topic: &str) -> usize {
    page(wire, &format!("/events/{topic}?last=1000"))["events"].as_array().unwrap().len()
}

#[test]
fn check_says_which_rule_a_topic_falls_under() {
    let folder = Folder::new();
    let file = folder.file("hub.toml", RULES);
    let mut check = tidings();
    check.arg("check").arg(&file).args(["--topic", "notify/7", "--topic", "other"]);
    let (stdout, stderr, code) = said(&mut check);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("[[retention]] \"notes\""), "{stdout}");
    assert!(
        stdout.contains("notify/7: the rule \"notes\" (notify/**) keeps the last 50 events"),
        "{stdout}"
    );
    assert!(stdout.contains("other: no rule; retention-age and retention-bytes"), "{stdout}");
    for (text, message) in [
        ("[[retention]]\ntopics = [\"a\"]\n", "needs `age`, `bytes`, `keep-last` or `state`"),
        ("[[retention]]\nage = \"1h\"\n", "needs the `topics`"),
        ("[[retention]]\ntopics = [\"a/**/b\"]\nage = \"1h\"\n", "can only be the last segment"),
        ("[[retention]]\ntopics = [\"a\"]\nkeep-last = 0\n", "not a number of events"),
        (
            "[[retention]]\ntopics = [\"a\"]\nkeep-last = 3\nstate = true\n",
            "either `keep-last` or `state`",
        ),
        ("[[retention]]\ntopics = [\"a\"]\nkeep_last = 3\n", "did you mean `keep-last`?"),
        (
            "store = \"memory\"\n[[retention]]\ntopics = [\"a\"]\nage = \"1h\"\n",
            "needs store = \"disk\" or \"nats\"",
        ),
        (
            "[[retention]]\ntopics = [\"a\"]\nage = \"1h\"\n\
             [[retention]]\ntopics = [\"a\"]\nage = \"2h\"\n",
            "is named \"a\" too",
        ),
    ] {
        let file = folder.file("wrong.toml", text);
        let (_, stderr, code) = said(tidings().arg("check").arg(&file));
        assert!(stderr.contains(message), "{text}: {stderr}");
        assert_ne!(code, 0);
    }
}
