//! Generates the default file and the reference pages in `docs/reference` from the built program's
//! own output, and the page of the API from its description.

use std::fs;
use std::process::Command;

use crate::api_page;
use crate::reference;
use crate::tree;

/// Writes the default file and the pages; with `check`, only reports which differ.
pub(crate) fn run(check: bool) -> Vec<String> {
    // The default file comes first, because it is built into the program that prints the pages.
    let written = default_file().map(|file| update(vec![file], check)).and_then(|mut problems| {
        problems.extend(update(pages()?, check));
        Ok(problems)
    });
    written.unwrap_or_else(|problem| vec![problem])
}

fn update(files: Vec<(&'static str, String)>, check: bool) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in files {
        if tree::read(path).as_deref() == Some(text.as_str()) {
            continue;
        }
        if check {
            problems.push(format!("{path}: differs from the program; run `cargo xtask generate`"));
        } else if let Err(error) = write(path, &text) {
            problems.push(format!("{path}: {error}"));
        } else {
            println!("{path}");
        }
    }
    problems
}

/// The default file, from the table of settings.
fn default_file() -> Result<(&'static str, String), String> {
    let text = help(&["help", "default-file"])?;
    Ok(("crates/tidings/default.toml", format!("{text}\n")))
}

fn pages() -> Result<Vec<(&'static str, String)>, String> {
    let mut cli = format!("# The command line\n\n{NOTE}\n\n```text\n{}\n```\n", help(&["--help"])?);
    for command in help(&["help", "commands"])?.lines() {
        let text = help(&[command, "--help"])?;
        cli.push_str(&format!("\n## tidings {command}\n\n```text\n{text}\n```\n"));
    }
    let defaults = help(&["check", "--defaults"])?;
    let settings = format!(
        "# The configuration\n\n{NOTE}\n\nThe default file, which is inside the program:\n\n\
         ```toml\n{defaults}\n```\n"
    );
    let environment = format!(
        "# Environment variables and exit codes\n\n{NOTE}\n\n\
         ```text\n{}\n```\n\n```text\n{}\n```\n",
        help(&["help", "environment"])?,
        help(&["help", "exit-codes"])?
    );
    let openapi = tree::read("crates/tidings-server/openapi.json").unwrap_or_default();
    let openapi =
        serde_json::from_str(&openapi).map_err(|error| format!("openapi.json: {error}"))?;
    Ok(vec![
        ("docs/reference/README.md", INDEX.replace("NOTE", NOTE)),
        ("docs/reference/cli.md", cli),
        ("docs/reference/configuration.md", settings),
        ("docs/reference/environment.md", environment),
        ("docs/reference/http.md", reference::http(&openapi, NOTE)),
        ("crates/tidings-web/assets/docs/api.html", api_page::page(&openapi)),
    ])
}

const NOTE: &str = "_Written by `cargo xtask generate`; do not edit._";

const INDEX: &str = "\
# Reference

NOTE

- [The HTTP API](http.md): every request, its parameters and answers
- [What your client does](clients.md) with streams, cuts and ends
- [The command line](cli.md): every command and option
- [The configuration](configuration.md): every setting, with its default and what it means
- [Environment variables and exit codes](environment.md)
";

/// The output of the program.
fn help(words: &[&str]) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--package", "tidings", "--"]).args(words);
    let output = command.current_dir(tree::root()).output();
    let output = output.map_err(|error| format!("tidings {words:?}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("tidings {words:?}: {said}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn write(path: &str, text: &str) -> std::io::Result<()> {
    let path = tree::root().join(path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}
