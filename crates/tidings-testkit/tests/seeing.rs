//! The operators' view: counters, connections, metrics.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tidings_server::ApiKey;
use tidings_store_disk::{DiskConfig, DiskStore};
use tidings_testkit::http::{Connection, request};
use tidings_testkit::server::{EPOCH, TestServer, is_portable};
use tidings_testkit::test_folder::TestFolder;

fn id(position: u64) -> String {
    format!("{EPOCH}:{position}")
}

/// Subscribes; returns the stream and its name.
fn subscribe(server: &TestServer, target: &str) -> (Connection, String) {
    let mut connection = server.connect();
    connection.send(request("GET", target, &[("accept", "text/event-stream")], b""));
    let head = connection.head();
    (connection, head.header("tidings-connection").expect("a name").to_owned())
}

/// Asks until the answer satisfies `wanted`.
fn until(ask: impl Fn() -> Value, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..2000 {
        let answer = ask();
        if wanted(&answer) {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the answer never satisfied the condition: {}", ask());
}

#[test]
fn topics_report_how_many_would_get_an_event_and_stats_how_many_got_one() {
    let server = TestServer::start();
    let mut streams: Vec<_> =
        ["/events/a", "/events/a", "/events/*", "/events/b"].map(|t| subscribe(&server, t)).into();
    server.post("/events/a", "x");
    let mut topics = server.get_json("/topics").json()["topics"].take();
    assert!(topics[0]["bytes"].take().as_u64() > Some(0));
    let expected = json!([{
        "topic": "a", "events": 1, "bytes": null, "keys": 0, "first_id": id(1), "last_id": id(1),
        "ended": false, "subscribers": 3
    }]);
    assert_eq!(topics, expected);
    until(|| server.get_json("/stats").json(), |stats| stats["deliveries"] == 3);
    for (stream, _) in &mut streams[..3] {
        assert_eq!(stream.event(), Some(format!("id: {}\ndata: x\n\n", id(1))));
    }
}

/// In memory, on disk, and on disk after a restart.
#[test]
fn topics_report_their_bytes_their_keys_and_both_ends() {
    let folder = TestFolder::new("topics");
    let on_disk = || {
        let store = DiskStore::open(DiskConfig::new(folder.join("log"))).unwrap();
        TestServer::builder().store(Arc::new(store)).start()
    };
    let extent = |server: &TestServer, topic: &str| {
        let page = server.get_json(&format!("/topics?prefix={topic}&limit=1")).json();
        let mut entry = page["topics"][0].clone();
        let bytes = entry["bytes"].take().as_u64().unwrap();
        let [first, last] = ["first_id", "last_id"].map(|id| {
            let position = entry[id].as_str().and_then(|id| id.split_once(':')).unwrap().1;
            position.parse::<u64>().unwrap()
        });
        (bytes, json!([entry["events"], entry["keys"], first, last]))
    };
    for server in [TestServer::start(), on_disk()] {
        server.put("other", "0");
        server.put("a?key=A", &"x".repeat(1_000));
        server.put("a?key=B", "2");
        server.put("b?key=A", "3");
        server.put("a?key=B", "4");
        server.put("a", "5");
        let (bytes, ends) = extent(&server, "a");
        assert!((1_000..2_000).contains(&bytes), "{bytes} bytes");
        assert_eq!(ends, json!([4, 2, 2, 6]));
        assert_eq!(extent(&server, "b").1, json!([1, 1, 4, 4]));
        assert_eq!(extent(&server, "other").1, json!([1, 0, 1, 1]));
        server.remove("a?key=B");
        server.put("a?append=C", "7");
        server.put("a?append=C", "8");
        assert_eq!(extent(&server, "a").1, json!([7, 2, 2, 9]));
        server.remove("a?key=A&erase");
        let (bytes, ends) = extent(&server, "a");
        assert!(bytes < 1_000, "{bytes} bytes after the event of a thousand was erased");
        assert_eq!(ends[1], 1);
    }
    let before = on_disk();
    let extents = ["a", "b", "other"].map(|topic| extent(&before, topic));
    assert_eq!(extents[0].1[1], 1, "{extents:?}");
    drop(before);
    assert_eq!(["a", "b", "other"].map(|topic| extent(&on_disk(), topic)), extents);
}

#[test]
fn a_connection_reports_its_position_and_why_it_was_closed() {
    let server = TestServer::start();
    let (stream, name) = subscribe(&server, "/events/a?topic=b");
    server.post("/events/a", "1");
    server.post("/events/c", "2");
    let ask = |more: &str| server.get_json(&format!("/connections/{name}{more}")).json();
    let answer = until(|| ask(""), |answer| answer["written_id"] == id(2));
    assert_eq!(answer["state"], "live");
    assert_eq!(answer["resume"], "live");
    assert_eq!(answer["topics"], json!(["a", "b"]));
    assert_eq!(answer["start_id"], id(0));
    let verdict = |event: &str| ask(&format!("?event={event}"))["event"]["verdict"].clone();
    assert_eq!(verdict(&id(1)), "written");
    assert_eq!(verdict(&id(2)), "not_wanted");
    assert_eq!(verdict(&id(9)), "not_in_log");
    drop(stream);
    let answer = until(|| ask(""), |answer| answer["state"] == "closed");
    // It closed with bytes unread, which an HTTP library does not distinguish from a clean end.
    let reason = if is_portable() { "peer_closed" } else { "peer_reset" };
    assert_eq!(answer["reason"], reason);
    // They cannot be compared as text: a fraction may have any number of digits.
    let moment = |name: &str| answer[name].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    assert!(moment("closed").is_some() && moment("closed") >= moment("since"), "{answer}");
    server.post("/events/a", "3");
    assert_eq!(verdict(&id(3)), "closed_before");

    for unknown in ["/connections/", "/connections/nobody", "/connections/00000000-1"] {
        let answer = server.get_json(unknown);
        assert_eq!((answer.status(), &answer.json()["code"]), (404, &json!("connection_unknown")));
    }
}

#[test]
fn only_a_token_for_everything_may_see_other_connections() {
    let server = TestServer::builder()
        .config(|config| {
            let key = |name: &str, key: &str, subscribe: &[&str]| {
                ApiKey::new(name, key, &[], subscribe).unwrap()
            };
            config.http.api_keys = vec![
                key("all", "everything-to-read", &["**"]),
                key("some", "something-to-read", &["a/*"]),
            ];
        })
        .start();
    for target in ["/stats", "/connections/00000001-0", "/metrics"] {
        let status = |token: &str| {
            let value = format!("Bearer {token}");
            server.request("GET", target, &[("authorization", &value)], "").status()
        };
        assert_eq!(server.get_json(target).status(), 401, "{target}");
        assert_eq!(status("something-to-read"), 403, "{target}");
        assert!([200, 404].contains(&status("everything-to-read")), "{target}");
    }
}

/// The names of a page of metrics with their kinds.
fn families(page: &str) -> BTreeMap<String, String> {
    let kind = |line: &str| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some((name.to_owned(), kind.to_owned()))
    };
    page.lines().filter_map(kind).collect()
}

fn value(page: &str, sample: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample} in\n{page}")).parse().unwrap()
}

