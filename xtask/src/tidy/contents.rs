//! The contents of the documentation: every page of `docs` has its line there, or it would not be
//! on the site. The decisions have a list of their own.

use crate::tree;

const CONTENTS: &str = "docs/SUMMARY.md";

pub(super) fn check(files: &[String]) -> Vec<String> {
    let contents = tree::read(CONTENTS).unwrap_or_default();
    let pages = files.iter().filter_map(|path| path.strip_prefix("docs/"));
    let pages = pages.filter(|page| page.ends_with(".md") && *page != "SUMMARY.md");
    pages
        .filter(|page| !page.starts_with("decisions/") && !contents.contains(&format!("]({page})")))
        .map(|page| format!("docs/{page}: is not in {CONTENTS}"))
        .collect()
}
