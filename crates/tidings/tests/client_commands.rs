//! The commands that speak to a hub, as people type them: `publish`, `topics`, `stats`, `end`,
//! `bench`, and what they say when there is no hub.

use crate::world;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use tidings_testkit::ports;

use crate::world::{Folder, Hub, Process, run, said, text, tidings};
use serde_json::Value;

/// The events of a topic, as the hub keeps them.
fn events(hub: &Hub, topic: &str) -> Vec<Value> {
    let (mut events, mut start) = (Vec::new(), "since=1h".to_owned());
    loop {
        let accept = ["-H", "Accept: application/json"];
        let page = hub.curl(&accept, &format!("/events/{topic}?{start}"));
        let page: Value = serde_json::from_str(&page).unwrap_or_default();
        match page["events"].as_array() {
            Some(more) if !more.is_empty() => events.extend(more.clone()),
            _ => return events,
        }
        start = format!("after={}", page["next"].as_str().unwrap());
    }
}

fn data(hub: &Hub, topic: &str) -> Vec<String> {
    events(hub, topic).iter().map(|event| event["data"].as_str().unwrap().to_owned()).collect()
}

/// A command that is fed these bytes: standard output, standard error, exit code.
fn fed(command: &mut Command, input: &[u8]) -> (Vec<u8>, String, i32) {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
    let output = Process::new(child).output();
    // Who stops reading early has said why.
    let _ = feeding.join().unwrap();
    (output.stdout, text(output.stderr), output.status.code().unwrap_or(-1))
}

/// An address at which nobody listens.
fn nobody() -> String {
    ports::address().to_string()
}

#[test]
fn lines_that_are_no_text_are_published_as_far_as_they_can_be_and_that_is_said_once() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let input = b"one\n\xfftwo\nthr\0ee\n\xff\n";
    let (stdout, stderr, code) = fed(&mut hub.command(&["publish", "ci/1"]), input);
    assert_eq!((stdout.len(), code), (0, 0), "{stderr}");
    assert_eq!(data(&hub, "ci/1"), ["one", "\u{fffd}two", "thr\u{fffd}ee", "\u{fffd}"]);
    assert_eq!(stderr.matches("U+FFFD").count(), 1, "{stderr}");
    assert!(stderr.contains("line 2 is not UTF-8"), "{stderr}");

    let (_, stderr, code) = fed(&mut hub.command(&["publish", "ci/2", "--strict"]), input);
    assert_eq!(code, 1);
    assert!(stderr.contains("error: line 2 is not UTF-8\nhint: "), "{stderr}");
    assert_eq!(data(&hub, "ci/2"), ["one"], "what came before is stored");
}

#[test]
fn a_line_longer_than_an_event_is_published_in_parts() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let line = "é".repeat(1 << 20);
    let (_, stderr, code) = fed(&mut hub.command(&["publish", "long"]), line.as_bytes());
    assert_eq!(code, 0, "{stderr}");
    let parts = data(&hub, "long");
    assert!(parts.len() > 1 && parts.concat() == line, "{} parts", parts.len());
    assert!(stderr.contains("line 1 is too long for one event"), "{stderr}");
    let quiet = ["publish", "long", "--strict"];
    assert_eq!(fed(&mut hub.command(&quiet), line.as_bytes()).2, 5, "the hub says what it takes");
}

/// As in `make 2>&1 | tidings publish ci/1 --tee`, and the hub is not there.
#[test]
fn with_tee_the_program_before_the_pipe_is_not_killed_whatever_becomes_of_the_publishing() {
    let folder = Folder::new();
    let done = folder.path().join("done");
    // Much more than a pipe holds.
    let script = format!(
        "{{ printf 'begin\\n'; head -c 3000000 /dev/zero | tr '\\0' 'x'; printf '\\nend\\n'; \
         echo $? > {}; }} | {} publish ci/1 --tee --url http://{}",
        done.display(),
        env!("CARGO_BIN_EXE_tidings"),
        nobody()
    );
    let output = run(Command::new("sh").arg("-c").arg(script));
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    assert!(stdout.starts_with("begin\nxxx") && stdout.ends_with("x\nend\n"));
    assert_eq!(stdout.len(), "begin\n\nend\n".len() + 3_000_000);
    assert_eq!(std::fs::read_to_string(done).unwrap(), "0\n", "it came to its end");
    assert!(stderr.contains("the input is printed to its end"), "{stderr}");
}

