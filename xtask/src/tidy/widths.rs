//! Lines are at most a hundred columns wide. What was wider before there was this check is listed,
//! file by file, in `xtask/wide.txt`; no file may have more of them, and no other file any.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use crate::tree;

const COLUMNS_MAX: usize = 100;

const LIST: &str = "xtask/wide.txt";

pub(super) fn check(files: &[String], shrink: bool) -> Vec<String> {
    let listed = listed();
    let mut problems = Vec::new();
    let mut left = BTreeMap::new();
    for path in files.iter().filter(|path| is_looked_at(path)) {
        let Some(text) = tree::read(path) else { continue };
        let wide: Vec<_> = (1..).zip(text.lines()).filter(|(_, line)| is_wide(line)).collect();
        let allowed = listed.get(path.as_str()).copied().unwrap_or(0);
        if wide.len() > allowed {
            let (number, _) = wide[wide.len() - 1];
            problems.push(format!(
                "{path}:{number}: {} lines are wider than {COLUMNS_MAX} columns, {allowed} may be",
                wide.len()
            ));
        }
        if !wide.is_empty() {
            left.insert(path.as_str(), wide.len().min(allowed));
        }
    }
    if shrink {
        left.retain(|_, count| *count > 0);
        write(&left);
    }
    problems
}

fn is_looked_at(path: &str) -> bool {
    [".rs", ".js", ".sh"].iter().any(|end| path.ends_with(end))
}

/// A line that is one long word, such as a URL, cannot be broken.
fn is_wide(line: &str) -> bool {
    line.chars().count() > COLUMNS_MAX
        && line.trim_start_matches(['/', '!', '#', ' ']).split(' ').count() > 1
}

fn listed() -> BTreeMap<String, usize> {
    let text = tree::read(LIST).unwrap_or_default();
    let entry = |line: &str| {
        let (count, path) = line.split_once(' ')?;
        Some((path.to_owned(), count.parse().ok()?))
    };
    text.lines().filter_map(entry).collect()
}

fn write(left: &BTreeMap<&str, usize>) {
    let mut text = String::from(HEAD);
    for (path, count) in left {
        writeln!(text, "{count} {path}").expect("a String takes every write");
    }
    if let Err(error) = fs::write(tree::root().join(LIST), text) {
        eprintln!("{LIST}: {error}");
    }
}

const HEAD: &str = "\
# Lines wider than a hundred columns, by file. It may only shrink: `cargo xtask tidy --shrink`.
";
