//! `tidings erase` at a real hub: what it prints, and that it takes more than a topic's name to
//! erase all of the topic.

use crate::world::{Folder, Hub, said, tidings};

const SECRET: &str = "a secret of thirty-two characters";

/// The data of the topic's events.
fn data(hub: &Hub, topic: &str) -> Vec<String> {
    let page = hub.curl(&["-H", "Accept: application/json"], &format!("/events/{topic}"));
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| event["data"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_event_a_key_and_a_topic_are_erased_and_what_was_erased_is_counted() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let erase = |words: &[&str]| {
        let (stdout, stderr, code) = said(hub.command(&["erase", "a/b"]).args(words));
        assert_eq!(code, 0, "{words:?}: {stderr}");
        (stdout, stderr)
    };
    let first = hub.publish("a/b", "one");
    hub.publish("a/b?id=order%201", "two");
    for _ in 0..2 {
        hub.publish("a/b?key=ann", "of ann");
    }
    hub.publish("a/b", "three");
    assert_eq!(erase(&["--id", &first]), ("1\n".into(), String::new()));
    assert_eq!(erase(&["--id", "order 1", "--json"]), ("{\"erased\":1}\n".into(), String::new()));
    let (again, remark) = erase(&["--id", "order 1"]);
    assert_eq!((again.as_str(), remark.as_str()), ("0\n", "nothing was left to erase\n"));
    assert_eq!(erase(&["--key", "ann"]).0, "2\n");
    assert_eq!(data(&hub, "a/b"), ["three"]);
    assert_eq!(erase(&["--all"]).0, "1\n");

    let (_, stderr, code) = said(&mut hub.command(&["erase", "never", "--all"]));
    assert!(code == 5 && stderr.contains("404"), "{stderr}");
}

#[test]
fn nothing_is_erased_unless_it_is_said_what() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    hub.publish("a", "one");
    for words in [
        &[][..],
        &["--id", ""],
        &["--id="],
        &["--key", ""],
        &["--id", "1", "--key", "k"],
        &["--id", "1", "--all"],
        &["--key", "k", "--all"],
        &["--id", "two\nlines"],
    ] {
        let (stdout, stderr, code) = said(hub.command(&["erase", "a"]).args(words));
        assert_eq!((stdout.as_str(), code), ("", 2), "{words:?}: {stderr}");
    }
    let (_, stderr, code) = said(&mut hub.command(&["erase", "*", "--all"]));
    assert!(code == 5 && stderr.contains("one topic at a time"), "{stderr}");
    assert_eq!(data(&hub, "a"), ["one"]);
}

#[test]
fn a_token_must_say_that_its_bearer_may_erase() {
    let folder = Folder::new();
    let file = folder.file("hub.toml", &format!("jwt-secret = {SECRET:?}\n"));
    let hub = Hub::serve(&folder, &["--config", file.to_str().unwrap()]);
    let token = |words: &[&str]| {
        let (token, stderr, code) = said(tidings().args(["token", "--secret", SECRET]).args(words));
        assert_eq!(code, 0, "{stderr}");
        token.trim().to_owned()
    };
    let all = token(&["--publish", "**", "--subscribe", "**"]);
    let eraser = token(&["--erase", "users/**"]);
    let with = |token: &str, words: &[&str]| said(hub.command(words).env("TIDINGS_TOKEN", token));
    for topic in ["users/7", "orders"] {
        assert_eq!(with(&all, &["publish", topic, "x"]).2, 0);
        let (_, stderr, code) = with(&all, &["erase", topic, "--all"]);
        assert!(code == 5 && stderr.contains("403") && stderr.contains("hint: "), "{stderr}");
    }
    assert_eq!(with(&eraser, &["erase", "users/7", "--all"]).0, "1\n");
    assert_eq!(with(&eraser, &["erase", "orders", "--all"]).2, 5);
    assert_eq!(with(&eraser, &["publish", "users/7", "x"]).2, 5, "one right implies no other");
    let (report, ..) = said(tidings().args(["token", "--inspect", &eraser, "--config"]).arg(&file));
    assert!(report.contains("erase") && report.contains("users/**"), "{report}");
    let of_mercure = ["token", "--secret", SECRET, "--erase", "a", "--mercure-version", "1.0"];
    assert_eq!(said(tidings().args(of_mercure)).2, 2);
}
