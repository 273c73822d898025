//! Times `tidings-codec` beside the other event stream decoders in Rust; prints a table in
//! Markdown.
//!
//! `cargo run --release`, in this folder; `cargo run --release -- keep` for the workloads whose
//! names contain "keep"; with one more word, only for the decoders whose names contain that.
//!
//! Each figure is the median of several samples. Decoders are sampled in turns, so that changes in
//! the machine's speed affect all of them; each sample is a separate process, so that none inherits
//! another's heap, and its CPU time is measured, so that other load matters less. A decoder that
//! has not finished one pass in five seconds is stopped; one with a wrong answer is marked as
//! wrong.

mod decoders;
#[path = "../../../crates/tidings-codec/benches/workloads/mod.rs"]
mod workloads;

use std::process::Command;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use workloads::Workload;

const SAMPLES: usize = 9;
const SAMPLE_TIME: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(5);
/// First argument of a process that takes one sample.
const SAMPLE: &str = "--sample";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [SAMPLE, workload, decoder] => {
            let number = |word: &str| word.parse::<usize>().expect("a number");
            println!("{}", sample(&workloads::all()[number(workload)], number(decoder)));
        }
        [] => table("", ""),
        [workloads] => table(workloads, ""),
        [workloads, decoders, ..] => table(workloads, decoders),
    }
}

fn table(workload_filter: &str, decoder_filter: &str) {
    let names = decoders::ALL.map(|(name, _)| name);
    println!("| MiB/s | {} | lent, ahead by |", names.join(" | "));
    println!("|---|{}", "--:|".repeat(names.len() + 1));
    for (at, workload) in workloads::all().iter().enumerate() {
        if !workload.name.contains(workload_filter) {
            continue;
        }
        let cells = row(at, decoder_filter);
        let speed = |cell: &String| cell.parse().unwrap_or(0.0_f64);
        let best_peer = cells[2..].iter().map(speed).fold(0.0, f64::max);
        let ahead = speed(&cells[0]) / best_peer;
        println!("| {} | {} | {ahead:.1} × |", workload.name, cells.join(" | "));
    }
}

/// Each decoder's speed on a workload, or why there is none.
fn row(workload: usize, decoder_filter: &str) -> [String; decoders::ALL.len()] {
    let myself = std::env::current_exe().expect("a program knows its file");
    let mut speeds: [Vec<f64>; decoders::ALL.len()] = Default::default();
    let mut cells: [String; decoders::ALL.len()] = Default::default();
    for round in 0..SAMPLES {
        for (at, (name, _)) in decoders::ALL.iter().enumerate() {
            if !name.contains(decoder_filter) || (round > 0 && speeds[at].is_empty()) {
                continue;
            }
            let (workload, decoder) = (workload.to_string(), at.to_string());
            let arguments = [SAMPLE, &workload, &decoder];
            let output = Command::new(&myself).args(arguments).output().expect("it ran before");
            let word = String::from_utf8(output.stdout).expect("it prints a word");
            match word.trim().parse() {
                Ok(speed) => speeds[at].push(speed),
                Err(_) if output.status.success() => cells[at] = word.trim().to_owned(),
                Err(_) => cells[at] = "panics".to_owned(),
            }
        }
    }
    for (cell, speeds) in cells.iter_mut().zip(&mut speeds) {
        speeds.sort_by(f64::total_cmp);
        if let Some(median) = speeds.get(speeds.len() / 2) {
            *cell = if *median < 10.0 { format!("{median:.1}") } else { format!("{median:.0}") };
        }
    }
    cells
}

/// One sample: MiB/s, or why there is none.
fn sample(workload: &Workload, decoder: usize) -> String {
    let (_, run) = decoders::ALL[decoder];
    let (wire, expected) = workload.build();
    let wire_bytes = wire.len();
    let chunks = decoders::cut(wire, workload.chunk);
    // A first pass checks the answer, warms up, and shows how many passes make a sample.
    let start = Instant::now();
    match run(&chunks, start + PATIENCE) {
        None if start.elapsed() >= PATIENCE => return "> 5 s".to_owned(),
        Some(answer) if answer == expected => {}
        _ => return "wrong".to_owned(),
    }
    let passes = SAMPLE_TIME.as_secs_f64() / start.elapsed().as_secs_f64();
    let passes = (passes as u32).clamp(1, 10_000);
    let deadline = Instant::now() + 100 * PATIENCE;
    let start = ThreadTime::now();
    for _ in 0..passes {
        std::hint::black_box(run(&chunks, deadline));
    }
    let bytes = wire_bytes as f64 * f64::from(passes);
    (bytes / start.elapsed().as_secs_f64() / (1024.0 * 1024.0)).to_string()
}
