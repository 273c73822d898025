//! What is shown of URLs and of text that others chose, and what is sent of headers.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::origin::{Origin, STREAM, hold};
use crate::world::{Folder, said, tidings};

/// Every command that asks somebody for something, with a URL that has a password in it.
fn commands(url: &str) -> Vec<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    vec![
        words(&["subscribe", url, "--once"]),
        words(&["subscribe", "a", "--url", url, "--once"]),
        words(&["publish", "a", "b", "--url", url]),
        words(&["relay", url, "a", "--url", url]),
        words(&["trace", "5f-1", "--url", url]),
        words(&["health", "--url", url]),
        words(&["doctor", url, "--for", "1s"]),
        words(&["doctor", url, "--for", "1s", "--json", "--publish", url]),
        words(&["conformance", "--url", url, "--secret", "0123456789012345678901234567890123"]),
        words(&["bench", "--url", url, "-n", "1", "--duration", "1", "--connect-timeout", "1"]),
    ]
}

#[test]
fn a_password_in_a_url_is_never_shown() {
    let refusing = Origin::saying("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    let foreign = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    let urls = [
        format!("http://me:hush@{}/x?token=hush&topic=a", refusing.address),
        format!("http://me:hush@{}/x?authorization=hush", foreign.address),
        format!("http:me:hush@{}/", foreign.address),
        "http://me:hush@127.0.0.1:1/?token=hush".to_owned(),
        "http://me:hush@h:port/".to_owned(),
        "ftp://me:hush@h/".to_owned(),
    ];
    for url in &urls {
        for words in commands(url) {
            let (stdout, stderr, code) = said(tidings().args(&words));
            let text = format!("{stdout}{stderr}");
            assert!(!text.contains("hush"), "{words:?}: {text}");
            assert!(code != 0 || words[0] == "doctor", "{words:?}: {text}");
        }
    }
}

#[test]
fn what_a_server_says_cannot_steer_the_terminal() {
    let problem = "{\"title\":\"\\u001b[31mRed\\u0007\",\"detail\":\"a\\nhint: run this\\u009b2J\",\
                   \"code\":\"x\"}";
    let answer = format!(
        "HTTP/1.1 403 No\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n\
         {problem}",
        problem.len()
    );
    let refusing = Origin::start(move |_, socket| {
        let _ = socket.write_all(answer.as_bytes());
    });
    let url = refusing.url();
    for words in commands(&url).iter().filter(|words| words[0] != "bench") {
        let (_, stderr, _) = said(tidings().args(words));
        let is_bad = |c: char| c.is_control() && c != '\n';
        assert!(!stderr.contains(is_bad), "{words:?}: {stderr:?}");
        assert!(!stderr.lines().any(|line| line == "hint: run this"), "{words:?}: {stderr:?}");
    }
}

#[test]
fn events_have_no_power_over_a_terminal_and_are_untouched_in_a_pipe() {
    let text = "id: \u{1b}]0;t\u{7}\nevent: \u{1b}[31m\ndata: \u{9b}2J\u{202e}\u{7f}x\n\n";
    let origin = Origin::start(move |_, socket| {
        let _ = write!(socket, "{STREAM}{text}");
    });
    for format in [&[][..], &["--raw"], &["--json"]] {
        let mut subscribe = tidings();
        subscribe.args(["subscribe", &origin.url(), "--once", "--quiet"]).args(format);
        let shown = on_a_terminal(&mut subscribe);
        let is_bad = |c: char| c.is_control() && !matches!(c, '\r' | '\n') || c == '\u{202e}';
        assert!(shown.contains('x') && !shown.contains(is_bad), "{format:?}: {shown:?}");
        let (piped, _, _) = said(&mut subscribe);
        assert!(piped.contains("\u{9b}2J\u{202e}\u{7f}x"), "{format:?}: {piped:?}");
    }
}

/// Runs a command whose standard output is a terminal; what it shows there.
fn on_a_terminal(command: &mut Command) -> String {
    shown_on(command, Command::stdout, Command::stderr)
}

/// The same for standard error.
fn on_a_terminal_beside(command: &mut Command) -> String {
    shown_on(command, Command::stderr, Command::stdout)
}

type Redirection = fn(&mut Command, Stdio) -> &mut Command;

