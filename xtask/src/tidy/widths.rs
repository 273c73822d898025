//! Lines are at most a hundred columns wide, in Markdown too, except for the rows of tables.

use crate::tree;

const COLUMNS_MAX: usize = 100;

pub(super) fn check(files: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for path in files.iter().filter(|path| is_looked_at(path)) {
        let Some(text) = tree::read(path) else { continue };
        let is_markdown = path.ends_with(".md");
        let lines = (1..).zip(text.lines());
        let wide = lines.filter(|(_, line)| is_wide(line) && !(is_markdown && is_whole(line)));
        problems.extend(wide.map(|(number, line)| {
            let columns = line.chars().count();
            format!("{path}:{number}: {columns} columns, more than {COLUMNS_MAX}: break the line")
        }));
    }
    problems
}

fn is_looked_at(path: &str) -> bool {
    // The pages of the reference are generated, sentence by sentence.
    let is_generated = path.starts_with("docs/reference/");
    [".rs", ".js", ".sh", ".md"].iter().any(|end| path.ends_with(end)) && !is_generated
}

/// A row of a table, or a heading: Markdown wants it on one line.
fn is_whole(line: &str) -> bool {
    line.trim_start().starts_with(['|', '#'])
}

/// Whether a line is too wide. One long word, such as a URL, cannot be broken.
fn is_wide(line: &str) -> bool {
    line.chars().count() > COLUMNS_MAX
        && line.trim_start_matches(['/', '!', '#', ' ']).split(' ').count() > 1
}