#[test]
fn tee_prints_every_byte_that_is_read_and_a_reader_that_goes_stops_nothing() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let input = b"a\r\n\xff\nlast";
    let (stdout, _, code) = fed(&mut hub.command(&["publish", "t", "--tee"]), input);
    assert_eq!((stdout.as_slice(), code), (&input[..], 0));
    let script =
        format!("seq 1 5000 | {} publish n --tee -q | head -1", env!("CARGO_BIN_EXE_tidings"));
    let mut shell = Command::new("sh");
    world::clean(&mut shell);
    let output = run(shell.arg("-c").arg(script).env("TIDINGS_URL", hub.url("")));
    assert_eq!((text(output.stdout).as_str(), text(output.stderr).as_str()), ("1\n", ""));
    world::eventually(|| hub.curl(&[], "/stats").contains("\"published\":5003"));
    for words in [["publish", "t", "x", "--tee"], ["publish", "t", "x", "--strict"]] {
        assert_eq!(said(&mut hub.command(&words)).2, 2, "{words:?}: it is for lines");
    }
}

#[test]
fn how_many_events_were_published_is_said_unless_it_shall_not_be() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let (_, stderr, _) = fed(&mut hub.command(&["publish", "t"]), b"1\n2\n3\n");
    assert!(stderr.starts_with("3 events published in "), "{stderr}");
    let (_, stderr, _) = fed(&mut hub.command(&["publish", "t"]), b"1");
    assert!(stderr.starts_with("1 event published in "), "{stderr}");
    let (_, stderr, code) = fed(&mut hub.command(&["publish", "t", "--quiet"]), b"1\n2\n");
    assert_eq!((stderr.as_str(), code), ("", 0));
}

