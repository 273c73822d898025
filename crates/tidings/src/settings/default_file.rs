//! The default file: every setting with its default and what it means, to be read and copied.
//!
//! `cargo xtask generate` writes it from the [table](super::table), and it is checked in: what is
//! in the program can be read without building it.

use std::fmt::Write as _;

use super::setting::{Default, Setting};
use super::table::Table;

/// The default configuration, as it is printed, copied, and read.
pub(crate) const DEFAULT_FILE: &str = include_str!("../../default.toml");

const COLUMNS: usize = 100;

/// The default file as `table` makes it.
pub(crate) fn written(table: Table) -> String {
    let mut text = HEAD.trim_start().to_owned();
    for section in table.sections {
        let title = format!("# ---- {} ", section.title);
        let rule = "-".repeat(COLUMNS - 2 - title.len());
        write!(text, "\n{title}{rule}\n\n").expect("a String takes every write");
        // A note of several lines stands apart.
        let mut was_long = false;
        for (place, setting) in section.settings.iter().enumerate() {
            let note = comment(setting.note);
            let is_long = note.lines().count() > 1;
            if place > 0 && !note.is_empty() && (is_long || was_long) {
                text.push('\n');
            }
            if !note.is_empty() {
                was_long = is_long;
            }
            text.push_str(&note);
            text.push_str(&line(setting));
        }
    }
    text.push_str(TAIL);
    text
}

fn line(setting: &Setting) -> String {
    match setting.default {
        Default::Is(value) => format!("{} = {value}\n", setting.name),
        Default::Example(value) => format!("#{} = {value}\n", setting.name),
    }
}

/// `text` as lines of comment.
fn comment(text: &str) -> String {
    let mut comment = String::new();
    let mut columns = COLUMNS;
    for word in text.split_whitespace() {
        let length = 1 + word.chars().count();
        if columns + length >= COLUMNS {
            comment.push_str(if comment.is_empty() { "#" } else { "\n#" });
            columns = 1;
        }
        comment.push(' ');
        comment.push_str(word);
        columns += length;
    }
    if !comment.is_empty() {
        comment.push('\n');
    }
    comment
}

/// The text before the settings.
const HEAD: &str = r#"
# The default configuration of Tidings, built into the program: `tidings check --defaults`
# prints it. A file of your own needs only the lines that differ: `tidings serve --config FILE`.
#
# Sources of values, each overriding those before it:
#
#   1. this file
#   2. the file given with --config, or by TIDINGS_CONFIG
#   3. the environment: `retention-age` is TIDINGS_RETENTION_AGE; lists have commas
#   4. the command line: `retention-age` is --retention-age
#
# `tidings check FILE` shows what a file means, and where each value comes from. Unknown keys are
# errors. Durations: 500ms, 15s, 10m, 1h30m, 7d. Sizes: 4096, 64KiB, 1GiB, 10GB.
"#;

/// The text after the settings: tables, which have to come last.
const TAIL: &str = r#"
# ---- Keys --------------------------------------------------------------------------------------

# A key is a secret of at least 16 visible characters that is sent as it is (`Authorization:
# Bearer …`), with the topics it may publish and subscribe to: `a/b` is one topic, `*` stands for
# one segment, a `**` at the end for the rest. These tables come last, one for each key:
#
#[[keys]]
#name = "sensors"
#key-file = "/etc/tidings/sensors.key"    # or: key = "…"
#publish = ["sensors/**"]
#subscribe = []
#operate = ["look", "kick"]   # metrics and connections; closing them. Also: erase, presence
#max-connections = 100   # for all its bearers; also max-publish-bytes (per second), max-topics

# Keys that sign tokens, besides the `jwt-secret`: a secret for HS256, HS384, HS512; a public key
# in PEM for RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA; or the URL of a JWK Set,
# read when needed and when its keys change. With a `role`, its tokens only publish ("publisher") or
# subscribe ("subscriber"), over Mercure; with an `issuer`, it is that issuer's key for Mercure 1.0
# tokens.
#
#[[jwt-keys]]
#algorithm = "ES256"
#key-file = "/etc/tidings/es256.pem"     # or: key = "…", url = "https://…/jwks.json"
#role = "publisher"
#issuer = "https://login.example"

# Keys that sign links: the text of the secret, at least 32 visible characters, and the topics that
# it may sign links to. `tidings sign` makes a link; any backend does it in five lines.
#
#[[link-keys]]
#id = "a"
#secret-file = "/etc/tidings/link.key"   # or: secret = "…"
#topics = ["orders/**"]

# Backends that are asked what a client without a key or token may do: a GET with these cookies and
# headers of the client (`forward`), and the topics. The answer is JSON: {"sub": "7", "subscribe":
# ["orders/7"], "expires_in": 60}; 401 and 403 are no. It grants nothing beyond `topics`. At most 8.
#
#[[authorize]]
#topics = ["orders/**"]
#url = "http://app:8000/hub/auth"
#cookies = ["sessionid"]        # or: forward = ["authorization"]
#actions = ["subscribe"]        # also "publish"
#send-topics = true             # false: one answer for all topics of a client
#send-address = false
#cache = "30s"                  # answers; cache-refused = "2s"
#timeout = "2s"                 # of a question; concurrency = 32 at once
#waiting = 1024                 # further ones, each for at most wait = "3s"
#on-failure = "refuse"          # newcomers; "allow-cached": an earlier answer lets them in
#stale-max = "15m"              # how long that counts after its end; streams go on as long

# Receivers of the news of connections: a POST of JSON, signed as Standard Webhooks ask for
# (`webhook-signature`), at most one a second and in order. A file of secrets is read again on
# SIGHUP; with two, both sign. At most 4.
#
#[[notify]]
#url = "https://app.example/hub/connections"
#secret-file = "/etc/tidings/whsec"      # or: secret = "whsec_…"; a list for two
#addresses = false                       # whether the news has the addresses of clients

# What is kept of some topics: the first rule that matches an event counts, the settings above are
# for the rest. Only with store = "disk"; SIGHUP reads them again. docs/operating/retention.md
#
#[[retention]]
#topics = ["notify/**"]
#keep-last = 50          # of each topic; or state = true, or age = "1h", or bytes = "256MiB"
"#;
