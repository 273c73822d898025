//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().expect("xtask lies in the root").to_owned()
}

/// Paths of all files, relative to the root, with `/`, sorted; without build output and installed
/// files.
pub(crate) fn files() -> Vec<String> {
    let mut files = Vec::new();
    walk(&root(), "", &mut files);
    files.sort();
    files
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_folder {
            files.push(path);
        } else if !is_left_out(&name, &path) {
            walk(&entry.path(), &format!("{path}/"), files);
        }
    }
}

fn is_left_out(name: &str, path: &str) -> bool {
    let hidden = name.starts_with('.') && !matches!(name, ".cargo" | ".ci" | ".github");
    let built = matches!(name, "node_modules" | "tidings-data") || name.starts_with("target");
    hidden || built || matches!(path, "bench/out" | "fuzz/corpus" | "fuzz/artifacts")
}

/// The text of a file; `None` if it is not text.
pub(crate) fn read(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}