#[test]
fn events_are_added_to_the_value_of_a_key() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let (_, stderr, code) = said(&mut hub.command(&["publish", "t", "one", "--append", "K"]));
    assert_eq!(code, 0, "{stderr}");
    fed(&mut hub.command(&["publish", "t", "--append", "K"]), b" two\n three\n");
    let lines = concat!(
        r#"{"data":" four"}"#,
        "\n",
        r#"{"data":{"d":"x"},"append":"J","at":"/d"}"#,
        "\n",
        r#"{"data":{"d":"y"},"append":"J","at":"/d"}"#,
        "\n"
    );
    fed(&mut hub.command(&["publish", "t", "--append", "K", "--json"]), lines.as_bytes());
    let json = ["publish", "t", r#"{"d":"z"}"#, "--append", "J", "--at", "/d"];
    assert_eq!(said(&mut hub.command(&json)).2, 0);
    let page = hub.curl(&["-H", "Accept: application/json"], "/events/t?from=state");
    let page: Value = serde_json::from_str(&page).unwrap();
    let state: Vec<_> = page["events"].as_array().unwrap().iter().map(|e| &e["data"]).collect();
    assert_eq!(state, ["one two three four", r#"{"d":"xyz"}"#]);
    assert_eq!(data(&hub, "t").len(), 7, "history has the pieces");
    let (_, stderr, code) = said(&mut hub.command(&["publish", "t", "x", "--at", "/d"]));
    assert_eq!(code, 2, "{stderr}");
}

#[test]
fn an_event_is_the_value_of_a_key() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let (_, stderr, code) = said(&mut hub.command(&["publish", "t", "one", "--key", "A B"]));
    assert_eq!(code, 0, "{stderr}");
    fed(&mut hub.command(&["publish", "t", "--key", "K"]), b"two\nthree\n");
    let lines = concat!(
        r#"{"data":"four"}"#,
        "\n",
        r#"{"data":"five","key":"J"}"#,
        "\n",
        r#"{"data":" six","append":"J"}"#,
        "\n"
    );
    fed(&mut hub.command(&["publish", "t", "--key", "K", "--json"]), lines.as_bytes());
    let page = hub.curl(&["-H", "Accept: application/json"], "/events/t?from=state");
    let page: Value = serde_json::from_str(&page).unwrap();
    let events = page["events"].as_array().unwrap();
    let state: Vec<_> = events.iter().map(|event| [&event["key"], &event["data"]]).collect();
    assert_eq!(state, [["A B", "one"], ["K", "four"], ["J", "five six"]]);
    // A line says one of both, and a line that is wrong publishes nothing.
    let both = b"{\"data\":\"x\",\"key\":\"K\",\"append\":\"K\"}\n";
    let (_, stderr, code) = fed(&mut hub.command(&["publish", "t", "--json"]), both);
    assert_ne!(code, 0);
    assert!(stderr.contains("`key` and `append`"), "{stderr}");
    assert_eq!(data(&hub, "t").len(), 6, "history has them all");
    let both = ["publish", "t", "x", "--key", "K", "--append", "K"];
    assert_eq!(said(&mut hub.command(&both)).2, 2);
}

#[test]
fn a_key_is_removed_from_the_state_and_one_without_a_value_is_refused() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    for key in ["A&B=C ", "K"] {
        hub.command(&["publish", "a/b", "one", "--key", key]).output().unwrap();
    }
    let remove = |words: &[&str]| said(hub.command(&["remove"]).args(words));
    let keys = || {
        let page = hub.curl(&["-H", "Accept: application/json"], "/events/a/b?from=state");
        let page: Value = serde_json::from_str(&page).unwrap();
        let events = page["events"].as_array().unwrap().clone();
        events.iter().map(|event| event["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for words in [&["a/b"][..], &["a/b", "--key", ""], &["--key", "K"]] {
        let (stdout, stderr, code) = remove(words);
        assert_eq!((stdout.as_str(), code), ("", 2), "{words:?}: {stderr}");
    }
    for words in [["a/b", "--key", "k"], ["never", "--key", "K"], ["*", "--key", "K"]] {
        let (stdout, stderr, code) = remove(&words);
        assert_eq!((stdout.as_str(), code), ("", 5), "{words:?}: {stderr}");
    }
    assert_eq!(keys(), ["A&B=C ", "K"]);
    let (id, stderr, code) = remove(&["a/b", "--key", "A&B=C "]);
    assert!(id.ends_with(":3\n") && stderr.is_empty() && code == 0, "{id} {stderr}");
    assert_eq!(keys(), ["K"]);
    let (_, stderr, code) = remove(&["a/b", "--key", "A&B=C "]);
    assert!(stderr.contains("404") && code == 5, "{stderr}");
    let (json, _, code) = remove(&["a/b", "--key", "K", "--json"]);
    assert!(json.ends_with(":4\"}\n") && code == 0, "{json}");
    assert!(keys().is_empty());

    let versions = ["one", "two"].map(|data| hub.publish("a/b?key=K", data));
    let remove_if = |version: &str| remove(&["a/b", "--key", "K", "--if-version", version]);
    for version in ["", "two\nlines"] {
        assert_eq!(remove_if(version).2, 2, "{version:?}");
    }
    let (stdout, stderr, code) = remove_if(&versions[0]);
    assert!(stderr.contains("412") && stdout.is_empty() && code == 5, "{stderr}");
    assert_eq!(keys(), ["K"]);
    let (id, stderr, code) = remove_if(&versions[1]);
    assert!(id.ends_with(":7\n") && code == 0, "{id} {stderr}");
    assert!(keys().is_empty());
}

#[test]
fn history_has_events_as_long_as_ttl_says() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let (_, stderr, code) = said(&mut hub.command(&["publish", "t", "one", "--ttl", "1s"]));
    assert_eq!(code, 0, "{stderr}");
    fed(&mut hub.command(&["publish", "t", "--ttl", "1s"]), b"two\n");
    let lines = b"{\"data\":\"three\"}\n{\"data\":\"four\",\"ttl\":\"5m\"}\n";
    fed(&mut hub.command(&["publish", "t", "--ttl", "1s", "--json"]), lines);
    fed(&mut hub.command(&["publish", "t"]), b"five\n");
    assert!(hub.curl(&[], "/stats").contains("\"published\":5"));
    world::eventually(|| data(&hub, "t") == ["four", "five"]);
    let (_, stderr, code) = said(&mut hub.command(&["publish", "t", "x", "--ttl", "soon"]));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("--ttl: \"soon\" is not a duration"), "{stderr}");
}

