//! The help pages as they are, in files: `TIDINGS_UPDATE_SNAPSHOTS=1 cargo test -p tidings --test
//! help` writes them anew.

use std::fs;
use std::path::Path;

use crate::world::{said, tidings};

#[test]
fn the_help_pages_are_those_in_the_files() {
    compare("tidings-short", &["-h"]);
    compare("tidings", &["--help"]);
    compare("environment", &["help", "environment"]);
    compare("commands", &["help", "commands"]);
    for command in &commands() {
        compare(&format!("{command}-short"), &[command, "-h"]);
        compare(command, &[command, "--help"]);
    }
}

#[test]
fn short_help_fits_a_screen() {
    for command in &commands() {
        let (help, ..) = said(tidings().args([command, "-h"]));
        assert!(help.lines().count() <= 40, "{command}: {} lines", help.lines().count());
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{command}");
    }
}

#[test]
fn long_help_has_examples() {
    for command in &commands() {
        let (help, ..) = said(tidings().args([command, "--help"]));
        assert!(help.contains("Examples:"), "{command}");
        assert!(!help.contains(|c: char| c.is_control() && c != '\n'), "{command}: it is text");
        assert_eq!(said(tidings().args(["help", command])).0.trim(), help.trim());
    }
}

#[test]
fn there_are_completions_and_manual_pages() {
    for shell in ["bash", "zsh", "fish"] {
        let (script, _, code) = said(tidings().args(["completions", shell]));
        assert!(script.contains("subscribe") && code == 0, "{shell}");
    }
    let (page, _, code) = said(tidings().args(["man", "serve"]));
    assert!(page.contains(".TH tidings-serve 1") && code == 0);
    assert_eq!(said(tidings().args(["man", "nothing"])).2, 2);
}

/// Every command there is, as the program says.
fn commands() -> Vec<String> {
    let (names, ..) = said(tidings().args(["help", "commands"]));
    assert!(names.contains("serve\n"), "{names}");
    names.lines().map(str::to_owned).collect()
}

fn compare(name: &str, words: &[&str]) {
    let (help, stderr, code) = said(tidings().args(words));
    assert_eq!((stderr.as_str(), code), ("", 0), "{words:?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help").join(format!("{name}.txt"));
    if std::env::var_os("TIDINGS_UPDATE_SNAPSHOTS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &help).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(help, expected, "{} differs; see the head of this file", path.display());
}
