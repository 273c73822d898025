//! Links between the files of the repository: each leads somewhere.

use std::path::{Component, Path};

use crate::tree;

pub(super) fn check(files: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for path in files.iter().filter(|path| path.ends_with(".md")) {
        let Some(text) = tree::read(path) else { continue };
        for (number, target) in targets(&text) {
            if !leads_somewhere(path, target) {
                problems.push(format!("{path}:{number}: {target} is not there"));
            }
        }
    }
    problems
}

/// The targets of inline links, with the numbers of their lines; not what stands in code.
fn targets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    let lines = (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    });
    lines.flat_map(|(number, line)| {
        line.split("](").skip(1).filter_map(move |rest| {
            let (target, _) = rest.split_once(')')?;
            Some((number, target))
        })
    })
}

fn leads_somewhere(path: &str, target: &str) -> bool {
    let target = target.split(['#', ' ']).next().unwrap_or_default();
    if target.is_empty() || target.contains(':') {
        return true; // within the page, or out of the house
    }
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
    place.exists()
}