#[test]
fn a_file_is_one_event_byte_for_byte() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let page = "<p>\n  two lines\n</p>\n";
    let file = folder.file("page.html", page);
    let mut publish = hub.command(&["publish", "pages/7", "--event", "page", "--file"]);
    let (id, stderr, code) = said(publish.arg(&file));
    assert_eq!((stderr.as_str(), code), ("", 0));
    let stored = &events(&hub, "pages/7")[0];
    assert_eq!((stored["data"].as_str(), stored["event"].as_str()), (Some(page), Some("page")));
    assert_eq!(stored["id"].as_str(), Some(id.trim()));
    let (_, _, code) = fed(&mut hub.command(&["publish", "pages/7", "--file", "-"]), b"a\nb");
    assert_eq!((data(&hub, "pages/7")[1].as_str(), code), ("a\nb", 0));

    std::fs::write(&file, b"\xff").unwrap();
    for (path, problem) in [
        (file.as_path(), "is not UTF-8"),
        (folder.path(), "cannot be read"),
        (&folder.path().join("missing"), "cannot be read\n  because: No such file"),
    ] {
        let (_, stderr, code) = said(hub.command(&["publish", "t", "--file"]).arg(path));
        assert!(stderr.contains(problem) && code == 2, "{stderr}");
    }
    assert_eq!(said(hub.command(&["publish", "t", "x", "--file"]).arg(&file)).2, 2, "one of them");
}