#[test]
fn the_metrics_report_what_happened() {
    let server = TestServer::start();
    let (mut live, _) = subscribe(&server, "/events/a");
    let (gone, _) = subscribe(&server, "/events/a");
    server.post("/events/a", "x");
    live.event();
    until(|| server.get_json("/stats").json(), |stats| stats["deliveries"] == 2);
    drop(gone);
    until(|| server.get_json("/stats").json(), |stats| stats["subscribers"] == 1);
    server.get_json("/nowhere");
    let page = || server.get_json("/metrics?topic=a&topic=%22").text().to_owned();
    let page =
        (0..1000).map(|_| page()).find(|page| value(page, "tidings_delivery_seconds_count") > 0.0);
    let page = page.expect("a delivery is timed once everybody was written");
    // An HTTP library does not distinguish a peer that closed with bytes unread from a clean end.
    let (socket, reason) =
        if is_portable() { ("body", "peer_closed") } else { ("socket", "peer_reset") };
    for (sample, expected) in [
        (&*format!("tidings_subscribers{{sink=\"{socket}\"}}"), 1.0),
        ("tidings_deliveries_total", 2.0),
        ("tidings_published_total", 1.0),
        ("tidings_log_events", 1.0),
        ("tidings_publish_seconds_count", 1.0),
        ("tidings_publish_seconds_bucket{le=\"+Inf\"}", 1.0),
        ("tidings_commit_seconds_count", 1.0),
        (&*format!("tidings_subscribers_closed_total{{reason=\"{reason}\"}}"), 1.0),
        ("tidings_refusals_total{code=\"not_found\"}", 1.0),
        ("tidings_requests_total{route=\"/events/{topic}\",status=\"2xx\"}", 3.0),
        ("tidings_requests_total{route=\"none\",status=\"4xx\"}", 1.0),
        ("tidings_store_failed", 0.0),
        ("tidings_topic_subscribers{topic=\"a\"}", 1.0),
        ("tidings_topic_events{topic=\"a\"}", 1.0),
        ("tidings_topic_events{topic=\"\\\"\"}", 0.0),
    ] {
        assert_eq!(value(&page, sample), expected, "{sample}");
    }
    assert!(value(&page, "process_resident_memory_bytes") > 1e6);
    assert!(value(&page, "process_open_fds") > 3.0);
    assert!(!server.get_json("/metrics").text().contains("topic=\""), "no topic unless requested");
}

