//! What is erased at one hub is erased at all: two real hubs on a real server of NATS, one of which
//! is killed with SIGKILL while it erases.
#![cfg(feature = "nats")]

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::cluster::Nats;
use crate::world::{Folder, Hub, eventually, run, said, text};
use serde_json::Value;

/// Whether `grep` finds a word in any file of a folder.
fn has(folder: &Path, word: &str) -> bool {
    let output = run(Command::new("grep").args(["-rqa", "-e", word]).arg(folder));
    output.status.success()
}

fn data(hub: &Hub, topic: &str) -> Vec<String> {
    let page = hub.curl(&["-H", "accept: application/json"], &format!("/events/{topic}?last=1000"));
    let page: Value = serde_json::from_str(&page).unwrap();
    let events = page["events"].as_array().unwrap_or_else(|| panic!("{page}")).iter();
    events.map(|event| event["data"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_bytes_of_an_erased_topic_are_in_no_hubs_folder_and_readers_of_each_get_a_reset() {
    let folder = Folder::new();
    let Some(nats) = Nats::start(&folder) else { return };
    let folders = ["one", "two"].map(|name| folder.path().join(name));
    let [one, two] = folders.each_ref().map(|data| Hub::start(&mut nats.hub(data)));
    for n in 0..20 {
        one.publish(&format!("users%2F7?id=ident-{n}-&key=key-{n}-"), &format!("payload-{n}-"));
        two.publish("orders", &format!("kept-{n}-"));
    }
    for hub in [&one, &two] {
        eventually(|| data(hub, "users%2F7").len() == 20 && data(hub, "orders").len() == 20);
    }
    assert!(folders.iter().all(|folder| has(folder, "payload-3-")));
    let mut live = two.listen(&[], "/events/users%2F7");
    eventually(|| {
        let stats: Value = serde_json::from_str(&two.curl(&[], "/stats")).unwrap();
        stats["hubs"]["subscribers"] == 1
    });

    let (erased, stderr, code) = said(&mut one.command(&["erase", "users/7", "--all"]));
    assert_eq!((erased.as_str(), code), ("20\n", 0), "{stderr}");
    assert!(stderr.contains("servers of the log keep the events"), "{stderr}");
    let (again, stderr, _) = said(&mut one.command(&["erase", "users/7", "--all", "--json"]));
    assert_eq!(stderr, "nothing was left to erase\n");
    let again: Value = serde_json::from_str(&again).unwrap();
    assert!(again["erased"] == 0 && again["note"].is_string(), "{again}");
    live.line_with("event: tidings.reset");
    assert!(live.line_with("data: ").contains("\"reason\":\"erased\""));
    // The hub that answered has erased them; the other does when it follows.
    for word in ["payload-3-", "ident-3-", "key-3-"] {
        assert!(!has(&folders[0], word), "{word} is in a file of the hub that answered");
        eventually(|| !has(&folders[1], word));
    }
    for (hub, folder) in [&one, &two].into_iter().zip(&folders) {
        assert_eq!(data(hub, "orders").len(), 20);
        assert!(has(folder, "kept-3-"));
        let again = hub.curl(&["-d", "payload-3-"], "/events/users%2F7?id=ident-3-&key=key-3-");
        assert!(again.contains("event_erased"), "{again}");
    }
    // One that is new gets the events from the servers, and erases them before it serves anybody.
    let new = folder.path().join("three");
    let three = Hub::start(&mut nats.hub(&new));
    eventually(|| three.curl(&[], "/readyz").contains("\"ready\""));
    assert!(!data(&three, "users%2F7").iter().any(|data| data.contains("payload")));
    assert_eq!(data(&three, "orders").len(), 20);
    assert!(!has(&new, "payload-"));
}

#[test]
fn a_hub_that_is_killed_while_it_erases_has_erased_when_it_is_back() {
    const ROUNDS: u64 = 6;
    let folder = Folder::new();
    let Some(nats) = Nats::start(&folder) else { return };
    let folders = ["one", "two"].map(|name| folder.path().join(name));
    let one = Hub::start(&mut nats.hub(&folders[0]));
    for round in 0..ROUNDS {
        let mut two = Hub::start(&mut nats.hub(&folders[1]));
        let lines: String = (0..300)
            .map(|n| {
                let data = format!("payload-{round}-{n}-{}", "x".repeat(2000));
                format!("{{\"topic\":\"users/{round}\",\"data\":\"{data}\"}}\n")
            })
            .collect();
        let batch = folder.file("batch", &lines);
        let batch = format!("@{}", batch.to_str().unwrap());
        let words = ["-H", "content-type: application/x-ndjson", "--data-binary", &batch];
        let answer = one.curl(&words, "/events");
        assert!(answer.contains("\"published\":300"), "{answer}");
        one.publish("orders", &format!("kept-{round}-"));
        eventually(|| data(&two, "orders").len() as u64 == round + 1);
        assert!(has(&folders[1], &format!("payload-{round}-")));

        // The one that is asked answers, whatever becomes of the other.
        let mut erase = one.command(&["erase", &format!("users/{round}"), "--all"]);
        let erasing = thread::spawn(move || run(&mut erase));
        thread::sleep(Duration::from_millis(8 * round));
        two.process.kill();
        let output = erasing.join().unwrap();
        assert_eq!(text(output.stdout), "300\n", "{}", text(output.stderr));
        assert!(!has(&folders[0], &format!("payload-{round}-")));

        let two = Hub::start(&mut nats.hub(&folders[1]));
        eventually(|| two.curl(&[], "/readyz").contains("\"ready\""));
        assert!(!has(&folders[1], "payload-"), "round {round}");
        assert!(!data(&two, &format!("users%2F{round}")).iter().any(|it| it.contains("payload")));
        assert_eq!(data(&two, "orders").len() as u64, round + 1);
    }
}

#[test]
fn the_hub_that_is_asked_and_killed_has_erased_or_can_be_asked_again() {
    const ROUNDS: u64 = 6;
    let folder = Folder::new();
    let Some(nats) = Nats::start(&folder) else { return };
    let folders = ["one", "two"].map(|name| folder.path().join(name));
    let two = Hub::start(&mut nats.hub(&folders[1]));
    for round in 0..ROUNDS {
        let mut one = Hub::start(&mut nats.hub(&folders[0]));
        let topic = format!("users/{round}");
        for n in 0..10 {
            one.publish(&format!("users%2F{round}"), &format!("payload-{n}-{}", "x".repeat(999)));
        }
        let mut erase = one.command(&["erase", &topic, "--all"]);
        let erasing = thread::spawn(move || run(&mut erase));
        thread::sleep(Duration::from_millis(15 * round));
        one.process.kill();
        let is_answered = erasing.join().unwrap().status.success();
        let one = Hub::start(&mut nats.hub(&folders[0]));
        eventually(|| one.curl(&[], "/readyz").contains("\"ready\""));
        if !is_answered {
            let (_, stderr, code) = said(&mut one.command(&["erase", &topic, "--all"]));
            assert_eq!(code, 0, "{stderr}");
        }
        assert!(!has(&folders[0], "payload-"), "round {round}, answered: {is_answered}");
        eventually(|| !has(&folders[1], "payload-"));
        assert!(!data(&two, &format!("users%2F{round}")).iter().any(|it| it.contains("payload")));
    }
}
