//! `tidings doctor`, against our own hub, against a real nginx before it, and against servers that
//! do something wrong.

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tidings_testkit::ports;

use super::nginx::Nginx;
use super::origin::{Origin, STREAM, hold};
use crate::world::{Folder, Hub, said, tidings};

#[test]
fn a_hub_without_a_proxy_has_nothing_but_the_limit_of_http_1() {
    let folder = Folder::new();
    let hub =
        Hub::serve(&folder, &["--heartbeat", "500ms", "--cors-origin", "https://app.example"]);
    hub.publish("a", "before");
    let publish = hub.url("/events/a");
    let words = ["--publish", &publish, "--origin", "https://app.example"];
    for words in [&words[..], &words[2..]] {
        let (found, code) = diagnose(&hub.url("/events/a"), words);
        assert_eq!((codes(&found), code), (vec!["http1-limit"], 0), "{found:#}");
        let passed = found["passed"].to_string();
        for part in [
            "first bytes after",
            "not compressed",
            "not cut",
            "heartbeats; the longest silence",
            "pages of https://app.example are allowed",
            "lost events are announced",
            if words.len() > 2 {
                "5 published events came promptly"
            } else {
                "no trace of buffering"
            },
            if words.len() > 2 { "gets what it missed" } else { "according to the server" },
        ] {
            assert!(passed.contains(part), "{part}: {found:#}");
        }
        assert_eq!(found["unjudged"], Value::Array(Vec::new()));
    }
    let words = ["--origin", "https://other.example"];
    let (found, code) = diagnose(&hub.url("/events/a"), &words);
    assert_eq!((codes(&found), code), (vec!["cors", "http1-limit"], 8), "{found:#}");
    // What is to be changed is for this origin, and for no example.
    let fixes = found["findings"][0]["fixes"].as_array().unwrap();
    let lines: Vec<_> = fixes.iter().map(|fix| fix["line"].as_str().unwrap()).collect();
    assert!(lines.len() > 2 && lines.iter().all(|line| line.contains("https://other.example")));
    assert!(!found.to_string().contains("app.example"), "{found:#}");
}

#[test]
fn an_origin_is_what_browsers_send_and_anything_else_is_corrected() {
    for (origin, hint) in [
        ("https://app.example/page?x", "hint: give https://app.example\n"),
        ("https://me:hush@app.example", "hint: give https://app.example\n"),
        ("app.example", "hint: it is scheme, host and port"),
        ("data:x", "hint: it is scheme, host and port"),
        ("https://a.example\r\nX: y", "hint: it is scheme, host and port"),
    ] {
        let (_, stderr, code) =
            said(tidings().args(["doctor", "http://127.0.0.1:1/", "--origin", origin]));
        assert!(stderr.contains(hint) && !stderr.contains("hush") && code == 2, "{stderr}");
    }
    let folder = Folder::new();
    let hub =
        Hub::serve(&folder, &["--heartbeat", "500ms", "--cors-origin", "https://app.example"]);
    let words = ["--origin", "HTTPS://App.example:443/"];
    let (found, code) = diagnose(&hub.url("/events/a"), &words);
    assert_eq!((codes(&found), code), (vec!["http1-limit"], 0), "{found:#}");
}

/// It would listen for an hour otherwise.
#[test]
fn what_is_no_event_stream_is_not_listened_to() {
    let html = Origin::start(|_, socket| {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<p>");
        hold(socket);
    });
    let missing = Origin::saying("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let gzip = Origin::start(|_, socket| {
        let _ = socket.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\r\n",
        );
        hold(socket);
    });
    let nobody = ports::address();
    for url in [html.url(), missing.url(), gzip.url(), format!("http://{nobody}/")] {
        let publish = format!("http://{nobody}/");
        for more in [&[][..], &["--publish", &publish]] {
            let mut doctor = tidings();
            let (stdout, _, code) = said(doctor.args(["doctor", &url, "--for", "1h"]).args(more));
            assert!(code >= 6, "{url}: {stdout}");
            assert!(stdout.ends_with("\n1 error\n"), "{url}: {stdout}");
        }
    }
}

#[test]
fn the_last_line_counts_the_findings() {
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=latin1\r\n\
         connection: close\r\n\r\ndata: x\n\n",
    );
    let (stdout, _, code) = said(tidings().args(["doctor", &origin.url(), "--for", "2s"]));
    assert!(stdout.ends_with("\n4 warnings, 1 piece of advice\n"), "{stdout}");
    assert_eq!(code, 7);
    let (found, _) = diagnose(&origin.url(), &[]);
    assert_eq!((found["errors"].as_u64(), found["warnings"].as_u64()), (Some(0), Some(4)));
}

