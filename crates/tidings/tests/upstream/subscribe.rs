//! `tidings subscribe URL`.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use super::origin::{Origin, STREAM, hold};
use crate::world::{Folder, Hub, PATIENCE, Process, eventually, run, said, text, tidings};
use tidings_testkit::ports;

#[test]
fn a_stream_that_happens_once_is_asked_for_as_told_and_ends_the_program() {
    let folder = Folder::new();
    let secrets = folder.file("secrets", "# two of them\nX-Key: abc\n\nX-Other: a:b\n");
    let origin = Origin::start(|_, socket| {
        let _ = write!(socket, "{STREAM}event: token\ndata: one\n\nid: 7\ndata: two\n\n");
    });
    let mut subscribe = tidings();
    subscribe.args(["subscribe", &origin.url(), "--once", "--json", "-d", r#"{"ask": 1}"#]);
    subscribe.args(["-H", "X-Plain: p", "-H", &format!("@{}", secrets.display())]);
    // A token is the hub's, and goes nowhere else.
    subscribe.env("TIDINGS_TOKEN", "secret");
    let (stdout, stderr, code) = said(&mut subscribe);
    let lines = "{\"event\":\"token\",\"data\":\"one\"}\n\
                 {\"id\":\"7\",\"event\":\"message\",\"data\":\"two\"}\n";
    assert_eq!((stdout.as_str(), stderr.as_str(), code), (lines, "", 0));
    let requests = origin.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!((request.method.as_str(), request.body.as_str()), ("POST", r#"{"ask": 1}"#));
    for (name, value) in [
        ("accept", Some("text/event-stream")),
        ("content-type", Some("application/json")),
        ("x-plain", Some("p")),
        ("x-key", Some("abc")),
        ("x-other", Some("a:b")),
        ("authorization", None),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
}

#[test]
fn what_was_seen_before_a_kill_is_not_lost_and_a_since_file_goes_on_behind_it() {
    let folder = Folder::new();
    let since = folder.path().join("since");
    let origin = Origin::counting(5000);
    let mut expected = Origin::counted(5000).into_iter().peekable();
    let mut seen = 0;
    for stop_after in [700, 500, usize::MAX] {
        let mut subscribe = tidings();
        subscribe
            .args(["subscribe", &origin.url(), "--raw", "--quiet", "--since-file"])
            .arg(&since);
        let mut subscribe = Process::spawn(subscribe.stdin(Stdio::null()));
        let mut is_first = true;
        let mut events = 0;
        // What it printed before the kill took it counts, too.
        while let Some(data) = next_event(&mut subscribe) {
            events += 1;
            if events == stop_after {
                subscribe.kill();
            }
            let is_note = data.starts_with("note");
            let number: u64 = data.split(' ').nth(1).unwrap().parse().unwrap();
            if is_note && number == seen && expected.peek() != Some(&data) {
                continue; // without an id of its own, it comes again with every connection
            }
            if std::mem::take(&mut is_first) && seen > 0 {
                // What was printed when it was killed, and not yet noted, comes again; nothing is
                // left out.
                assert!(number <= seen + 1, "{number} after {seen}");
                expected = Origin::counted(5000).into_iter().peekable();
                while expected.peek() != Some(&data) {
                    expected.next();
                }
            }
            seen = number;
            assert_eq!(Some(data), expected.next());
            if expected.peek().is_none() {
                break;
            }
        }
        subscribe.kill();
        let saved = fs::read_to_string(&since).unwrap();
        let saved: u64 =
            saved.trim_end().parse().expect("the file has an id whenever it is looked at");
        assert!(saved > 0);
    }
    assert_eq!(expected.next(), None);
    assert!(origin.requests().iter().any(|request| request.header("last-event-id").is_some()));
}

/// The data of the next event that was printed whole.
fn next_event(subscribe: &mut Process) -> Option<String> {
    let mut data = None;
    loop {
        let line = subscribe.line_within(PATIENCE)?;
        if let Some(text) = line.strip_prefix("data: ") {
            data = Some(text.to_owned());
        } else if line.is_empty() && data.is_some() {
            return data;
        }
    }
}

#[test]
fn a_command_runs_for_each_event_and_one_that_fails_sees_it_again() {
    let folder = Folder::new();
    let (since, out) = (folder.path().join("since"), folder.path().join("out"));
    let origin = Origin::start(|request, socket| {
        let events =
            ["id: 1\ndata: a\ndata: b\n\n", "event: e\nid: 2\ndata: bad\n\n", "id: 3\ndata\n\n"];
        let last = request.header("last-event-id").map_or(0, |id| id.parse().unwrap());
        let _ = write!(socket, "{STREAM}{}", events[last..].concat());
        hold(socket);
    });
    let command = format!(
        "cat >> {0}; echo \" $TIDINGS_EVENT_TYPE $TIDINGS_EVENT_ID\" >> {0}; test ! -e {1}/stop",
        out.display(),
        folder.path().display()
    );
    let subscribe = || {
        let mut subscribe = tidings();
        subscribe.args(["subscribe", &origin.url(), "--exec", &command, "-n", "3", "--since-file"]);
        subscribe.arg(&since);
        subscribe
    };
    let stop = folder.file("stop", "");
    let (_, stderr, code) = said(&mut subscribe());
    assert_eq!(code, 1);
    assert!(stderr.contains("failed (exit status: 1) with the event \"1\""), "{stderr}");
    assert_eq!(fs::read_to_string(&since).unwrap(), "\n", "the event counts as not processed");
    fs::remove_file(stop).unwrap();
    let mut again = Process::spawn(subscribe().stdin(Stdio::null()));
    assert!(again.wait().success());
    assert_eq!(fs::read_to_string(&since).unwrap(), "3\n");
    let all = "a\nb message 1\na\nb message 1\nbad e 2\n message 3\n";
    assert_eq!(fs::read_to_string(&out).unwrap(), all);
    // One event is what is wanted, and a command need not read it.
    let mut deaf = tidings();
    deaf.args(["subscribe", &origin.url(), "--exec", "true", "-n", "1"]);
    assert!(run(&mut deaf).status.success());
}

#[test]
fn how_a_stream_ended_is_told_by_the_exit_code() {
    let ends = |answer: &'static str, words: &[&str]| {
        let origin = Origin::saying(answer);
        let (_, stderr, code) = said(tidings().args(["subscribe", &origin.url()]).args(words));
        (code, stderr)
    };
    let (code, stderr) = ends("HTTP/1.1 204 No Content\r\n\r\n", &[]);
    assert_eq!((code, stderr.as_str()), (0, "the stream has ended\n"));
    let (code, stderr) = ends("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", &[]);
    assert_eq!(code, 5, "{stderr}");
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi";
    let (code, stderr) = ends(html, &[]);
    assert_eq!(code, 5);
    assert!(stderr.contains("not an event stream but \"text/html\""), "{stderr}");
    let cut =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99\r\n\r\n: x\n";
    assert_eq!(ends(cut, &["--once"]).0, 1);
    let unauthorized = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
    let (code, stderr) = ends(unauthorized, &["--token", "x"]);
    assert_eq!(code, 5);
    assert!(stderr.contains("hint: the token is the hub's and was not sent there"), "{stderr}");

    let nobody = ports::address();
    let url = format!("http://{nobody}/");
    for words in [["--once", "--quiet"], ["--retries", "0"]] {
        let (_, stderr, code) = said(tidings().args(["subscribe", &url]).args(words));
        assert_eq!(code, 6, "{stderr}");
    }
    for words in [&["topic"][..], &["--last", "3"], &["-H", "nonsense"], &["--idle-timeout", "x"]] {
        assert_eq!(said(tidings().args(["subscribe", &url]).args(words)).2, 2, "{words:?}");
    }
    let unwritable = ["subscribe", &url, "--since-file", "/proc/none/since"];
    assert_eq!(said(tidings().args(unwritable)).2, 4);
}

#[test]
fn a_silent_connection_is_made_anew() {
    let origin = Origin::start(|_, socket| {
        let _ = socket.write_all(STREAM.as_bytes());
        hold(socket);
    });
    let mut subscribe = tidings();
    subscribe.args(["subscribe", &origin.url(), "--idle-timeout", "50ms"]).stdin(Stdio::null());
    let mut subscribe = Process::spawn(&mut subscribe);
    eventually(|| origin.requests().len() >= 2);
    subscribe.kill();
    assert!(subscribe.stderr().contains("nothing was received for 50ms"));
}

#[test]
fn heartbeats_alone_move_the_id_in_a_since_file() {
    let folder = Folder::new();
    let since = folder.path().join("since");
    let hub = Hub::serve(&folder, &[]);
    hub.publish("other", "x");
    let mut subscribe = hub.command(&["subscribe", "quiet", "--since-file"]);
    let mut subscribe = Process::spawn(subscribe.arg(&since).stdin(Stdio::null()));
    eventually(|| fs::read_to_string(&since).is_ok_and(|id| id.ends_with(":1\n")));
    subscribe.kill();
    hub.publish("quiet", "missed");
    let mut subscribe = hub.command(&["subscribe", "quiet", "-n", "1", "--json", "--since-file"]);
    let mut again = Process::spawn(subscribe.arg(&since).stdin(Stdio::null()));
    let line = again.line_within(PATIENCE.max(Duration::from_secs(1))).unwrap();
    assert!(line.contains("missed"), "{line}");
    assert!(text(again.output().stdout).is_empty());
}
