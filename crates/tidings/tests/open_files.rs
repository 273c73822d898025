//! A hub with few open files: what it needs them for fits under the limit, so that it never runs
//! out of them, and a client that comes when it is full learns when to come back.

use crate::world;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::world::{Folder, Hub, clean, said};

/// `tidings` with this limit of open files.
fn limited(files: usize, words: &str) -> Command {
    let program = env!("CARGO_BIN_EXE_tidings");
    let mut command = Command::new("sh");
    clean(&mut command);
    command.stderr(Stdio::piped());
    command.args(["-c", &format!("ulimit -n {files}; exec {program} {words} \"$@\""), "sh"]);
    command
}

fn hub(folder: &Folder, files: usize, words: &[&str]) -> Hub {
    let data = folder.path().join("data");
    Hub::start(limited(files, "serve --log warn --data").arg(data).args(words))
}

/// Sends a request, and reads until `wanted` is there or the connection ends.
fn ask(hub: &Hub, head: &str, wanted: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(&hub.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "{head} HTTP/1.1\r\nhost: {}\r\n\r\n", hub.address).unwrap();
    let text = read_until(&mut stream, wanted);
    (stream, text)
}

fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(wanted) {
        let length = stream.read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        text += str::from_utf8(&buffer[..length]).unwrap();
    }
    text
}

/// Subscribes until one is asked to come back later; those before it, and what it was answered.
fn fill(hub: &Hub) -> (Vec<TcpStream>, String) {
    let mut subscribers = Vec::new();
    loop {
        let (stream, text) = ask(hub, "GET /events/t", "retry: ");
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        if text.contains("connection: close") {
            return (subscribers, text);
        }
        subscribers.push(stream);
        assert!(subscribers.len() < 1000, "nobody is full");
    }
}

#[test]
fn a_hub_with_few_open_files_asks_one_more_subscriber_to_come_back_and_goes_on() {
    for words in [&[][..], &["--max-connections", "20"], &["--max-subscribers", "60"]] {
        let folder = Folder::new();
        let mut hub = hub(&folder, 256, words);
        let (mut subscribers, refused) = fill(&hub);
        assert!(refused.contains("retry: "), "{refused}");
        assert!(subscribers.len() >= 50, "{words:?}: {}", subscribers.len());

        // As many connections as anybody may want, and they say nothing.
        let silent: Vec<_> = (0..120).map(|_| TcpStream::connect(&hub.address).unwrap()).collect();
        let (_, health) = ask(&hub, "GET /healthz", "\r\n\r\n");
        assert!(health.starts_with("HTTP/1.1 200"), "{health}");
        drop(silent);

        world::eventually(|| hub.curl(&["-d", "still here"], "/events/t").contains("\"id\":"));
        for subscriber in &mut subscribers {
            assert!(read_until(subscriber, "data: still here\n").contains("data: still here\n"));
        }
        hub.process.signal("KILL");
        hub.process.wait();
        let log = hub.process.stderr();
        assert!(!log.contains("cannot accept") && !log.contains("open files"), "{log}");
    }
}

#[test]
fn numbers_that_do_not_fit_under_the_limit_end_the_start_with_what_to_set() {
    let folder = Folder::new();
    for (words, advice) in [
        ("--max-subscribers 200", "or lower max-subscribers"),
        ("--max-connections 200", "or lower max-connections"),
        (
            "--max-subscribers 100 --max-connections 100",
            "or lower max-subscribers or max-connections",
        ),
    ] {
        let mut command = limited(256, &format!("serve --listen 127.0.0.1:0 {words} --data"));
        let (_, stderr, code) = said(command.arg(folder.path().join("data")));
        assert_eq!(code, 4, "{stderr}");
        assert!(stderr.contains("the hub may have 256 files open, and needs "), "{stderr}");
        assert!(stderr.contains("raise the limit to ") && stderr.contains(advice), "{stderr}");
    }
    assert!(!folder.path().join("data").exists(), "nothing was made");
    let (_, stderr, code) = said(&mut limited(32, "serve --store memory --listen 127.0.0.1:0"));
    assert_eq!(code, 4, "{stderr}");
}

#[test]
fn check_and_the_log_say_what_the_open_files_are_for() {
    let (stdout, stderr, code) = said(&mut limited(256, "check"));
    assert_eq!(code, 0, "{stderr}");
    let line = stdout.lines().find(|line| line.starts_with("open files: 256: ")).unwrap();
    assert!(line.contains("for subscribers (max-subscribers)"), "{line}");
    let (stdout, _, code) = said(limited(256, "check").env("TIDINGS_MAX_SUBSCRIBERS", "1000"));
    assert_eq!(code, 0);
    assert!(stdout.contains("the hub would not start"), "{stdout}");

    let folder = Folder::new();
    let data = folder.path().join("data");
    let mut hub = Hub::start(limited(256, "serve --log info --data").arg(data));
    hub.process.signal("TERM");
    hub.process.wait();
    assert!(hub.process.stderr().contains("open files: 256: "));
}

#[test]
fn a_quarter_of_the_open_files_is_for_connections() {
    let (stdout, stderr, code) = said(&mut limited(8000, "check"));
    assert_eq!(code, 0, "{stderr}");
    let line = stdout.lines().find(|line| line.starts_with("open files: 8000: ")).unwrap();
    let number = |what: &str| -> usize {
        let before = line.split(what).next().unwrap();
        before.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let (subscribers, connections) = (number(" for subscribers"), number(" for connections"));
    assert_eq!(connections, (subscribers + connections) / 4, "{line}");
}