#[test]
fn a_proxy_that_buffers_is_found_and_one_that_does_not_is_not() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &["--heartbeat", "500ms"]);
    let Some(nginx) = Nginx::start(&folder, &hub) else { return };
    let publish = hub.url("/events/a");
    let with_events = ["--publish", publish.as_str()];

    let (found, code) = diagnose(&nginx.url("unbuffered"), &with_events);
    assert_eq!((codes(&found), code), (vec!["http1-limit"], 0), "{found:#}");
    assert!(found["by"].as_str().unwrap().starts_with("nginx"));

    // nginx as it comes, if the server does not object: not even the head gets through.
    let (found, code) = diagnose(&nginx.url("buffered"), &with_events);
    assert_eq!((codes(&found), code), (vec!["buffered"], 8), "{found:#}");
    let nginx_line = &found["findings"][0]["fixes"][0];
    assert!(nginx_line["line"].as_str().unwrap().starts_with("proxy_buffering off;"));
    let (found, code) = diagnose(&nginx.url("buffered"), &[]);
    assert_eq!((codes(&found), code), (vec!["no-answer"], 8), "{found:#}");
    // The server's own word is enough where it is heeded.
    let (found, code) = diagnose(&nginx.url("heeded"), &with_events);
    assert_eq!((codes(&found), code), (vec!["http1-limit"], 0), "{found:#}");
}

#[test]
fn over_http_2_nothing_is_left_to_say() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &["--heartbeat", "500ms"]);
    let Some(nginx) = Nginx::start(&folder, &hub) else { return };
    let url = nginx.tls_url("unbuffered");
    let doctor = |trusted: &[&str]| {
        let mut doctor = tidings();
        doctor.args(["doctor", &url, "--json", "--for", "2s", "--publish", &hub.url("/events/a")]);
        for certificate in trusted {
            doctor.env("SSL_CERT_FILE", folder.path().join(certificate));
        }
        let (stdout, _, code) = said(&mut doctor);
        (serde_json::from_str::<Value>(&stdout).unwrap(), code)
    };
    let (found, code) = doctor(&["certificate.pem"]);
    assert_eq!((codes(&found), code), (vec![], 0), "{found:#}");
    assert_eq!(found["version"], "HTTP/2.0");
    let (found, code) = doctor(&[]);
    assert_eq!((codes(&found), code), (vec!["certificate-untrusted"], 6), "{found:#}");
    assert!(found["findings"][0]["evidence"].as_str().unwrap().contains("signed by itself"));
}

#[test]
fn compression_is_told_by_whether_it_holds_events_back() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &["--heartbeat", "500ms"]);
    let Some(nginx) = Nginx::start(&folder, &hub) else { return };
    let publish = hub.url("/events/a");
    let with_events = ["--publish", publish.as_str()];
    let (found, code) = diagnose(&nginx.url("gzip-flushed"), &with_events);
    assert_eq!((codes(&found), code), (vec!["compressed", "http1-limit"], 0), "{found:#}");
    let (found, code) = diagnose(&nginx.url("gzip-held"), &with_events);
    assert_eq!(
        (codes(&found), code),
        (vec!["compression-holds-back", "http1-limit"], 8),
        "{found:#}"
    );
}

#[test]
fn a_stream_that_the_hub_compresses_is_fine_also_behind_a_proxy_that_would_compress_it() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &["--heartbeat", "500ms", "--compression", "public"]);
    let publish = hub.url("/events/a");
    let with_events = ["--publish", publish.as_str()];
    let (found, code) = diagnose(&hub.url("/events/a"), &with_events);
    assert_eq!((codes(&found), code), (vec!["http1-limit"], 0), "{found:#}");
    let Some(nginx) = Nginx::start(&folder, &hub) else { return };
    // It leaves alone what is compressed already.
    for place in ["gzip-flushed", "gzip-held"] {
        let (found, code) = diagnose(&nginx.url(place), &with_events);
        assert_eq!((codes(&found), code), (vec!["http1-limit"], 0), "{place}: {found:#}");
    }
}

#[test]
fn a_timeout_that_is_shorter_than_the_heartbeat_is_found() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let Some(nginx) = Nginx::start(&folder, &hub) else { return };
    let (found, code) = diagnose(&nginx.url("impatient"), &[]);
    assert_eq!((codes(&found), code), (vec!["idle-cut", "http1-limit"], 8), "{found:#}");
    let finding = &found["findings"][0];
    assert!(finding["evidence"].as_str().unwrap().contains("each cut after "), "{finding}");
    assert!(finding["fixes"][0]["line"].as_str().unwrap().starts_with("proxy_read_timeout"));
}

