//! The generator by itself: `cargo run --release -p tidings-bench --example bench -- --help`.
#![allow(clippy::print_stdout, reason = "it is a program")]

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    bench: tidings_bench::BenchArgs,
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let args = Command::parse().bench;
    let mut stderr = io::stderr();
    let progress = stderr.is_terminal().then_some(&mut stderr as &mut dyn Write);
    let report = tidings_bench::run(args.plan()?, progress)?;
    if args.json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    Ok(if args.verify && !report.is_clean() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
