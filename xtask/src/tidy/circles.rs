//! Circles among the files of a package: files that use one another cannot be read, moved or tested
//! separately.
//!
//! An arrow runs from a file to the file that defines a name it uses, however the name was
//! re-exported on the way. A parent's arrows to its own descendants do not count: a module may
//! name its parts, and its parts may use what it defines for them.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Arrow, Modules};
use crate::tree;

/// Known circles, one per row. The list may only shrink.
const CIRCLES: &[&[&str]] = &[];

pub(super) fn check(files: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut circles = Vec::new();
    for root in files.iter().filter(|path| is_root(path)) {
        let package = root.split_once("src/").map_or("", |(package, _)| package);
        let text = |path: &str| tree::read(&format!("{package}{path}"));
        match Modules::read(&root[package.len()..], &text) {
            Ok(modules) => {
                let found = find(&modules.arrows()).into_iter();
                circles.extend(found.map(|circle| circle.of(package)));
                problems
                    .extend(full_mod_files(&modules).map(|file| {
                        format!("{package}{file}: a mod.rs may define only constants")
                    }));
            }
            Err(problem) => problems.push(format!("{package}{problem}")),
        }
    }
    problems.extend(complain_of_circles(&circles, CIRCLES));
    problems
}

/// Whether this is the root file of a package.
fn is_root(path: &str) -> bool {
    (path.starts_with("crates/") || path.starts_with("xtask/"))
        && (path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs"))
}

/// Files that all depend on one another.
#[derive(Debug, PartialEq, Eq)]
struct Circle {
    files: BTreeSet<String>,
    /// One path around the circle, as an example.
    way: Vec<Arrow>,
}

impl Circle {
    /// The same, with the paths of the files from the root of the repository.
    fn of(self, package: &str) -> Self {
        let full = |file: String| format!("{package}{file}");
        let files = self.files.into_iter().map(full).collect();
        Self { files, way: self.way }
    }
}

/// The circles that the arrows make.
fn find(arrows: &[Arrow]) -> Vec<Circle> {
    let mut next: BTreeMap<&str, Vec<&Arrow>> = BTreeMap::new();
    for arrow in arrows {
        next.entry(&arrow.from).or_default().push(arrow);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        next.keys().map(|&file| (file, reached_from(&next, file))).collect();
    let leads = |from: &str, to: &str| reached.get(from).is_some_and(|files| files.contains(to));
    let mut circles: Vec<Circle> = Vec::new();
    for (&file, files) in &reached {
        let is_known = circles.iter().any(|circle| circle.files.contains(file));
        if files.contains(file) && !is_known {
            let files = files.iter().filter(|other| leads(other, file));
            let files = files.map(|&file| file.to_owned()).collect();
            circles.push(Circle { files, way: way_around(&next, file) });
        }
    }
    circles
}

fn reached_from<'a>(next: &BTreeMap<&'a str, Vec<&'a Arrow>>, file: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        for arrow in next.get(file).into_iter().flatten() {
            if reached.insert(arrow.to.as_str()) {
                open.push(&arrow.to);
            }
        }
    }
    reached
}

/// The shortest path from `file` back to itself.
fn way_around(next: &BTreeMap<&str, Vec<&Arrow>>, file: &str) -> Vec<Arrow> {
    let mut ways: Vec<Vec<&Arrow>> = vec![Vec::new()];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let end = way.last().map_or(file, |arrow| arrow.to.as_str());
            for &arrow in next.get(end).into_iter().flatten() {
                let way = [way.as_slice(), &[arrow]].concat();
                if arrow.to == file {
                    return way.into_iter().cloned().collect();
                }
                if seen.insert(&arrow.to) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    Vec::new()
}

fn complain_of_circles(circles: &[Circle], exceptions: &[&[&str]]) -> Vec<String> {
    let is_exception = |circle: &Circle| {
        let covers = |known: &[&str]| circle.files.iter().all(|file| known.contains(&&**file));
        exceptions.iter().any(|known| covers(known))
    };
    let new = circles.iter().filter(|circle| !is_exception(circle));
    let mut problems: Vec<String> = new
        .map(|circle| {
            let files: Vec<_> = circle.files.iter().map(String::as_str).collect();
            let way: Vec<_> = circle.way.iter().map(Arrow::to_string).collect();
            format!("{}: a circle of files: {}", files.join(", "), way.join(", "))
        })
        .collect();
    let in_circles: BTreeSet<_> = circles.iter().flat_map(|circle| &circle.files).collect();
    let listed = exceptions.iter().flat_map(|files| files.iter());
    let freed = listed.filter(|file| !in_circles.iter().any(|known| known == *file));
    problems.extend(freed.map(|file| {
        format!("{file}: is no longer in a circle; remove it from CIRCLES in xtask tidy/circles")
    }));
    problems
}

/// Files named `mod.rs` that define more than constants: a reader does not look for code there.
fn full_mod_files(modules: &Modules) -> impl Iterator<Item = &str> {
    let is_full = |kinds: &[&str]| kinds.iter().any(|kind| !matches!(*kind, "const" | "static"));
    let mod_files = modules.iter().filter(|module| module.file.ends_with("/mod.rs"));
    mod_files.filter(move |module| is_full(&module.defines)).map(|module| module.file.as_str())
}

#[cfg(test)]
mod tests;
