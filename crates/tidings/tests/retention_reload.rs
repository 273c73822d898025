//! A rule of retention that is changed while the hub runs, to and from one that keeps the state:
//! with the real program, which is killed in between.
#![cfg(unix)]
#![allow(clippy::print_stdout)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tidings_hub::Random;

use crate::retention::{chatter, count, jobs, page, read_from, serve, state};
use crate::world::wire::Wire;
use crate::world::{Folder, Hub, eventually};

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const CHATTY: &str = r#"
[[retention]]
topics = ["chatty/**"]
bytes = "1MiB"
age = "1h"
"#;

/// A hub whose rule for `boards` changes.
struct Board {
    folder: Folder,
    hub: Hub,
    wire: Wire,
    random: Random,
    changes: u32,
}

impl Board {
    fn new(rule: &str) -> Self {
        let folder = Folder::new();
        let seed = u64::from(std::process::id());
        println!("seed {seed}");
        write(&folder, "rule-0", rule);
        let hub = serve(&folder);
        let wire = Wire::connect(&hub.address).unwrap();
        Self { folder, hub, wire, random: Random::new(seed), changes: 0 }
    }

    fn put(&mut self, target: &str, data: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let target = format!("/events/{target}");
            let answer = self.wire.post(&target, "text/plain", data.as_bytes()).unwrap();
            let json = answer.json();
            if answer.status == 200 {
                return json["id"].as_str().unwrap().to_owned();
            }
            // Rules must be applied first.
            assert_eq!(json["code"], "store_full", "{target}: {json}");
            assert!(Instant::now() < deadline, "{target} is not taken");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn remove(&mut self, target: &str) {
        assert_eq!(self.wire.delete(&format!("/events/{target}")).unwrap().status, 200);
    }

    /// Publishes values of ten keys, some of them several times, a value that grows, a key that is
    /// removed again, and events without a key.
    fn fill(&mut self, name: &str) {
        for round in 0..5 {
            for key in 0..10 {
                self.put(&format!("boards/1?key=k{key}"), &format!("{name}-{round}"));
            }
        }
        for piece in ["a", "b", name] {
            self.put(&format!("boards/1?append={name}"), piece);
        }
        self.put("boards/1?key=gone", "x");
        self.remove("boards/1?key=gone");
        self.put("boards/2", "old");
        self.put("boards/2", name);
    }

    fn kill(&mut self) {
        self.hub.process.kill();
        self.hub = serve(&self.folder);
        self.wire = Wire::connect(&self.hub.address).unwrap();
    }

    /// Gives the hub another rule for `boards`. It is killed at some moment before or while the new
    /// rule is applied, and is there again when this returns.
    fn change(&mut self, rule: &str) {
        self.changes += 1;
        let name = format!("rule-{}", self.changes);
        write(&self.folder, &name, rule);
        self.hub.process.signal("HUP");
        if self.random.below(2) == 0 {
            // Applying it begins.
            let wire = &mut self.wire;
            eventually(|| {
                let topics = page(wire, "/topics?prefix=boards/1");
                topics["topics"][0]["rule"] == json!(name)
            });
        }
        let pause = self.random.below(300);
        let jobs_min = jobs(&self.folder) + self.random.below(2);
        self.chat(|_| true, jobs_min);
        thread::sleep(Duration::from_millis(pause));
        self.kill();
    }

    /// Publishes to other topics, until rules were applied that many times and `holds`.
    fn chat(&mut self, mut holds: impl FnMut(&mut Wire) -> bool, jobs_min: u64) {
        let stop = AtomicBool::new(false);
        let Self { folder, hub, wire, .. } = self;
        let holds = thread::scope(|scope| {
            scope.spawn(|| chatter(&hub.address, &stop));
            let deadline = Instant::now() + PATIENCE;
            let mut is_done = false;
            while !is_done && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(20));
                is_done = jobs(folder) >= jobs_min && holds(wire);
            }
            stop.store(true, Ordering::Relaxed);
            is_done
        });
        assert!(holds, "after change {} and {} jobs", self.changes, jobs(&self.folder));
    }

    /// Applies rules, at least three times and until `holds`.
    fn apply(&mut self, holds: impl FnMut(&mut Wire) -> bool) {
        self.chat(holds, jobs(&self.folder) + 3);
    }

    fn state(&mut self) -> Vec<(String, String)> {
        let mut all = state(&mut self.wire, "boards/1", "").0;
        all.extend(state(&mut self.wire, "boards/2", "").0);
        all
    }

    /// Ids and data of all events of `boards` that are there.
    fn history(&self) -> Vec<(String, String)> {
        ["boards/1", "boards/2"]
            .into_iter()
            .flat_map(|topic| read_from(&self.hub.address, topic, "last=1000").0)
            .collect()
    }

    /// Checks something that must hold now, after rules were applied again, and after a crash.
    fn always(&mut self, check: impl Fn(&mut Self)) {
        check(self);
        self.apply(|_| true);
        check(self);
        self.kill();
        check(self);
    }
}

