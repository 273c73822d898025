//! The documentation as a site, by mdBook.
//!
//! The pages are written for the repository, where a link may lead to any file. So the site is
//! built of a copy: the root's pages lie beside those of `docs`, the contents have a line for each
//! decision, and links to what is no page lead to the repository on the web.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tidy::links;
use crate::tree;

/// Pages outside `docs` that are part of the site.
const ROOT_PAGES: [&str; 6] = [
    "ARCHITECTURE.md",
    "BENCHMARKING.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
];

const CONTENTS: &str = "docs/SUMMARY.md";

/// Builds the site in `target/site/html` with the program `mdbook`, and checks its links.
pub(crate) fn run(mdbook: &str) -> Vec<String> {
    build(mdbook).unwrap_or_else(|problem| vec![problem])
}

fn build(mdbook: &str) -> Result<Vec<String>, String> {
    let site = target().join("site");
    let (source, html) = (site.join("src"), site.join("html"));
    for folder in [&source, &html] {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(|error| at(folder, &error))?;
        }
    }
    let files = tree::files();
    let pages = pages(&files);
    let repository = repository()?;
    for (path, place) in &pages {
        let place = source.join(place);
        let folder = place.parent().unwrap_or(&source);
        fs::create_dir_all(folder).map_err(|error| at(folder, &error))?;
        if path.ends_with(".md") {
            let mut text = tree::read(path).ok_or_else(|| format!("{path}: is no text"))?;
            if path == CONTENTS {
                text.push_str(&decisions(&files));
            }
            let text = match path == CONTENTS {
                // It names the pages themselves.
                true => text.replace("](../", "]("),
                false => links::rewrite(&text, |link| moved(path, link, &pages, &repository)),
            };
            fs::write(&place, text).map_err(|error| at(&place, &error))?;
        } else {
            fs::copy(tree::root().join(path), &place).map_err(|error| at(&place, &error))?;
        }
    }
    let done = Command::new(mdbook).arg("build").arg(&source).arg("--dest-dir").arg(&html).status();
    let done = done.map_err(|error| format!("{mdbook}: {error}"))?;
    if !done.success() {
        return Err(format!("{mdbook} failed: {done}"));
    }
    let problems = check(&html);
    if problems.is_empty() {
        println!("{}", html.join("index.html").display());
    }
    Ok(problems)
}

/// Each file of the site, with its place there.
fn pages(files: &[String]) -> BTreeMap<String, String> {
    let docs = files.iter().filter_map(|path| {
        let place = path.strip_prefix("docs/")?;
        Some((path.clone(), place.to_owned()))
    });
    let root = ROOT_PAGES.map(|page| (page.to_owned(), page.to_owned()));
    docs.chain(root).collect()
}

/// The contents' part about decisions, which has a line for each page.
fn decisions(files: &[String]) -> String {
    let mut lines = String::from("- [Decisions](decisions/README.md)\n");
    for path in files.iter().filter(|path| path.starts_with("docs/decisions/0")) {
        let text = tree::read(path).unwrap_or_default();
        let title = text.lines().next().unwrap_or_default().trim_start_matches("# ").to_owned();
        let place = path.trim_start_matches("docs/");
        lines.push_str(&format!("  - [{title}]({place})\n"));
    }
    lines
}

/// A link of the page at `path`, for the page's place in the site.
fn moved(
    path: &str,
    link: &str,
    pages: &BTreeMap<String, String>,
    repository: &str,
) -> Option<String> {
    let (target, heading) = match link.split_once('#') {
        Some((target, heading)) => (target, format!("#{heading}")),
        None => (link, String::new()),
    };
    if target.is_empty() || target.contains(':') {
        return None;
    }
    let file = links::resolve(path, target);
    let index = format!("{file}/README.md");
    let place = pages.get(&file).or_else(|| pages.get(&index));
    Some(match place {
        Some(place) => {
            // What mdBook makes of a folder's page.
            let place = match place.strip_suffix("README.md") {
                Some(folder) => format!("{folder}index.html"),
                None => place.clone(),
            };
            format!("{}{place}{heading}", way_up(&pages[path]))
        }
        None => {
            let kind = if tree::root().join(&file).is_dir() { "tree" } else { "blob" };
            format!("{repository}/{kind}/main/{file}{heading}")
        }
    })
}

/// `../` for each folder that the page is in.
fn way_up(place: &str) -> String {
    "../".repeat(place.matches('/').count())
}

/// The repository on the web, as the packages name it.
fn repository() -> Result<String, String> {
    let manifest = tree::read("Cargo.toml").unwrap_or_default();
    let line = manifest.lines().find_map(|line| line.strip_prefix("repository = "));
    line.map(|url| url.trim_matches('"').to_owned()).ok_or("Cargo.toml has no repository".into())
}

/// Links and images of the built pages that lead to nothing.
fn check(html: &Path) -> Vec<String> {
    let mut files = BTreeMap::new();
    collect(html, html, &mut files);
    let ids: BTreeMap<&String, BTreeSet<&str>> =
        files.iter().map(|(path, text)| (path, attributes(text, "id").collect())).collect();
    let mut problems = Vec::new();
    for (path, text) in &files {
        // These repeat all other pages, at another place.
        if !path.ends_with(".html") || ["print.html", "404.html", "toc.html"].contains(&&**path) {
            continue;
        }
        for name in ["href", "src"] {
            for link in attributes(text, name).filter(|link| !link.contains(':')) {
                let (target, heading) = link.split_once('#').unwrap_or((link, ""));
                let file = match target {
                    "" => path.clone(),
                    target => links::resolve(path, target.split('?').next().unwrap_or_default()),
                };
                let is_there = match ids.get(&file) {
                    Some(ids) => heading.is_empty() || ids.contains(heading),
                    None => html.join(&file).exists(),
                };
                if !is_there {
                    problems.push(format!("site: {path}: {link} leads nowhere"));
                }
            }
        }
    }
    if !files.keys().any(|path| path.starts_with("searchindex")) {
        problems.push("site: it has no index to search".to_owned());
    }
    problems
}

/// The texts among the files of a folder, by their paths.
fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if let (Ok(text), Ok(place)) = (fs::read_to_string(&path), path.strip_prefix(root)) {
            files.insert(place.to_string_lossy().into_owned(), text);
        }
    }
}

/// The values of an attribute of all tags. In text, `<` is escaped.
fn attributes<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let start = format!(" {name}=\"");
    let tags = html.split('<').skip(1).filter_map(|rest| rest.split('>').next());
    tags.filter_map(move |tag| tag.split(&start).nth(1)?.split('"').next())
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| tree::root().join("target"), PathBuf::from)
}

fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
