//! A disk that is full: the limit on the size of a file stands for it. Publishing ends, reading
//! does not, and the hub says why.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

mod world;

use std::process::{Command, Stdio};

use world::wire::Wire;
use world::{Folder, Hub, clean, said};

#[test]
fn a_hub_that_cannot_store_says_so_and_goes_on_serving_what_it_has() {
    let folder = Folder::new();
    let hub = serve_with_limit(&folder);
    let mut listener = hub.listen(&[], "/events/t");
    listener.line_with("id: ");
    assert_eq!(hub.curl(&["-o", "/dev/null", "-w", "%{http_code}"], "/readyz"), "200");
    hub.publish("t", "first");
    assert_eq!(listener.values("data: ", 1), ["first"]);

    let big = "x".repeat(256 << 10);
    let mut wire = Wire::connect(&hub.address).unwrap();
    let refused = (0..1000).find_map(|_| {
        let answer = wire.post("/events/big", "text/plain", big.as_bytes()).unwrap();
        (answer.status != 200).then_some(answer)
    });
    let refused = refused.expect("the limit was reached");
    assert_eq!(refused.status, 503);
    let problem = refused.json();
    assert_eq!(problem["status"], 503);
    assert!(problem["code"].as_str().is_some_and(|code| code.contains("store")), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    // It does not try again and again what cannot succeed: no event may follow one that is missing.
    let answer = wire.post("/events/t", "text/plain", b"small").unwrap();
    assert_eq!(answer.status, 503);

    let form = ["-i", "-d", "topic=t", "-d", "data=small"];
    let refused = hub.curl(&form, "/.well-known/mercure");
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("\r\nretry-after: 10\r\n"), "{refused}");
    assert!(refused.contains("the event is not stored"), "{refused}");

    let ready = hub.curl(&["-w", "%{http_code}"], "/readyz");
    assert!(ready.contains("store_failed") && ready.ends_with("503"), "{ready}");
    let health = said(&mut hub.command(&["health"]));
    assert_eq!(health, ("not ready: store_failed\n".into(), String::new(), 1));
    assert_eq!(hub.curl(&["-o", "/dev/null", "-w", "%{http_code}"], "/healthz"), "200");

    let mut late = hub.listen(&[], "/events/t?last=1");
    assert_eq!(late.values("data: ", 1), ["first"]);
    assert!(!listener.has_ended(), "who listens is still connected");
}

#[test]
fn what_was_acknowledged_before_the_disk_was_full_is_there_when_it_is_not() {
    let folder = Folder::new();
    let mut hub = serve_with_limit(&folder);
    let big = "x".repeat(100 << 10);
    let mut wire = Wire::connect(&hub.address).unwrap();
    let mut stored = 0;
    while wire.post("/events/big", "text/plain", big.as_bytes()).unwrap().status == 200 {
        stored += 1;
        assert!(stored < 1000, "the limit is never reached");
    }
    hub.process.kill();

    let hub = Hub::serve(&folder, &[]);
    let mut wire = Wire::connect(&hub.address).unwrap();
    let page = wire.get("/topics", "application/json").unwrap().json();
    let count = page["topics"][0]["events"].as_u64().unwrap_or_else(|| panic!("{page}"));
    // The one that was refused may be there as well: its publisher was told that it is not known to
    // be.
    assert!(count == stored || count == stored + 1, "{count} of {stored}");
    assert_eq!(wire.post("/events/t", "text/plain", b"on").unwrap().status, 200);
}

/// A hub whose files can have 8 MiB each. The signal that comes with that limit is not for it.
fn serve_with_limit(folder: &Folder) -> Hub {
    let script = "trap '' XFSZ; ulimit -f 8192 || exit 9; exec \"$@\"";
    let mut command = Command::new("bash");
    clean(&mut command);
    command.args(["-c", script, "bash", env!("CARGO_BIN_EXE_tidings"), "serve", "--log", "off"]);
    command.arg("--data").arg(folder.path().join("data")).stderr(Stdio::null());
    Hub::start(&mut command)
}
