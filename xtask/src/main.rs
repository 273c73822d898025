//! Chores of the repository: `cargo xtask tidy`, `cargo xtask generate`.
#![allow(clippy::print_stdout, clippy::print_stderr)] // prints its results

mod api_page;
mod generate;
mod reference;
mod site;
mod tidy;
mod tree;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask tidy              what a reader would stumble over: long files, wide lines, arrows
                              against the drawing, circles of files, words outside their
                              room, dead links
cargo xtask generate          write the default file and the reference pages, from the built
                              program
cargo xtask generate --check  say whether they are as they would be written
cargo xtask site MDBOOK       build the documentation in target/site/html with this mdBook";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let problems = match words[..] {
        ["tidy"] => tidy::run(),
        ["generate"] => generate::run(false),
        ["generate", "--check"] => generate::run(true),
        ["site", mdbook] => site::run(mdbook),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    for problem in &problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
