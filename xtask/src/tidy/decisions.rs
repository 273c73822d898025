//! The index of decisions: each page is in it, under its title, and no two pages share a number.

use std::collections::BTreeMap;

use crate::tree;

const FOLDER: &str = "docs/decisions/";
const INDEX: &str = "docs/decisions/README.md";

pub(super) fn check(files: &[String]) -> Vec<String> {
    let index = tree::read(INDEX).unwrap_or_default();
    let pages = files.iter().filter(|path| path.starts_with(FOLDER) && *path != INDEX);
    let mut problems = Vec::new();
    let mut numbers = BTreeMap::new();
    for path in pages {
        let name = &path[FOLDER.len()..];
        let Some(number) = number(name) else {
            problems.push(format!("{path}: its name does not begin with four digits and a dash"));
            continue;
        };
        if let Some(other) = numbers.insert(number, path) {
            problems.push(format!("{path}: {other} has the same number"));
        }
        let text = tree::read(path).unwrap_or_default();
        let entry = entry(name, number, &text);
        if !index.lines().any(|line| line == entry) {
            problems.push(format!("{INDEX}: lacks the line \"{entry}\""));
        }
    }
    problems
}

/// The number at the start of a page's file name.
fn number(name: &str) -> Option<&str> {
    let (number, rest) = name.split_once('-')?;
    let is_number = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && rest.ends_with(".md")).then_some(number)
}

/// A page's line in the index.
fn entry(name: &str, number: &str, text: &str) -> String {
    let title = text.lines().next().unwrap_or_default().trim_start_matches("# ");
    format!("| [{number}]({name}) | {title} |")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_number_and_a_line_with_its_title() {
        assert_eq!(number("0042-rings.md"), Some("0042"));
        for bad in ["42-rings.md", "0042.md", "rings.md", "004x-rings.md", "0042-rings.txt"] {
            assert_eq!(number(bad), None, "{bad}");
        }
        let line = entry("0042-rings.md", "0042", "# Rings hold bytes\n\nWhy.\n");
        assert_eq!(line, "| [0042](0042-rings.md) | Rings hold bytes |");
    }
}