#[test]
fn a_topic_ends_after_the_last_event_or_by_itself_and_subscribers_learn_that() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    hub.publish("ci/1", "0");
    let mut subscriber = Process::spawn(&mut hub.command(&["subscribe", "ci/1", "--last", "1"]));
    assert!(subscriber.line().ends_with("0"));
    let (_, stderr, code) = fed(&mut hub.command(&["publish", "ci/1", "--end"]), b"1\n2\n");
    assert_eq!(code, 0, "{stderr}");
    assert!(subscriber.line().ends_with("1") && subscriber.line().ends_with("2"));
    assert!(subscriber.line().contains("end"));
    assert_eq!(subscriber.wait().code(), Some(0));
    assert_eq!(subscriber.stderr(), "the topic has ended\n");
    // A subscriber that comes later, and one of two topics.
    let (_, stderr, code) = said(&mut hub.command(&["subscribe", "ci/1"]));
    assert_eq!((stderr.as_str(), code), ("the topic has ended\n", 0));
    assert_eq!(said(&mut hub.command(&["publish", "ci/2", "x", "--end"])).2, 0);
    let (_, stderr, _) = said(&mut hub.command(&["subscribe", "ci/1", "ci/2"]));
    assert_eq!(stderr, "all topics have ended\n");

    hub.publish("ci/3", "0");
    let (id, stderr, code) =
        said(&mut hub.command(&["end", "ci/3", "passed", "--event", "done", "--id", "x"]));
    assert_eq!((id.as_str(), stderr.as_str(), code), ("x\n", "", 0));
    let stored = events(&hub, "ci/3");
    assert_eq!(
        (stored[1]["data"].as_str(), stored[1]["event"].as_str()),
        (Some("passed"), Some("done"))
    );
    let (json, stderr, code) = said(&mut hub.command(&["end", "ci/3", "--json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["duplicate"].as_bool(), code), (Some(true), 0));
    assert_eq!(stderr, "the topic had ended already\n");
    let (_, stderr, code) = said(&mut hub.command(&["end", "never"]));
    assert!(stderr.contains("404") && code == 5, "{stderr}");
    for words in [vec!["end", "ci/1", ""], vec!["end", "ci/1", "--event", "x"]] {
        assert_eq!(said(&mut hub.command(&words)).2, 2, "{words:?}");
    }
}

#[test]
fn topics_are_listed_for_people_and_for_programs_however_many_there_are() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let (stdout, stderr, code) = said(&mut hub.command(&["topics"]));
    assert_eq!((stdout.as_str(), stderr.as_str(), code), ("", "", 0));
    let lines: String =
        (0..2500).map(|n| format!("{{\"topic\":\"t/{n:04}\",\"data\":\"\"}}\n")).collect();
    assert_eq!(fed(&mut hub.command(&["publish", "t", "--json"]), lines.as_bytes()).2, 0);
    hub.publish("u", "x");
    let _subscriber = hub.listen(&[], "/events/u");
    world::eventually(|| hub.curl(&[], "/stats").contains("\"subscribers\":1"));
    said(&mut hub.command(&["end", "t/0000"]));

    let (json, _, code) = said(&mut hub.command(&["topics", "--json"]));
    let topics: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = topics.iter().map(|topic| topic["topic"].as_str().unwrap()).collect();
    assert_eq!(
        (names.len(), names[0], names[2499], names[2500], code),
        (2501, "t/0000", "t/2499", "u", 0)
    );
    assert_eq!(
        (topics[2500]["events"].as_u64(), topics[2500]["subscribers"].as_u64()),
        (Some(1), Some(1))
    );
    let (table, _, _) = said(&mut hub.command(&["topics", "t/000", "-n", "3"]));
    let rows: Vec<_> = table.lines().collect();
    assert_eq!(rows.len(), 4, "{table}");
    assert!(rows[0].contains("subscribers") && rows[1].ends_with("t/0000 (ended)"), "{table}");
    assert!(rows[3].ends_with("t/0002"), "{table}");

    said(&mut hub.command(&["publish", "v", "one", "--key", "k"]));
    let (table, _, _) = said(&mut hub.command(&["topics", "v"]));
    let rows: Vec<Vec<_>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..4], ["events", "bytes", "keys", "subscribers"], "{table}");
    let bytes: u64 = rows[1][1].parse().unwrap();
    assert!(bytes > "one".len() as u64 && bytes < 200, "{table}");
    assert_eq!((rows[1][0], rows[1][2], rows[1][3]), ("1", "1", "0"), "{table}");
}

#[test]
fn stats_are_shown_for_people_and_for_programs_to_who_may_see_them() {
    let folder = Folder::new();
    let secret = folder.file("secret", SECRET);
    let hub = Hub::serve(&folder, &["--jwt-secret-file", secret.to_str().unwrap()]);
    for command in ["stats", "topics"] {
        let (_, stderr, code) = said(&mut hub.command(&[command]));
        assert!(stderr.contains("\nhint: give a token") && code == 5, "{command}: {stderr}");
    }
    let (token, ..) = said(tidings().args(["token", "--subscribe", "**", "--secret", SECRET]));
    let with_token = |words: &[&str]| said(hub.command(words).env("TIDINGS_TOKEN", token.trim()));
    let (text, stderr, code) = with_token(&["stats"]);
    assert_eq!((stderr.as_str(), code), ("", 0));
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).is_some();
    assert!(line("subscribers ") && line("last id ") && line("store bytes "), "{text}");
    let (json, ..) = with_token(&["stats", "--json"]);
    let stats: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(stats["published"], 0);
}

