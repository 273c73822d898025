//! Words that belong in one place: those of another protocol, of a storage product, of a
//! developer's machine.

use crate::tree;

/// A word in lower case, where it is looked for, and where it is allowed.
struct Rule {
    word: &'static str,
    within: &'static [&'static str],
    except: &'static [&'static str],
    why: &'static str,
}

/// What lies between a socket and the store, and names no storage product.
const SERVER: &[&str] = &[
    "crates/tidings-hub/",
    "crates/tidings-engine/",
    "crates/tidings-http/",
    "crates/tidings-mercure/",
    "crates/tidings-server/",
];

const RULES: &[Rule] = &[
    Rule {
        word: "mercure",
        within: &["crates/"],
        except: &[
            "crates/tidings-mercure/",
            // The claim in which tokens say what they grant has that name.
            "crates/tidings-http/src/auth/invalid_token.rs",
            "crates/tidings-http/src/auth/token.rs",
            "crates/tidings/src/commands/token.rs",
            "crates/tidings/default.toml",
            "crates/tidings/src/keys.rs",
            "crates/tidings/src/server_config.rs",
            "crates/tidings/src/settings",
            "crates/tidings/src/args.rs",
            "crates/tidings/src/commands/check.rs",
            "crates/tidings/tests/",
            // Where the hub has it among its protocols, and describes it.
            "crates/tidings-server/Cargo.toml",
            "crates/tidings-server/README.md",
            "crates/tidings-server/src/lib.rs",
            "crates/tidings-server/src/config.rs",
            "crates/tidings-server/src/check.rs",
            "crates/tidings-server/src/faces.rs",
            "crates/tidings-server/src/routes.rs",
            "crates/tidings-server/src/token_report.rs",
            "crates/tidings-server/openapi.json",
            // A suite for any hub.
            "crates/tidings-conformance/",
            "crates/tidings/src/commands/conformance.rs",
            // Mercure is one of the servers measured.
            "crates/tidings-bench/",
            "crates/tidings-testkit/",
            "crates/tidings-web/",
        ],
        why: "Mercure's words stay in tidings-mercure",
    },
    Rule {
        word: "selector",
        within: &[
            "crates/tidings-hub/",
            "crates/tidings-engine/",
            "crates/tidings-http/src/",
            "crates/tidings-server/src/",
        ],
        except: &["crates/tidings-http/src/auth/token.rs"],
        why: "we say matcher",
    },
    Rule { word: "fjall", within: SERVER, except: &[], why: "the server names no storage product" },
    Rule { word: "redis", within: SERVER, except: &[], why: "the server names no storage product" },
    Rule {
        word: "std::env::var",
        within: &["crates/"],
        except: &[
            "crates/tidings/",
            "/tests/",
            "/benches/",
            "/examples/",
            "/clippy.toml",
            "crates/tidings-bench/",
            "crates/tidings-testkit/",
        ],
        why: "configuration is read only in the binary",
    },
    Rule {
        word: "#![allow(unsafe_code)]",
        within: &["crates/"],
        except: &["crates/tidings-engine/src/sys"],
        why: "`unsafe` is only in tidings-engine/src/sys",
    },
    Rule {
        word: "/home/",
        within: &["crates/", "docs/", "xtask/", "scripts/", "examples/", "deploy/", "README.md"],
        except: &["xtask/src/tidy/words.rs"],
        why: "no paths of a developer's machine",
    },
];

pub(super) fn check(files: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for path in files.iter().filter(|path| is_looked_at(path)) {
        let rules: Vec<_> = RULES.iter().filter(|rule| rule.applies_to(path)).collect();
        if rules.is_empty() {
            continue;
        }
        let Some(text) = tree::read(path) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.to_ascii_lowercase();
            let broken = rules.iter().filter(|rule| line.contains(rule.word));
            problems.extend(
                broken.map(|rule| format!("{path}:{number}: {:?}: {}", rule.word, rule.why)),
            );
        }
    }
    problems
}

impl Rule {
    fn applies_to(&self, path: &str) -> bool {
        let is_except = |place: &str| match place.strip_prefix('/') {
            Some(_) => path.contains(place),
            None => path.starts_with(place),
        };
        self.within.iter().any(|place| path.starts_with(place))
            && !self.except.iter().any(|place| is_except(place))
            && !path.ends_with("/README.md")
    }
}

fn is_looked_at(path: &str) -> bool {
    [".rs", ".toml", ".json", ".js", ".md", ".sh"].iter().any(|end| path.ends_with(end))
}
