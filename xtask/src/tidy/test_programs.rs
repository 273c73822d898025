//! Where the tests of a package are one program, a file that the program does not name would never
//! run, and nothing would say so.

use crate::tree;

const PROGRAM: &str = "/tests/all.rs";

pub(super) fn check(files: &[String]) -> Vec<String> {
    let programs = files.iter().filter_map(|path| path.strip_suffix(PROGRAM));
    programs.flat_map(|package| forgotten(package, files)).collect()
}

fn forgotten(package: &str, files: &[String]) -> Vec<String> {
    let text = |path: String| tree::read(&path).unwrap_or_default();
    let (program, manifest) =
        (text(format!("{package}{PROGRAM}")), text(format!("{package}/Cargo.toml")));
    let folder = format!("{package}/tests/");
    let names = files.iter().filter_map(|path| path.strip_prefix(&folder)?.strip_suffix(".rs"));
    let tests = names.filter(|name| !name.contains('/'));
    tests
        .filter(|name| !names_it(&program, &manifest, name))
        .map(|name| {
            format!(
                "{folder}{name}.rs: its tests never run; write `mod {name};` in {package}{PROGRAM}"
            )
        })
        .collect()
}

/// Whether the file is a module of the program, or a program of its own.
fn names_it(program: &str, manifest: &str, name: &str) -> bool {
    program.lines().any(|line| line == format!("mod {name};"))
        || manifest.lines().any(|line| line == format!("name = \"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_the_program_or_by_the_manifest() {
        let (program, manifest) = ("mod kicks;\n", "[[test]]\nname = \"all\"\n");
        assert!(names_it(program, manifest, "kicks"));
        assert!(names_it(program, manifest, "all"));
        assert!(!names_it(program, manifest, "kick"));
    }
}
