//! What belongs to a process ends with it: the handle with which a stream is renewed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::world::{Folder, Hub, Process, tidings};
use serde_json::json;
use tidings_testkit::token::hs256;

const SECRET: &str = "a secret of thirty-two bytes or more";

fn hub(folder: &Folder) -> Hub {
    let mut command = tidings();
    command.args(["serve", "--log", "warn", "--data"]).arg(folder.path().join("data"));
    Hub::start(command.env("TIDINGS_JWT_SECRET", SECRET))
}

fn bearer(left_s: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({"sub": "7", "exp": now + left_s, "tidings": {"subscribe": ["a"]}});
    format!("authorization: Bearer {}", hs256(&claims, SECRET.as_bytes()))
}

/// A stream, its id, and its handle.
fn open(hub: &Hub) -> (Process, String, String) {
    let mut stream = hub.listen(&["-D", "-", "-H", &bearer(600)], "/events/a");
    let (mut id, mut handle) = (None, None);
    let patience = Instant::now() + Duration::from_secs(20);
    while id.is_none() || handle.is_none() {
        assert!(Instant::now() < patience, "no handle in the head");
        let line = stream.line();
        let Some((name, value)) = line.split_once(": ") else { continue };
        match name {
            "tidings-connection" => id = Some(value.trim().to_owned()),
            "tidings-renew" => handle = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    (stream, id.unwrap(), handle.unwrap())
}

/// The answer to a renewal, with its status in the last line.
fn renew(hub: &Hub, id: &str, handle: &str) -> String {
    let body = json!({ "handle": handle }).to_string();
    let words = ["-X", "PUT", "-H", &bearer(900), "-d", &body, "-w", "\n%{http_code}"];
    hub.curl(&words, &format!("/connections/{id}/token"))
}

#[test]
fn a_handle_of_before_a_restart_renews_nothing() {
    let folder = Folder::new();
    let mut before = hub(&folder);
    let (_stream, old_id, old_handle) = open(&before);
    before.process.kill();
    let after = hub(&folder);
    let (_stream, id, handle) = open(&after);
    assert!(renew(&after, &id, &old_handle).contains("handle_invalid"));
    let answer = renew(&after, &old_id, &old_handle);
    assert!(answer.contains("connection_unknown") || answer.contains("handle_invalid"), "{answer}");
    assert!(renew(&after, &id, &handle).ends_with("\n200"));
}
