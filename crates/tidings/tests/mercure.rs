//! Mercure with the real program: its settings, its tokens, and what a `kill -9` leaves.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use crate::world::{Folder, Hub, Process, eventually, said, tidings};
use serde_json::Value;

/// The secret of the Mercure documentation's compose file.
const SECRET: &str = "!ChangeThisMercureHubJWTSecretKey!";
const HUB: &str = "/.well-known/mercure";

/// A hub whose environment is that of the Mercure image.
fn drop_in(folder: &Folder) -> Hub {
    let mut command = tidings();
    command
        .args(["serve", "--log", "warn", "--data"])
        .arg(folder.path().join("data"))
        .env("MERCURE_PUBLISHER_JWT_KEY", SECRET)
        .env("MERCURE_SUBSCRIBER_JWT_KEY", SECRET)
        .env("MERCURE_EXTRA_DIRECTIVES", "anonymous\ncors_origins https://app.example");
    Hub::start(&mut command)
}

fn token(words: &[&str]) -> String {
    let (token, problem, code) = said(tidings().args(["token", "--secret", SECRET]).args(words));
    assert_eq!(code, 0, "{problem}");
    token.trim_end().to_owned()
}

fn subscriptions(hub: &Hub) -> Vec<Value> {
    let bearer = format!("Authorization: Bearer {}", token(&["--subscribe", "*"]));
    let list: Value =
        serde_json::from_str(&hub.curl(&["-H", &bearer], &format!("{HUB}/subscriptions"))).unwrap();
    list["subscriptions"].as_array().unwrap().clone()
}

#[test]
fn the_environment_of_the_mercure_image_makes_a_hub_that_its_clients_know() {
    let folder = Folder::new();
    let hub = drop_in(&folder);
    let page = "Origin: https://app.example";
    let mut listener = hub.listen(&["-i", "-H", page], &format!("{HUB}?topic=books"));
    listener.line_with("access-control-allow-origin: https://app.example");
    assert_eq!(listener.line_with(":"), ":");
    let bearer = format!("Authorization: Bearer {}", token(&["--publish", "*"]));
    let id = hub.curl(&["-H", &bearer, "-d", "topic=books", "-d", "data=hello"], HUB);
    assert_eq!(listener.line_with("id: "), format!("id: {id}"));
    assert_eq!(listener.line(), "data: hello");
    let refused = hub.curl(&["-d", "topic=books", "-w", "%{http_code}", "-o", "/dev/null"], HUB);
    assert_eq!(refused, "401");
    assert_eq!(hub.curl(&["-w", "%{http_code}", "-o", "/dev/null"], "/healthz"), "200");
}

#[test]
fn the_name_of_a_server_says_where_it_listens() {
    let folder = Folder::new();
    let mut command = tidings();
    command.args(["check"]).current_dir(folder.path());
    command.env("SERVER_NAME", ":8037").env("MERCURE_PUBLISHER_JWT_KEY", SECRET);
    let (meaning, problem, code) = said(&mut command);
    assert_eq!(code, 0, "{problem}");
    assert!(meaning.contains("listening on 0.0.0.0:8037"), "{meaning}");
    let (_, problem, code) = said(command.env("MERCURE_EXTRA_DIRECTIVES", "publish_forever"));
    assert!(code == 3 && problem.contains("publish_forever"), "{code} {problem}");
    command.env("MERCURE_EXTRA_DIRECTIVES", "demo").env("MERCURE_PUBLISHER_JWT_KEY", "short");
    let (_, problem, code) = said(&mut command);
    assert!(code == 3 && problem.contains("MERCURE_PUBLISHER_JWT_KEY"), "{code} {problem}");
}

#[test]
fn a_killed_hub_leaves_no_ghosts() {
    let folder = Folder::new();
    let mut hub = drop_in(&folder);
    let mut listeners: Vec<Process> =
        (0..3).map(|n| hub.listen(&[], &format!("{HUB}?topic={n}"))).collect();
    for listener in &mut listeners {
        listener.line_with(":");
    }
    assert_eq!(subscriptions(&hub).len(), 3);
    // One that dies is gone, and those of a hub that dies are gone with it.
    listeners[0].kill();
    eventually(|| subscriptions(&hub).len() == 2);
    hub.process.kill();
    let hub = drop_in(&folder);
    assert_eq!(subscriptions(&hub), Vec::<Value>::new());
}

