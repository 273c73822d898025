//! Counts the allocations of each decoder per event; prints a table in Markdown.
//!
//! `cargo run --release --bin allocations`, in this folder. Separate from the timings, because
//! counting slows down decoders that allocate.

#[path = "../decoders.rs"]
mod decoders;
#[path = "../../../../crates/tidings-codec/benches/workloads/mod.rs"]
mod workloads;

use std::alloc::System;
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let names = decoders::ALL.map(|(name, _)| name);
    println!("| allocations per event | {} |", names.join(" | "));
    println!("|---|{}", "--:|".repeat(names.len()));
    for workload in workloads::all() {
        let (wire, expected) = workload.build();
        let chunks = decoders::cut(wire, workload.chunk);
        let cells = decoders::ALL.map(|(_, run)| {
            let region = Region::new(ALLOCATOR);
            let answer = run(&chunks, Instant::now() + Duration::from_secs(10));
            let change = region.change();
            match answer {
                Some(answer) if answer == expected => {
                    let count = change.allocations + change.reallocations;
                    format!("{:.3}", count as f64 / answer.events.max(1) as f64)
                }
                _ => "-".to_owned(),
            }
        });
        println!("| {} | {} |", workload.name, cells.join(" | "));
    }
}
