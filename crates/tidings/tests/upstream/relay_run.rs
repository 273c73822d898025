//! `tidings relay --end`: a response that happens once, as a run.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::mpsc;

use super::origin::{Origin, STREAM, hold};
use crate::world::{Folder, Hub, Process, eventually, said};

const ANSWER: &str = "event: delta\nid: 7\ndata: Hel\n\nretry: 5\ndata: lo\n\nevent: tidings.x\n\
                      data: odd\n\ndata: [DONE]\n\n";

#[test]
fn a_relayed_response_begins_its_topic_and_ends_it_with_the_last_event() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let origin = Origin::start(|request, socket| {
        assert_eq!((&request.method[..], &request.body[..]), ("POST", "{\"stream\":true}"));
        let _ = write!(socket, "{STREAM}{ANSWER}");
    });
    let words = ["--end", "--data", "{\"stream\":true}"];
    let (_, stderr, code) = said(&mut command(&hub, &origin, &words));
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("relayed 4 events"), "{stderr}");
    // Clean: nothing of the hub's, and the end.
    let stream = hub.curl(&["-N"], "/events/runs/7?from=start&plain");
    let blocks = without_ids(&stream);
    let expected = "event: delta\ndata: Hel\n\ndata: lo\n\nevent: upstream.x\ndata: odd\n\n\
                    data: [DONE]\n\n";
    assert!(blocks.ends_with(expected), "{stream}");
    assert!(!stream.contains("id: 7\n") && !stream.contains("retry: 5\n"), "{stream}");
    assert_eq!(status(&hub, "/events/runs/7?if=open"), "204");
}

#[test]
fn an_upstream_is_not_asked_for_a_topic_that_exists() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    hub.curl(&["-d", "before"], "/events/runs/7");
    let origin = Origin::saying("HTTP/1.1 500 It was asked\r\n\r\n");
    let (_, stderr, code) = said(&mut command(&hub, &origin, &["--end"]));
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("412") && stderr.contains("a topic of its own"), "{stderr}");
    assert!(origin.requests().is_empty());
}

#[test]
fn a_question_that_the_upstream_rejects_leaves_no_topic_and_no_will() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let origin = Origin::saying(
        "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    let words = ["--end", "--will", "lost", "--lost", "100ms"];
    let (_, stderr, code) = said(&mut command(&hub, &origin, &words));
    assert_eq!(code, 5, "{stderr}");
    let published = hub.curl(&["-H", "If-None-Match: *", "-d", "first"], "/events/runs/7");
    assert!(published.contains("\"id\""), "{published}");
}

#[test]
fn a_response_that_breaks_off_leaves_its_topic_open_or_carries_out_the_will() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    // More is announced than comes.
    let broken = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 100\r\n\
                  connection: close\r\n\r\ndata: Hel\n\n";
    let (_, stderr, code) = said(&mut command(&hub, &Origin::saying(broken), &["--end"]));
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("broke off"), "{stderr}");
    let page = hub.curl(&["-H", "Accept: application/json"], "/events/runs/7");
    assert!(page.contains("\"data\":\"Hel\""), "{page}");
    assert_ne!(status(&hub, "/events/runs/7?if=open&from=now"), "204", "it is open");

    let words = ["--end", "--will", "it was lost", "--will-event", "error", "--lost", "100ms"];
    let mut with_will = hub.command(&["relay", &Origin::saying(broken).url(), "runs/8"]);
    let (_, stderr, code) = said(with_will.args(words));
    assert_eq!(code, 1, "{stderr}");
    eventually(|| status(&hub, "/events/runs/8?if=open&from=now") == "204");
    let stream = hub.curl(&["-N"], "/events/runs/8?from=start&plain");
    assert!(stream.contains("data: Hel\n\n"), "{stream}");
    assert!(without_ids(&stream).ends_with("event: error\ndata: it was lost\n\n"), "{stream}");
}

#[test]
fn who_ends_the_topic_stops_the_relay_and_closes_the_connection_to_the_upstream() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let (sender, gone) = mpsc::channel();
    let origin = Origin::start(move |_, socket| {
        let _ = write!(socket, "{STREAM}data: Hel\n\n");
        hold(socket);
        let _ = sender.send(());
    });
    let mut relay = Process::spawn(command(&hub, &origin, &["--end"]).stdin(Stdio::null()));
    let page = ["-H", "Accept: application/json"];
    eventually(|| hub.curl(&page, "/events/runs/7").contains("Hel"));
    hub.curl(&["-X", "DELETE", "-d", "[DONE]"], "/events/runs/7");
    assert_eq!(relay.wait().code(), Some(5));
    gone.recv_timeout(crate::world::PATIENCE).expect("the upstream sees the connection end");
    let stderr = relay.stderr();
    assert!(stderr.contains("somebody has ended the topic"), "{stderr}");
    let stream = hub.curl(&["-N"], "/events/runs/7?from=start&plain");
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
}

fn command(hub: &Hub, origin: &Origin, words: &[&str]) -> std::process::Command {
    let mut command = hub.command(&["relay", &origin.url(), "runs/7"]);
    command.args(words);
    command
}

fn without_ids(stream: &str) -> String {
    let lines = stream.lines().filter(|line| !line.starts_with("id:"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The status of a request, whose body, which may be endless, is not read for long.
fn status(hub: &Hub, path: &str) -> String {
    let mut curl = std::process::Command::new("curl");
    curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "1"]).arg(hub.url(path));
    said(&mut curl).0
}