#[test]
fn a_buffer_betrays_itself_without_any_help() {
    // Blocks that end where a buffer was full, and not where they end.
    let origin = Origin::start(|_, socket| {
        let mut stream = String::new();
        for number in 0..200 {
            stream.push_str(&format!("id: {number}\ndata: {}\n\n", "x".repeat(50)));
        }
        let _ = socket.write_all(STREAM.as_bytes());
        for buffer in stream.as_bytes().chunks(4096) {
            let _ = socket.write_all(buffer);
            thread::sleep(Duration::from_millis(700));
        }
        hold(socket);
    });
    let (found, code) = diagnose(&origin.url(), &[]);
    assert!(codes(&found).contains(&"buffered"), "{found:#}");
    assert_eq!(code, 8);
    // Heartbeats that come together.
    let origin = Origin::start(|_, socket| {
        let _ = socket.write_all(STREAM.as_bytes());
        while socket.write_all(b": ping\n\n: ping\n\n: ping\n\n").is_ok() {
            thread::sleep(Duration::from_millis(700));
        }
    });
    let (found, _) = diagnose(&origin.url(), &[]);
    assert!(codes(&found).contains(&"buffered"), "{found:#}");
}

#[test]
fn what_a_server_does_wrong_is_named() {
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi";
    let nothing = "HTTP/1.1 204 No Content\r\n\r\n";
    let missing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    for (answer, expected, code) in
        [(html, "content-type", 8), (nothing, "no-content", 0), (missing, "status", 8)]
    {
        let origin = Origin::saying(answer);
        let (found, exit) = diagnose(&origin.url(), &[]);
        assert_eq!((codes(&found), exit), (vec![expected], code), "{found:#}");
    }
    // No ids, no cache control, and an end after each event: polling in disguise.
    let origin = Origin::saying(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=latin1\r\n\
         connection: close\r\n\r\ndata: x\n\n",
    );
    let (found, code) = diagnose(&origin.url(), &[]);
    let mut found_codes = codes(&found);
    found_codes.sort();
    assert_eq!(found_codes, ["cacheable", "charset", "ends", "http1-limit", "no-ids"], "{found:#}");
    assert_eq!(code, 7);
    // Ids, and nobody who heeds them.
    let origin = Origin::start(|request, socket| {
        let begin = if request.header("last-event-id").is_some() { 50 } else { 1 };
        let _ = write!(socket, "{STREAM}: hello\n\n");
        for number in begin.. {
            if write!(socket, "id: {number}\ndata: x\n\n").is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
    });
    let (found, code) = diagnose(&origin.url(), &[]);
    assert_eq!(codes(&found), ["no-resume", "http1-limit"], "{found:#}");
    assert_eq!(code, 7);
    let nobody = ports::address();
    let (found, code) = diagnose(&format!("http://{nobody}/"), &[]);
    assert_eq!((codes(&found), code), (vec!["unreachable"], 6));
}

#[test]
fn people_are_told_in_words_and_secrets_stay_where_they_are() {
    let origin = Origin::saying(
        "HTTP/1.1 401 Unauthorized\r\nserver: \u{9b}31mred\r\ncontent-length: 0\r\n\r\n",
    );
    let mut doctor = tidings();
    doctor.args(["doctor", &origin.url(), "--for", "500ms", "-H", "Authorization: Bearer secret"]);
    let (stdout, stderr, code) = said(&mut doctor);
    assert_eq!((stderr.as_str(), code), ("", 8));
    assert!(stdout.contains("error: The request was rejected"), "{stdout}");
    assert!(!stdout.contains("secret") && !stdout.contains('\u{9b}'), "{stdout}");
    assert_eq!(origin.requests()[0].header("authorization"), Some("Bearer secret"));
    assert_eq!(said(tidings().args(["doctor", "ftp://nonsense"])).2, 2);
    let no_place = ["doctor", "http://h/", "--publish", "http://h/", "--publish-data", "x"];
    assert_eq!(said(tidings().args(no_place)).2, 2);
}

/// What the doctor finds in a few seconds, and its exit code.
fn diagnose(url: &str, words: &[&str]) -> (Value, i32) {
    let mut doctor = tidings();
    doctor.args(["doctor", url, "--json", "--for", "3500ms"]).args(words);
    let (stdout, stderr, code) = said(&mut doctor);
    let found = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
    (found, code)
}

fn codes(found: &Value) -> Vec<&str> {
    let findings = found["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}
