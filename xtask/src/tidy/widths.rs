//! Lines are at most a hundred columns wide.

use crate::tree;

const COLUMNS_MAX: usize = 100;

pub(super) fn check(files: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for path in files.iter().filter(|path| is_looked_at(path)) {
        let Some(text) = tree::read(path) else { continue };
        let wide = (1..).zip(text.lines()).filter(|(_, line)| is_wide(line));
        problems.extend(wide.map(|(number, line)| {
            let columns = line.chars().count();
            format!("{path}:{number}: {columns} columns, more than {COLUMNS_MAX}: break the line")
        }));
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