fn write(folder: &Folder, name: &str, rule: &str) {
    folder.file("hub.toml", &format!("[[retention]]\nname = \"{name}\"\n{rule}\n{CHATTY}"));
}

const HISTORY: &str = "topics = [\"boards/**\"]\nage = \"1h\"";
const STATE: &str = "topics = [\"boards/**\"]\nstate = true\nage = \"1s\"";

/// The state after [`Board::fill`].
fn filled(names: &[&str]) -> Vec<(String, String)> {
    let last = names[names.len() - 1];
    let mut state: Vec<_> = (0..10).map(|key| (format!("k{key}"), format!("{last}-4"))).collect();
    state.extend(names.iter().map(|name| ((*name).to_owned(), format!("ab{name}"))));
    state.sort();
    state.push((String::new(), last.to_owned()));
    state
}

#[test]
fn a_rule_that_begins_to_keep_the_state_finds_all_of_it() {
    let mut board = Board::new(HISTORY);
    board.fill("one");
    let all = board.history();
    board.apply(|_| true);
    assert_eq!(board.history(), all, "all of it is young");
    board.fill("two");
    let expected = filled(&["one", "two"]);
    board.change(STATE);
    assert_eq!(board.state(), expected);
    // What is superseded goes, and nothing else, however often the rule is applied.
    board.apply(|wire| count(wire, "boards/1") <= 30);
    board.always(|board| assert_eq!(board.state(), expected));
}

#[test]
fn what_a_rule_kept_of_a_state_goes_when_the_next_rule_says_so_and_not_before() {
    let mut board = Board::new(STATE);
    board.fill("one");
    let first = board.put("boards/1?key=k0", "one-4");
    board.put("boards/2", "one");
    board.apply(|wire| count(wire, "boards/1") <= 30);
    let expected = filled(&["one"]);
    assert_eq!(board.state(), expected);
    // The state is much younger than an hour, so all of it stays. What is there of history does
    // too.
    board.change(HISTORY);
    let there = board.history();
    board.always(|board| {
        assert_eq!(board.history(), there);
        assert_eq!(board.state(), expected);
    });
    // Other topics, so everything is sorted again.
    board.change("topics = [\"boards/1\", \"boards/2\"]\nkeep-last = 3");
    let last_three = |board: &Board, topic: &str| {
        let mut events = read_from(&board.hub.address, topic, "last=1000").0;
        events.drain(..events.len().saturating_sub(3));
        events
    };
    let newest = ["boards/1", "boards/2"].map(|topic| last_three(&board, topic));
    assert_eq!((newest[0].len(), newest[0][2].1.clone()), (3, first));
    board.apply(|wire| count(wire, "boards/1") == 3);
    board.always(|board| {
        assert_eq!(["boards/1", "boards/2"].map(|topic| last_three(board, topic)), newest);
    });
    // Back again: what is left is the state from now on.
    board.change(STATE);
    let left = board.state();
    assert!(left.contains(&("k0".to_owned(), "one-4".to_owned())), "{left:?}");
    board.always(|board| assert_eq!(board.state(), left));
    // At last an age that all of it has.
    board.change("topics = [\"boards/**\"]\nage = \"1s\"");
    board.apply(|wire| count(wire, "boards/1") + count(wire, "boards/2") == 0);
    board.always(|board| assert_eq!(board.state(), []));
}
