//! Checks Cargo's dependency graph against the drawing in ARCHITECTURE.md.

use std::process::Command;

use serde_json::Value;

use crate::tree;

/// A package, and those of ours that it may depend on. Whatever is not here may not be; but every
/// package's tests may use the testkit.
const ARROWS: [(&str, &[&str]); 17] = [
    ("tidings-codec", &[]),
    ("tidings-web", &[]),
    ("tidings-bench", &[]),
    ("tidings-conformance", &[]),
    ("tidings-hub", &["tidings-codec"]),
    ("tidings-client", &["tidings-codec"]),
    ("tidings-doctor", &["tidings-client"]),
    ("tidings-engine", &["tidings-hub"]),
    ("tidings-store-disk", &["tidings-hub"]),
    ("tidings-store-shared", &["tidings-hub", "tidings-store-disk"]),
    ("tidings-store-nats", &["tidings-hub", "tidings-store-shared"]),
    ("tidings-http", &["tidings-codec", "tidings-hub", "tidings-engine"]),
    ("tidings-mercure", &["tidings-codec", "tidings-hub", "tidings-engine", "tidings-http"]),
    (
        "tidings-server",
        &[
            "tidings-codec",
            "tidings-engine",
            "tidings-http",
            "tidings-hub",
            "tidings-mercure",
            "tidings-web",
        ],
    ),
    (
        "tidings",
        &[
            "tidings-bench",
            "tidings-client",
            "tidings-conformance",
            "tidings-doctor",
            "tidings-engine",
            "tidings-hub",
            "tidings-server",
            "tidings-store-disk",
            "tidings-store-nats",
            "tidings-store-shared",
            "tidings-web",
        ],
    ),
    (
        "tidings-testkit",
        &[
            "tidings-client",
            "tidings-codec",
            "tidings-engine",
            "tidings-http",
            "tidings-hub",
            "tidings-server",
            "tidings-store-disk",
            "tidings-store-shared",
            "tidings-web",
        ],
    ),
    ("xtask", &[]),
];

pub(super) fn check() -> Vec<String> {
    match metadata() {
        Ok(metadata) => packages(&metadata).flat_map(|package| wrong_arrows(&package)).collect(),
        Err(problem) => vec![problem],
    }
}

struct Package {
    name: String,
    dependencies: Vec<String>,
}

fn wrong_arrows(package: &Package) -> Vec<String> {
    let name = &package.name;
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| known == name) else {
        return vec![format!(
            "{name}: a package that is not in the drawing; see xtask tidy/arrows"
        )];
    };
    let wrong = package.dependencies.iter().filter(|on| !allowed.contains(&on.as_str()));
    wrong
        .map(|on| format!("{name}: depends on {on}, which ARCHITECTURE.md does not allow"))
        .collect()
}

/// The packages of the workspace, each with those of them that it depends on, for any purpose.
fn packages(metadata: &Value) -> impl Iterator<Item = Package> {
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let names: Vec<String> = packages.iter().map(name).collect();
    packages.into_iter().map(move |package| {
        let dependencies = package["dependencies"].as_array().cloned().unwrap_or_default();
        let of_tests = |on: &&Value| on["kind"] == "dev" && on["name"] == "tidings-testkit";
        let dependencies = dependencies.iter().filter(|on| !of_tests(on)).map(name);
        let dependencies = dependencies.filter(|on| names.contains(on)).collect();
        Package { name: name(&package), dependencies }
    })
}

fn metadata() -> Result<Value, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(tree::root());
    let output = command.output().map_err(|error| format!("cargo metadata: {error}"))?;
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}