/// Debian's packages are for Debian's Python, which may not be the first in the path.
fn debians_python() -> &'static str {
    let debians = "/usr/bin/python3";
    if std::path::Path::new(debians).exists() { debians } else { "python3" }
}

/// Checked by the parser of Prometheus' own Python client, where it is installed.
#[test]
fn the_metrics_are_read_by_an_independent_parser() {
    let server = TestServer::start();
    server.post("/events/a", "x");
    let page = server.get_json("/metrics?topic=a").text().to_owned();
    let script = "import sys\ntry:\n    from prometheus_client.parser import \
                  text_string_to_metric_families as parse\nexcept ImportError:\n    sys.exit(77)\n\
                  print(sum(len(family.samples) for family in parse(sys.stdin.read())))";
    let mut python = Command::new(debians_python())
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is there");
    python.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    if output.status.code() == Some(77) {
        // `scripts/test` reports that.
        return;
    }
    assert!(output.status.success());
    let samples = page.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), samples.to_string());
}

#[test]
fn the_dashboard_and_the_documentation_have_exactly_the_existing_metrics() {
    let server = TestServer::start();
    let families = families(server.get_json("/metrics?topic=a").text());
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
    let read = |path: &str| std::fs::read_to_string(format!("{root}{path}")).unwrap();

    let dashboard: Value = serde_json::from_str(&read("packaging/grafana/tidings.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let expressions: Vec<_> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(expressions.len() > 20);
    for metric in families.keys().filter(|name| name.starts_with("tidings_retention_")) {
        assert!(expressions.iter().any(|one| one.contains(&format!("{metric}{{"))), "{metric}");
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for expression in expressions {
        let words = expression.split(|c| !is_word(c));
        let names =
            words.filter(|word| ["tidings_", "process_"].iter().any(|p| word.starts_with(p)));
        let mut some = false;
        for name in names {
            some = true;
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s));
            let family = family.filter(|family| families.contains_key(*family)).unwrap_or(name);
            assert!(families.contains_key(family), "{name} in {expression}");
        }
        assert!(some, "{expression}");
    }

    let page = read("docs/operating/metrics.md");
    let row = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let documented: Vec<_> = page.lines().filter_map(row).collect();
    let mut known: Vec<_> = families.keys().cloned().collect();
    let mut sorted = documented.clone();
    known.sort();
    sorted.sort();
    assert_eq!(sorted, known, "docs/operating/metrics.md lists every metric once");
}
