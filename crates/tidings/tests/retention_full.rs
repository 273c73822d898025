//! A rule that keeps the state, when that takes all its bytes: with the real program.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::retention::{serve, state};
use crate::world::Folder;
use crate::world::wire::{Answer, Wire};

const RULE: &str = r#"
[[retention]]
name = "boards"
topics = ["boards/**"]
state = true
age = "1s"
bytes = "256KiB"
"#;

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn post(wire: &mut Wire, target: &str, data: &str) -> Answer {
    wire.post(&format!("/events/{target}"), "text/plain", data.as_bytes()).unwrap()
}

fn remove(wire: &mut Wire, target: &str) -> u16 {
    wire.delete(&format!("/events/{target}")).unwrap().status
}

/// The rejection says that the rule is full, which one, and what to do.
fn check_rejected(answer: &Answer, what: &str) {
    let problem = answer.json();
    assert_eq!((answer.status, &problem["code"]), (507, &json!("rule_full")), "{what}: {problem}");
    assert_eq!(problem["rule"], "boards", "{what}");
    let detail = problem["detail"].as_str().unwrap();
    for advice in ["a topic or a key that has events", "remove keys", "`bytes`"] {
        assert!(detail.contains(advice), "{what}: {detail}");
    }
}

fn keys(wire: &mut Wire) -> BTreeSet<String> {
    state(wire, "boards/1", "").0.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn a_rule_that_is_full_of_state_takes_changes_and_removals_and_has_room_again_after_them() {
    let folder = Folder::new();
    folder.file("hub.toml", RULE);
    let mut hub = serve(&folder);
    let mut wire = Wire::connect(&hub.address).unwrap();
    let data = "x".repeat(4000);
    let deadline = Instant::now() + PATIENCE;
    let mut stored = BTreeSet::new();
    for n in 0.. {
        assert!(Instant::now() < deadline, "the rule is not full after {n} keys");
        let answer = post(&mut wire, &format!("boards/1?key=k{n}"), &data);
        match answer.status {
            200 => drop(stored.insert(format!("k{n}"))),
            _ if answer.json()["code"] == "store_full" => {}
            _ => {
                check_rejected(&answer, "a new key");
                break;
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
    assert!(stored.len() > 256 * 1024 / 4100, "{} keys fill it", stored.len());
    // It is full, also after a crash, for whatever would need more room for good.
    for life in ["before a crash", "after one"] {
        for target in ["boards/1?key=new", "boards/1?append=new", "boards/2?key=k0", "boards/2"] {
            check_rejected(&post(&mut wire, target, "x"), &format!("{target}, {life}"));
        }
        let batch = "{\"key\":\"k0\",\"data\":\"batch\"}\n{\"key\":\"new\",\"data\":\"x\"}\n";
        let answer = wire.post("/events/boards/1", "application/x-ndjson", batch.as_bytes());
        check_rejected(&answer.unwrap(), "a batch with a new key");
        assert_eq!(keys(&mut wire), stored, "{life}: nothing promised is gone, nothing came");
        // What has its room goes on.
        let piece = format!("{life};");
        for target in ["boards/1?key=k0", "boards/1?append=k1", "other?key=new", "other"] {
            assert_eq!(post(&mut wire, target, &piece).status, 200, "{target}, {life}");
        }
        let held = state(&mut wire, "boards/1", "").0;
        let of = |key: &str| held.iter().find(|(known, _)| known == key).unwrap().1.clone();
        assert_eq!(of("k0"), piece);
        assert!(of("k1").starts_with(&data) && of("k1").ends_with(&piece), "{life}");
        hub.process.kill();
        hub = serve(&folder);
        wire = Wire::connect(&hub.address).unwrap();
    }
    // Room comes with removals, once they are old enough to be applied; not by itself.
    check_rejected(&post(&mut wire, "boards/1?key=new", "x"), "before the removals");
    // As many were taken as came before rules were applied, so more than have room.
    let gone: Vec<_> = stored.iter().skip(20).cloned().collect();
    for key in gone {
        assert_eq!(remove(&mut wire, &format!("boards/1?key={key}")), 200, "{key}");
        stored.remove(&key);
    }
    let deadline = Instant::now() + PATIENCE;
    while post(&mut wire, "boards/1?key=new", "x").status != 200 {
        assert!(Instant::now() < deadline, "there is no room after the removals");
        // Rules are not applied to the newest event.
        assert_eq!(post(&mut wire, "other", "x").status, 200);
        thread::sleep(Duration::from_millis(50));
    }
    stored.insert("new".to_owned());
    assert_eq!(keys(&mut wire), stored);
    hub.process.kill();
    let hub = serve(&folder);
    let mut wire = Wire::connect(&hub.address).unwrap();
    assert_eq!(keys(&mut wire), stored);
    assert_eq!(post(&mut wire, "boards/1?key=another", "x").status, 200);
}
