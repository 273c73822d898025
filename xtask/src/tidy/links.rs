//! Links between files of the repository: the target file exists, and so does the heading if the
//! link names one.

use std::collections::BTreeSet;
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
    tree::root().join(resolve(path, target))
}

/// The same relative to the root, with `/`.
pub(crate) fn resolve(path: &str, target: &str) -> String {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut place: Vec<String> = Vec::new();
    for component in folder.join(target).components() {
        match component {
            Component::ParentDir => {
                place.pop();
            }
            Component::Normal(name) => place.push(name.to_string_lossy().into_owned()),
            _ => {}
        }
    }
    place.join("/")
}

/// The text with the targets of its inline links as `moved` has them; `None` leaves one as it is.
pub(crate) fn rewrite(text: &str, moved: impl Fn(&str) -> Option<String>) -> String {
    let numbers: BTreeSet<usize> = prose(text).map(|(number, _)| number).collect();
    let lines = (1..).zip(text.split_inclusive('\n')).map(|(number, line)| {
        let mut parts = line.split("](");
        let mut written = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let target = part.split_once(')').map(|(target, _)| target);
            let target = target.filter(|_| numbers.contains(&number));
            let moved = target.and_then(|target| Some((target, moved(target)?)));
            match moved {
                Some((target, moved)) => {
                    written.push_str(&format!("]({moved}{}", &part[target.len()..]));
                }
                None => written.push_str(&format!("]({part}")),
            }
        }
        written
    });
    lines.collect()
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
    fn links_move_where_they_are_links_and_code_stays() {
        let moved = |target: &str| (target != "b").then(|| format!("x/{target}"));
        let text = "[a](a#h) and ![b](b)\n```\n[c](c)\n```\n[d\ne](d), [f](f)";
        let expected = "[a](x/a#h) and ![b](b)\n```\n[c](c)\n```\n[d\ne](x/d), [f](x/f)";
        assert_eq!(rewrite(text, moved), expected);
        assert_eq!(resolve("docs/a/b.md", "../c/./d.md"), "docs/c/d.md");
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