#[test]
fn a_token_is_good_for_what_it_says_in_both_shapes() {
    let folder = Folder::new();
    let settings = format!(
        "jwt-secret = {SECRET:?}\nmercure-issuer = [\"https://login.example\"]\n\
         mercure-resource = \"https://hub.example{HUB}\"\n"
    );
    let file = folder.file("hub.toml", &settings);
    let hub = Hub::serve(&folder, &["--config", file.to_str().unwrap()]);
    let audience = format!("https://hub.example{HUB}");
    let one = [
        "--mercure-version",
        "1.0",
        "--issuer",
        "https://login.example",
        "--audience",
        &audience,
        "--publish",
        "books",
        "--subscribe",
        "urlpattern:/books/:id",
        "--payload",
        "{\"user\":1}",
    ];
    for token in [token(&["--publish", "books", "--subscribe", "*"]), token(&one)] {
        let bearer = format!("Authorization: Bearer {token}");
        let id = hub.curl(&["-H", &bearer, "-d", "topic=books", "-d", "data=x", "-f"], HUB);
        assert!(id.contains(':'), "{id}");
        let status = ["-H", &bearer, "-d", "topic=other", "-o", "/dev/null", "-w", "%{http_code}"];
        assert!(["401", "403"].contains(&hub.curl(&status, HUB).as_str()));
        let mut inspect = tidings();
        inspect.args(["token", "--inspect", &token, "--config"]).arg(&file);
        let (report, problem, code) = said(&mut inspect);
        assert_eq!(code, 0, "{report} {problem}");
        assert!(report.contains("publish over Mercure: books"), "{report}");
        let (report, _, code) =
            said(tidings().args(["token", "--inspect", &token, "--secret", &"x".repeat(40)]));
        assert_eq!(code, 5, "{report}");
        assert!(report.contains("publish over Mercure: no: the "), "{report}");
    }
}

#[test]
fn a_token_may_know_who_reads_some_topics_and_neither_others_nor_what_is_read() {
    let folder = Folder::new();
    let file = folder.file("hub.toml", &format!("jwt-secret = {SECRET:?}\n"));
    let hub = Hub::serve(&folder, &["--config", file.to_str().unwrap()]);
    let token = token(&["--presence", "rooms/**", "--subject", "door", "--expires", "10m"]);
    let bearer = format!("Authorization: Bearer {token}");
    let status =
        |path: &str| hub.curl(&["-H", &bearer, "-o", "/dev/null", "-w", "%{http_code}"], path);
    assert_eq!(status(&format!("{HUB}/subscriptions/rooms%2F7")), "200");
    for path in ["/subscriptions/other", "/subscriptions"] {
        assert_eq!(status(&format!("{HUB}{path}")), "401", "{path}");
    }
    for path in ["/events/rooms/7", "/stats", "/connections?topic=rooms/7"] {
        assert_eq!(status(path), "403", "{path}");
    }
    let mut inspect = tidings();
    inspect.args(["token", "--inspect", &token, "--config"]).arg(&file);
    let (report, problem, code) = said(&mut inspect);
    assert_eq!(code, 0, "{report} {problem}");
    assert!(report.contains("rooms/**"), "{report}");
}

#[test]
fn an_inspected_token_says_why_it_would_be_refused() {
    let expired = token(&["--publish", "a", "--expires", "1ms"]);
    let inspect = |token: &str, words: &[&str]| {
        said(tidings().args(["token", "--secret", SECRET, "--inspect", token]).args(words)).0
    };
    eventually(|| inspect(&expired, &[]).contains("no: the token has expired (exp)"));
    assert!(inspect("nonsense", &[]).contains("no JSON Web Token"));
    let audience = format!("https://hub.example{HUB}");
    let issued = |audience: &str| {
        let words = ["--mercure-version", "1.0", "--issuer", "https://a", "--audience", audience];
        token(&[&words[..], &["--subscribe", "*"]].concat())
    };
    assert!(inspect(&issued(&audience), &[]).contains("is not one that the hub knows (iss)"));
    let issuer = ["--issuer", "https://a"];
    assert!(inspect(&issued("https://x"), &issuer).contains("another audience (aud)"));
    let good = inspect(&issued(&audience), &issuer);
    assert!(good.contains("receive private events over Mercure: *, until "), "{good}");
    let mut piped = tidings();
    piped.args(["token", "--secret", SECRET, "--inspect", "-"]).stdin(Stdio::piped());
    let mut process = Process::spawn(&mut piped);
    process.write(&expired);
    process.close_stdin();
    assert!(String::from_utf8(process.output().stdout).unwrap().contains("expired"));
}