#[test]
fn a_url_of_something_at_the_hub_is_refused_with_the_right_one_and_nothing_is_published() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let wrong = hub.url("/events");
    for words in [
        vec!["publish", "t", "x"],
        vec!["subscribe", "t"],
        vec!["relay", "http://127.0.0.1:1/", "t"],
        vec!["topics"],
        vec!["stats"],
        vec!["end", "t"],
        vec!["remove", "t", "--key", "k"],
        vec!["erase", "t", "--all"],
        vec!["trace", "1-1"],
        vec!["health"],
        vec!["bench"],
    ] {
        let (stdout, stderr, code) = said(tidings().args(&words).env("TIDINGS_URL", &wrong));
        assert_eq!((stdout.as_str(), code), ("", 2), "{words:?}: {stderr}");
        assert!(stderr.ends_with(&format!("hint: give {}\n", hub.url(""))), "{words:?}: {stderr}");
    }
    // Without the scheme it is right.
    let (_, stderr, code) = said(tidings().args(["publish", "t", "x", "--url", &hub.address]));
    assert_eq!((stderr.as_str(), code), ("", 0));
    assert_eq!(data(&hub, "t"), ["x"]);
}

#[test]
fn a_refused_connection_is_one_error_with_at_most_two_causes_and_all_of_them_if_asked_for() {
    let hub = format!("http://{}", nobody());
    for words in [
        vec!["publish", "t", "x"],
        vec!["subscribe", "t", "--retries", "0"],
        vec!["subscribe", "t", "--once"],
        vec!["topics"],
        vec!["stats"],
        vec!["end", "t"],
        vec!["remove", "t", "--key", "k"],
        vec!["erase", "t", "--all"],
        vec!["trace", "1-1"],
        vec!["health"],
        vec!["bench", "-n", "1"],
    ] {
        let say = |more: &[&str]| {
            let (_, stderr, code) =
                said(tidings().args(&words).args(more).env("TIDINGS_URL", &hub));
            assert!(code == 6 || words[0] == "health" && code == 1, "{words:?}: {code}");
            assert_eq!(stderr.matches("Connection refused").count(), 1, "{words:?}: {stderr}");
            stderr.matches("because: ").count()
        };
        assert!(say(&[]) <= 2, "{words:?}");
        let is_short = words[0] == "bench";
        assert!(is_short || say(&["-v"]) > 2, "{words:?}");
    }
}

#[test]
fn a_server_that_cannot_be_measured_is_said_at_once() {
    let (_, stderr, code) = said(tidings().args(["bench", "-n", "0", "--url"]).arg(url(&nobody())));
    assert!(stderr.contains("nobody listens there") && code == 6, "{stderr}");
    let (_, stderr, code) = said(tidings().args(["bench", "--url"]).arg(url(&nobody())));
    assert!(stderr.contains("nobody listens there") && code == 6, "{stderr}");
    for (answer, part) in [
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "answered with 404"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "the stream has ended"),
        ("HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n", "with 302"),
        ("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\nhi", "has text/html, not"),
        ("SSH-2.0-OpenSSH_9\r\n\r\n", "is not HTTP"),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 2\r\n\r\n: ",
            "a stream ended before all subscribers were connected",
        ),
    ] {
        let server = Answering::start(answer);
        let (_, stderr, code) = said(
            tidings().args(["bench", "-n", "50", "--connects", "3", "--url"]).arg(url(&server.0)),
        );
        assert!(stderr.contains(part) && code == 5, "{answer}: {stderr}");
    }
    let rejecting = Answering::start("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let (_, stderr, code) =
        said(tidings().args(["bench", "-n", "0", "--url"]).arg(url(&rejecting.0)));
    assert!(stderr.contains("the first publish is answered with 404") && code == 5, "{stderr}");
}

/// A server that answers every connection with the same bytes, and closes it.
struct Answering(String);

impl Answering {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let mut socket = socket;
                let _ = std::io::Read::read(&mut socket, &mut [0; 2048]);
                let _ = std::io::Write::write_all(&mut socket, answer.as_bytes());
            }
        });
        Self(address)
    }
}

fn url(address: &str) -> String {
    format!("http://{address}/events/{{topic}}")
}

