//! Values that grow by pieces: the real program is killed with SIGKILL while pieces are appended,
//! again and again over the same log. After each start every acknowledged piece is in the value of
//! its key exactly once, in order, and history has the same pieces.
//!
//! `KILL_ROUNDS` sets how often; 12 unless set.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::world::wire::Wire;
use crate::world::{Folder, Hub};
use serde_json::{Value, json};
use tidings_hub::Random;

#[test]
fn every_acknowledged_piece_is_in_the_value_exactly_once_after_kill_9() {
    let rounds = std::env::var("KILL_ROUNDS").map_or(12, |text| text.parse().unwrap());
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let folder = Folder::new();
    let mut writers: Vec<_> = [Kind::Text, Kind::Text, Kind::Json, Kind::Lines]
        .into_iter()
        .enumerate()
        .map(|(number, kind)| Writer { kind, key: format!("value-{number}"), sent: Vec::new() })
        .collect();
    for round in 0..rounds {
        let mut hub = Hub::serve(&folder, &SETTINGS);
        let address = hub.address.clone();
        let deadline = Duration::from_micros(random.below(KILL_MICROS_MAX));
        thread::scope(|scope| {
            for writer in &mut writers {
                let address = &address;
                scope.spawn(move || {
                    // The end of the connection is the end of the round.
                    let _ = writer.append(address, round);
                });
            }
            thread::sleep(deadline);
            hub.process.kill();
        });
        let hub = Hub::serve(&folder, &SETTINGS);
        check(&hub, &mut writers, round);
    }
    let pieces: usize = writers.iter().map(|writer| writer.sent.len()).sum();
    println!("{rounds} rounds, {pieces} pieces");
    assert!(writers.iter().all(|writer| writer.sent.len() > 1), "nothing was appended");
}

/// Small segments, so that a value is in several of them; and little memory, so that it is read
/// from disk.
const SETTINGS: [&str; 6] =
    ["--retention-bytes", "64MiB", "--recent-bytes", "64KiB", "--durability", "fsync"];

/// The longest time between the start of the load and the death.
const KILL_MICROS_MAX: u64 = 60_000;

/// How the pieces of a value are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    /// The string at `/delta` grows.
    Json,
    /// Several pieces in one request.
    Lines,
}

/// The only publisher of a key.
struct Writer {
    kind: Kind,
    key: String,
    /// All pieces that may be there, in order, and whether the hub has acknowledged them.
    sent: Vec<(String, bool)>,
}

impl Writer {
    fn append(&mut self, address: &str, round: u64) -> std::io::Result<()> {
        let mut wire = Wire::connect(address)?;
        for number in 0.. {
            let before = self.sent.len();
            let count = if self.kind == Kind::Lines { 6 } else { 1 };
            for line in 0..count {
                let filler = "é".repeat((number * 7 + line) % 40);
                self.sent.push((format!("{round}.{number}.{line}{filler};"), false));
            }
            let key = &self.key;
            let piece = &self.sent[before].0;
            let answer = match self.kind {
                Kind::Text => {
                    let path = format!("/events/answers?append={key}");
                    wire.post(&path, "text/plain", piece.as_bytes())?
                }
                Kind::Json => {
                    let path = format!("/events/answers?append={key}&at=/delta");
                    let body = json!({ "delta": piece, "n": number }).to_string();
                    wire.post(&path, "text/plain", body.as_bytes())?
                }
                Kind::Lines => {
                    let line = |(piece, _): &(String, bool)| {
                        let line = json!({ "topic": "answers", "append": key, "data": piece });
                        format!("{line}\n")
                    };
                    let lines: String = self.sent[before..].iter().map(line).collect();
                    wire.post("/events", "application/x-ndjson", lines.as_bytes())?
                }
            };
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
            self.sent[before..].iter_mut().for_each(|(_, is_acknowledged)| *is_acknowledged = true);
        }
        Ok(())
    }

    /// The text that grows in an event's data.
    fn text(&self, data: &str) -> String {
        match self.kind {
            Kind::Text | Kind::Lines => data.to_owned(),
            Kind::Json => {
                let data: Value = serde_json::from_str(data).unwrap();
                data["delta"].as_str().unwrap().to_owned()
            }
        }
    }

    /// Compares the value with what was sent, and takes over what was not acknowledged.
    fn judge(&mut self, value: &str, round: u64) {
        let mut found = value.split_inclusive(';').peekable();
        self.sent.retain_mut(|(piece, is_acknowledged)| {
            let is_there = found.next_if(|next| *next == piece).is_some();
            assert!(
                is_there || !*is_acknowledged,
                "round {round}: {piece} of {} is lost",
                self.key
            );
            *is_acknowledged = true;
            is_there
        });
        let rest: Vec<_> = found.collect();
        assert!(rest.is_empty(), "round {round}: too much, or out of order: {rest:?}");
    }
}

fn check(hub: &Hub, writers: &mut [Writer], round: u64) {
    let mut wire = Wire::connect(&hub.address).unwrap();
    let mut state = BTreeMap::new();
    for event in wire.pages("/events/answers", "from=state") {
        let key = event["key"].as_str().unwrap().to_owned();
        let before = state.insert(key, event["data"].as_str().unwrap().to_owned());
        assert_eq!(before, None, "round {round}: a key is twice in the state");
    }
    let mut pieces: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in wire.pages("/events/answers", "from=start") {
        let key = event["key"].as_str().unwrap().to_owned();
        pieces.entry(key).or_default().push(event["data"].as_str().unwrap().to_owned());
    }
    for writer in writers {
        let value = state.get(&writer.key).map(|data| writer.text(data)).unwrap_or_default();
        writer.judge(&value, round);
        let pieces = pieces.get(&writer.key).map_or(&[][..], Vec::as_slice);
        let joined: String = pieces.iter().map(|data| writer.text(data)).collect();
        assert_eq!(joined, value, "round {round}: history and state of {}", writer.key);
    }
}