fn shown_on(command: &mut Command, shown: Redirection, other: Redirection) -> String {
    let mut master = File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let command = other(shown(command.stdin(Stdio::null()), terminal.into()), Stdio::null());
    let mut child = command.spawn().unwrap();
    // So that this end is the only other one, and the end of the program ends the reading.
    shown(command, Stdio::null());
    let mut text = Vec::new();
    let mut piece = [0; 1024];
    // A terminal whose program has gone is an error to read.
    while let Ok(read @ 1..) = master.read(&mut piece) {
        text.extend_from_slice(&piece[..read]);
    }
    child.wait().unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn the_doctor_counts_down_on_a_terminal_and_nowhere_else() {
    let origin = Origin::start(|_, socket| {
        let _ = write!(socket, "{STREAM}: hello\n\n");
        hold(socket);
    });
    let mut doctor = tidings();
    doctor.args(["doctor", &origin.url(), "--for", "2s"]);
    let shown = on_a_terminal_beside(&mut doctor);
    assert!(
        shown.contains("listening, 2 s left …\u{1b}") || shown.contains("listening, 2 s left …\r")
    );
    assert!(shown.contains("1 s left") && shown.ends_with("\r\u{1b}[K"), "{shown:?}");
    assert_eq!(said(&mut doctor).1, "");
}

#[test]
fn headers_are_sent_as_they_were_given_by_every_command() {
    let folder = Folder::new();
    let file = folder.file("headers", "X-Tag: three\n");
    // So that the relay does not ask the hub first.
    folder.file("since", "1\n");
    let origin = Origin::saying("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    let url = origin.url();
    let hub = format!("http://{}", origin.address);
    let given = ["X-Tag: one", "X-Tag: two"];
    let at_file = format!("@{}", file.display());
    for words in [
        vec!["subscribe", &url, "--once"],
        vec!["publish", "a", "b", "--url", &hub],
        vec!["relay", &url, "a", "--url", &hub, "--since-file", "since"],
        vec!["doctor", &url, "--for", "1s"],
        vec!["bench", "--url", &url, "-n", "1", "--rate", "0", "--connect-timeout", "1"],
    ] {
        let mut command = tidings();
        command.current_dir(folder.path()).args(&words);
        command.args(["-H", given[0], "-H", given[1], "-H", &at_file, "-H", "User-Agent: mine"]);
        said(&mut command);
        let requests = origin.requests();
        let headers = &requests.last().unwrap().headers;
        let values = |name: &str| -> Vec<&str> {
            headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
        };
        assert_eq!(values("x-tag"), ["one", "two", "three"], "{words:?}");
        assert_eq!(values("user-agent"), ["mine"], "{words:?}");
    }
}

#[test]
fn every_command_says_who_asks() {
    let origin = Origin::saying("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    let agent = concat!("tidings/", env!("CARGO_PKG_VERSION"));
    let url = origin.url();
    for words in commands(&url) {
        let before = origin.requests().len();
        said(tidings().args(&words));
        let requests = origin.requests();
        assert!(requests.len() > before, "{words:?} asked nobody");
        for request in &requests[before..] {
            assert_eq!(request.header("user-agent"), Some(agent), "{words:?}");
        }
    }
}

#[test]
fn a_last_event_id_given_as_a_header_is_where_a_stream_begins() {
    let origin = Origin::start(|request, socket| {
        let last = request.header("last-event-id").unwrap_or("none").to_owned();
        let _ = write!(socket, "{STREAM}id: 9\ndata: after {last}\n\n");
    });
    let mut subscribe = tidings();
    subscribe.args(["subscribe", &origin.url(), "-n", "2", "-H", "Last-Event-ID: 5"]);
    let (stdout, _, code) = said(&mut subscribe);
    assert_eq!((stdout.as_str(), code), ("9  after 5\n9  after 9\n", 0));
    for more in [&["-H", "Last-Event-ID: 6"][..], &["--after", "6"]] {
        let mut subscribe = tidings();
        subscribe.args(["subscribe", &origin.url(), "--once", "-H", "Last-Event-ID: 5"]).args(more);
        let (_, stderr, code) = said(&mut subscribe);
        assert_eq!(code, 2, "{stderr}");
    }
}

#[test]
fn a_stream_that_is_compressed_unasked_is_called_that() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\nxyz",
    );
    let (_, stderr, code) = said(tidings().args(["subscribe", &origin.url()]));
    assert_eq!(code, 5);
    assert!(stderr.contains("Content-Encoding: gzip"), "{stderr}");
    assert_eq!(origin.requests()[0].header("accept-encoding"), Some("identity"));
    let (stdout, _, code) = said(tidings().args(["doctor", &origin.url(), "--for", "1s"]));
    assert_eq!(code, 8);
    assert!(stdout.contains("[compressed-unasked]"), "{stdout}");
}
