//! Checks of what would make a reader stumble, or let packages grow into each other.

mod arrows;
mod circles;
mod contents;
mod decisions;
mod header_names;
mod idioms;
pub(crate) mod links;
mod modules;
mod spawns;
mod test_programs;
mod widths;
mod words;

use crate::tree;

/// Every problem, one sentence each, with its place.
pub(crate) fn run() -> Vec<String> {
    let files = tree::files();
    let mut problems = sizes(&files);
    problems.extend(widths::check(&files));
    problems.extend(arrows::check());
    problems.extend(circles::check(&files));
    problems.extend(words::check(&files));
    problems.extend(header_names::check(&files));
    problems.extend(idioms::check(&files));
    problems.extend(links::check(&files));
    problems.extend(contents::check(&files));
    problems.extend(decisions::check(&files));
    problems.extend(test_programs::check(&files));
    problems.extend(spawns::check(&files));
    if problems.is_empty() {
        println!("tidy: {} files, nothing to say", files.len());
    }
    problems
}

/// Maximum number of lines in a source file. A longer one no longer holds one idea.
const LINES_MAX: usize = 600;

/// Exceptions to this limit. The list may only shrink.
const LONG: [&str; 0] = [];

fn sizes(files: &[String]) -> Vec<String> {
    let sources = files.iter().filter(|path| path.ends_with(".rs") || path.ends_with(".js"));
    let mut problems = Vec::new();
    for path in sources {
        let lines = tree::read(path).map_or(0, |text| text.lines().count());
        let is_exception = LONG.contains(&path.as_str());
        if lines > LINES_MAX && !is_exception {
            problems.push(format!("{path}: {lines} lines, more than {LINES_MAX}: split it"));
        } else if lines <= LINES_MAX && is_exception {
            problems.push(format!("{path}: is short enough now; remove it from LONG"));
        }
    }
    problems
}