#[test]
fn subscribe_asks_its_command_for_tokens_and_stays_on_its_connection() {
    let folder = Folder::new();
    let secret = folder.file("secret", SECRET);
    let hub = Hub::serve(&folder, &["--jwt-secret-file", secret.to_str().unwrap()]);
    let (all, ..) = said(tidings().args(["token", "--publish", "**", "--secret", SECRET]));
    let asked = folder.path().join("asked");
    let command = format!(
        "echo >> {}; {} token --subscribe t --expires 4s --secret '{SECRET}'",
        asked.display(),
        env!("CARGO_BIN_EXE_tidings")
    );
    let words = ["subscribe", "t", "--raw", "--token-command", &command];
    let mut subscribe = Process::spawn(hub.command(&words).stderr(Stdio::piped()));
    let times = || std::fs::read(&asked).map_or(0, |lines| lines.len());
    world::eventually(|| hub.curl(&["-i"], "/healthz").contains("200") && times() > 0);
    let publish = |data: &str| {
        let mut publish = hub.command(&["publish", "t", data]);
        let (_, stderr, code) = said(publish.env("TIDINGS_TOKEN", all.trim()));
        assert_eq!(code, 0, "{stderr}");
    };
    // The first may come before the subscriber does.
    let mut is_there = false;
    for _ in 0..100 {
        publish("hello");
        is_there |= subscribe.line_within(std::time::Duration::from_millis(100)).is_some();
        if is_there {
            break;
        }
    }
    assert!(is_there, "it hears nothing");
    world::eventually(|| times() >= 4);
    publish("the last");
    assert_eq!(subscribe.line_with("data: the last"), "data: the last");
    subscribe.kill();
    assert_eq!(subscribe.stderr(), "", "no connection was lost");

    let failing = ["subscribe", "t", "--retries", "0", "--token-command", "exit 3"];
    let (_, stderr, code) = said(&mut hub.command(&failing));
    assert!(stderr.contains("\"exit 3\" failed (exit status: 3)") && code != 0, "{stderr}");
    let elsewhere = ["subscribe", "http://127.0.0.1:1/x", "--token-command", "echo x"];
    let (_, stderr, code) = said(&mut hub.command(&elsewhere));
    assert!(stderr.contains("--token-command is for the hub") && code == 2, "{stderr}");
}

#[test]
fn what_the_hub_says_of_a_token_is_no_event_of_a_topic() {
    let folder = Folder::new();
    let secret = folder.file("secret", SECRET);
    let hub = Hub::serve(&folder, &["--jwt-secret-file", secret.to_str().unwrap()]);
    let words = ["token", "--subscribe", "t", "--expires", "3s", "--secret", SECRET];
    let (token, ..) = said(tidings().args(words));
    let mut subscribe = hub.command(&["subscribe", "t", "--exec", "cat >&2; exit 9"]);
    let (stdout, stderr, code) = said(subscribe.env("TIDINGS_TOKEN", token.trim()));
    assert!(stderr.contains("the token expires soon"), "{stderr}");
    assert!(!stderr.contains("handle"), "{stderr}");
    assert_eq!((stdout.as_str(), code), ("", 5), "401 at the end: {stderr}");
}

#[test]
fn bench_measures_the_hub_of_the_environment_with_its_token() {
    let folder = Folder::new();
    let secret = folder.file("secret", SECRET);
    let hub = Hub::serve(&folder, &["--jwt-secret-file", secret.to_str().unwrap()]);
    let all = ["token", "--subscribe", "**", "--publish", "**", "--secret", SECRET];
    let (token, ..) = said(tidings().args(all));
    let words = ["bench", "-n", "3", "--warmup", "0.1", "-d", "0.5", "--settle", "0.1"];
    let (_, stderr, code) = said(&mut hub.command(&words));
    assert!(stderr.contains("answered with 401") && code == 5, "{stderr}");
    let mut bench = hub.command(&words);
    let (json, stderr, code) =
        said(bench.args(["--verify", "--json"]).env("TIDINGS_TOKEN", token.trim()));
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert!(report["server"].as_str().unwrap().starts_with(&hub.url("/events/")), "{report}");
}

const SECRET: &str = "a secret of at least thirty-two bytes";
