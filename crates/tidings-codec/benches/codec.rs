//! Times the decoder on every workload, and the encoder, after asserting that the answers are
//! right.
//!
//! `cargo bench -p tidings-codec [WORD]`; with a word, only workloads with it in their names. Other
//! decoders are measured in `bench/codec`.

#![allow(clippy::print_stdout)] // prints a table
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // a bench has a clock

mod workloads;

use std::hint::black_box;
use std::time::{Duration, Instant};

use tidings_codec::{Decoder, Event, EventId, EventType, Item, encode};
use workloads::Answer;

const SAMPLES: usize = 9;
const SAMPLE_TIME: Duration = Duration::from_millis(10);

fn main() {
    // Cargo adds `--bench`.
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();

    println!("| decode | MiB/s | ns/event |");
    println!("|---|--:|--:|");
    for workload in workloads::all().iter().filter(|workload| workload.name.contains(&filter)) {
        let (wire, expected) = workload.build();
        assert_eq!(decode(&wire, workload.chunk), expected, "{}", workload.name);
        let speed = median_bytes_per_second(wire.len(), || {
            black_box(decode(&wire, workload.chunk));
        });
        let ns = match expected.events {
            0 => "-".to_owned(),
            events => format!("{:.0}", wire.len() as f64 / speed * 1e9 / events as f64),
        };
        println!("| {} | {:.0} | {ns} |", workload.name, speed / MEBIBYTE);
    }

    println!("\n| encode | MiB/s | ns/event |");
    println!("|---|--:|--:|");
    for (name, event) in events().iter().filter(|(name, _)| name.contains(&filter)) {
        let mut wire = Vec::new();
        event.encode(&mut wire);
        assert_eq!(decode_one(&wire), *event, "{name}");
        let len = wire.len();
        let speed = median_bytes_per_second(len, || {
            wire.clear();
            black_box(event).encode(&mut wire);
            black_box(&wire);
        });
        println!("| {name} | {:.0} | {:.1} |", speed / MEBIBYTE, len as f64 / speed * 1e9);
    }
    let mut wire = Vec::new();
    let id = EventId::new("k7q2ma:42").expect("an id");
    let speed = median_bytes_per_second(15, || {
        wire.clear();
        encode::id_only(&mut wire, black_box(&id));
        black_box(&wire);
    });
    println!("| id-only block | {:.0} | {:.1} |", speed / MEBIBYTE, 15.0 / speed * 1e9);
}

const MEBIBYTE: f64 = 1024.0 * 1024.0;

fn decode(wire: &[u8], chunk: usize) -> Answer {
    let mut decoder = Decoder::new();
    let mut answer = Answer::default();
    for mut input in wire.chunks(chunk) {
        while let Some(item) = decoder.next(&mut input).expect("no event is too large") {
            if let Item::Event(event) = item {
                answer.add(black_box(event.data()));
            }
        }
    }
    answer
}

fn decode_one(mut wire: &[u8]) -> Event {
    match Decoder::new().next(&mut wire) {
        Ok(Some(Item::Event(event))) => event.to_sent(),
        other => panic!("one event, not {other:?}"),
    }
}

fn events() -> Vec<(&'static str, Event)> {
    let named = |data: String| Event {
        id: Some(EventId::new("k7q2ma:42").expect("an id")),
        event_type: Some(EventType::new("delta").expect("a type")),
        retry_ms: None,
        data,
    };
    vec![
        ("9 B", Event::new("{\"t\":\"a\"}")),
        ("100 B with id and type", named("x".repeat(100))),
        ("200 B with id and type", named("x".repeat(200))),
        ("16 lines of 31 B", Event::new(vec!["line of a log"; 16].join("\n"))),
        ("64 KiB with id and type", named("x".repeat(64 * 1024))),
    ]
}

/// The median speed over several samples of several passes each.
fn median_bytes_per_second(bytes_per_pass: usize, mut pass: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut passes = 0_u32;
    while start.elapsed() < SAMPLE_TIME {
        pass();
        passes += 1;
    }
    let mut speeds: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..passes {
                pass();
            }
            bytes_per_pass as f64 * f64::from(passes) / start.elapsed().as_secs_f64()
        })
        .collect();
    speeds.sort_by(f64::total_cmp);
    speeds[SAMPLES / 2]
}