/// Runs the suite against `url`; the report, and the exit code.
fn conformance(url: &str, words: &[&str]) -> (Value, i32) {
    let mut command = tidings();
    command.args(["conformance", "--json", "--secret", SECRET, "--url", url]).args(words);
    let (report, problem, code) = said(&mut command);
    (serde_json::from_str(&report).unwrap_or_else(|_| panic!("{report} {problem}")), code)
}

/// Checks that did not pass, with what was seen.
fn others(report: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter();
    let others = checks.filter(|check| check["result"] != "pass");
    others
        .map(|check| format!("{} {}: {}", check["dialect"], check["name"], check["reason"]))
        .collect()
}

#[test]
fn the_hub_conforms_in_both_dialects() {
    let folder = Folder::new();
    for engine in ["auto", "portable"] {
        let mut command = tidings();
        command
            .args(["serve", "--log", "warn", "--engine", engine, "--data"])
            .arg(folder.path().join("data"))
            .args(["--mercure-issuer", "https://login.example"])
            .env("MERCURE_PUBLISHER_JWT_KEY", SECRET)
            .env("MERCURE_SUBSCRIBER_JWT_KEY", SECRET);
        let hub = Hub::start(&mut command);
        let (report, code) = conformance(&hub.url(""), &["--issuer", "https://login.example"]);
        assert_eq!(others(&report), Vec::<String>::new());
        assert_eq!((code, &report["failed"]), (0, &0.into()));
        assert!(report["passed"].as_u64().unwrap() > 100, "{}", report["passed"]);
    }
}

#[test]
fn why_checks_were_skipped_is_one_line_at_the_end() {
    let folder = Folder::new();
    let hub = drop_in(&folder);
    let words = ["conformance", "--mercure-version", "1.0", "--secret", SECRET];
    let (report, stderr, code) = said(&mut hub.command(&words));
    assert_eq!((stderr.as_str(), code), ("", 0), "{report}");
    let (_, end) = report.rsplit_once("\n\n").unwrap();
    let lines: Vec<_> = end.lines().collect();
    assert!(lines[0].ends_with(" skipped") && !lines[0].ends_with(" 0 skipped"), "{end}");
    assert!(
        lines[1]
            .ends_with(" skipped: checks of 1.0 need --issuer: one whose tokens the hub accepts")
    );
    let counts = lines[1..].iter().map(|line| line.split(' ').next().unwrap());
    let sum: u32 = counts.map(|count| count.parse::<u32>().unwrap()).sum();
    assert!(lines[0].contains(&format!(", {sum} skipped")), "{end}");
}

#[test]
fn a_hub_that_is_none_does_not_conform() {
    // It says yes to everything, and sends every subscriber a secret.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 64 << 10]);
                let body = "data: secret\n\n";
                let length = body.len();
                let head = "content-type: text/event-stream\r\nconnection: close";
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}"
                );
            });
        }
    });
    let (report, code) = conformance(&url, &["--issuer", "https://login.example"]);
    assert_eq!(code, 1);
    let others = others(&report);
    for name in [
        "withholds_private_events",
        "refuses_an_expired_token",
        "resumes_by_header",
        "lists_subscriptions",
        "needs_a_topic",
        "matches_a_topic",
    ] {
        assert!(others.iter().any(|other| other.contains(&format!("\"{name}\""))), "{name}");
    }
    assert!(report["failed"].as_u64().unwrap() > 80, "{}", report["failed"]);
    let nobody = "http://127.0.0.1:1";
    let mut command = tidings();
    command.args(["conformance", "--secret", SECRET, "--url", nobody]);
    let (_, problem, code) = said(&mut command);
    assert!(code == 6 && problem.contains("cannot be reached"), "{code} {problem}");
}
