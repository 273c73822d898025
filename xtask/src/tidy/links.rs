//! Links between files of the repository: the target file exists, and so does the heading if the
//! link names one.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::tree;

pub(super) fn check(files: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for path in files.iter().filter(|path| path.ends_with(".md")) {
        let Some(text) = tree::read(path) else { continue };
        for (number, target) in targets(&text) {
            if !leads_somewhere(path, target) {
                problems.push(format!("{path}:{number}: {target} does not exist"));
            }
        }
    }
    problems
}

/// The targets of inline links, with the numbers of their lines.
fn targets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(number, line)| {
        line.split("](").skip(1).filter_map(move |rest| {
            let (target, _) = rest.split_once(')')?;
            Some((number, target))
        })
    })
}

/// The lines that are not in a block of code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

fn leads_somewhere(path: &str, target: &str) -> bool {
    let target = target.split(' ').next().unwrap_or_default();
    if target.contains(':') {
        return true; // outside the repository
    }
    let (file, heading) = match target.split_once('#') {
        Some((file, heading)) => (file, Some(heading)),
        None => (target, None),
    };
    let place = if file.is_empty() { tree::root().join(path) } else { place(path, file) };
    match heading {
        Some(heading) if file.is_empty() || file.ends_with(".md") => {
            let text = fs::read_to_string(place).unwrap_or_default();
            prose(&text).any(|(_, line)| anchor(line).as_deref() == Some(heading))
        }
        _ => place.exists(),
    }
}

/// The target of a relative link in the file at `path`.
fn place(path: &str, target: &str) -> PathBuf {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut place = tree::root();
    for component in folder.join(target).components() {
        match component {
            Component::ParentDir => {
                place.pop();
            }
            Component::Normal(name) => place.push(name),
            _ => {}
        }
    }
    place
}

/// The anchor of this line, if it is a heading: its letters, digits and hyphens in lower case, with
/// hyphens for spaces.
fn anchor(line: &str) -> Option<String> {
    let heading =
        line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))?;
    let known = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let text: String = heading.trim().to_lowercase().chars().filter(known).collect();
    Some(text.replace(' ', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_has_an_anchor_made_from_its_words() {
        assert_eq!(
            anchor("## Why did `it` not get that?").as_deref(),
            Some("why-did-it-not-get-that")
        );
        assert_eq!(anchor("#no heading"), None);
        assert_eq!(anchor("text # with a sign"), None);
    }

    #[test]
    fn a_link_to_a_missing_file_or_heading_is_found() {
        assert!(leads_somewhere("docs/guides/relay.md", "../../README.md#how-fast"));
        assert!(leads_somewhere("README.md", "docs/guides"));
        assert!(leads_somewhere("README.md", "#install"));
        assert!(!leads_somewhere("README.md", "#instal"));
        assert!(!leads_somewhere("README.md", "BENCHMARKING.md#no-such-heading"));
        assert!(!leads_somewhere("docs/guides/relay.md", "README.md"));
    }
}
