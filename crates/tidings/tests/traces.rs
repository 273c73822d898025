//! Traces, as a collector gets them: the real program, and a collector that is a plain socket.
#![allow(clippy::unwrap_used)]

mod world;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use tidings_testkit::ports;
use world::{Folder, Hub, eventually, tidings};

/// Takes spans in JSON (OTLP 1.0), and keeps them.
struct Collector {
    address: String,
    batches: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let batches = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&batches);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let taken = Arc::clone(&taken);
                thread::spawn(move || serve(stream.unwrap(), &taken));
            }
        });
        Self { address, batches }
    }

    /// All spans so far, each with the name of the service it is from.
    fn spans(&self) -> Vec<(String, Value)> {
        let batches = self.batches.lock().unwrap();
        let mut spans = Vec::new();
        for resource in batches.iter().flat_map(|batch| items(&batch["resourceSpans"])) {
            let service = attribute(&resource["resource"], "service.name").unwrap();
            for scope in items(&resource["scopeSpans"]) {
                spans.extend(items(&scope["spans"]).map(|span| (service.clone(), span.clone())));
            }
        }
        spans
    }

    /// The spans with this name, once there are `count` of them.
    fn named(&self, name: &str, count: usize) -> Vec<Value> {
        let named = || {
            let spans = self.spans().into_iter().map(|(_, span)| span);
            spans.filter(|span| span["name"] == name).collect::<Vec<_>>()
        };
        eventually(|| named().len() >= count);
        named()
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// An attribute of a span or a resource, as text.
fn attribute(of: &Value, name: &str) -> Option<String> {
    let found = items(&of["attributes"]).find(|attribute| attribute["key"] == name)?;
    let value = found["value"].as_object().unwrap().values().next().unwrap();
    Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// Answers requests until there are no more.
fn serve(stream: TcpStream, taken: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        assert!(line.starts_with("POST /v1/traces HTTP/1.1"), "{line}");
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        taken.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
    }
}

fn hub(folder: &Folder, endpoint: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Hub {
    let mut command = tidings();
    command.args(["serve", "--log", "warn", "--data"]).arg(folder.path().join("data"));
    command.args(arguments);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    // Often, so that tests wait little.
    command.env("OTEL_BSP_SCHEDULE_DELAY", "50");
    for (name, value) in variables {
        command.env(name, value);
    }
    Hub::start(&mut command)
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[test]
fn a_publish_is_a_span_of_its_publishers_trace_with_what_it_waited_for_below() {
    let (folder, collector) = (Folder::new(), Collector::start());
    let hub = hub(&folder, &format!("http://{}", collector.address), &[], &[]);
    let sent = format!("traceparent: 00-{TRACE}-{PARENT}-01");
    hub.curl(&["-H", &sent, "-d", "x"], "/events/a/b?token=secret");
    hub.curl(&["-H", &sent, "-d", "topic=a&data=y"], "/.well-known/mercure");

    let native = collector.named("POST /events/{topic}", 1).remove(0);
    assert_eq!(native["traceId"], TRACE);
    assert_eq!(native["parentSpanId"], PARENT);
    assert_eq!(native["kind"], 2, "a server's: {native}");
    let said = |name: &str| attribute(&native, name);
    assert_eq!(said("http.route").as_deref(), Some("/events/{topic}"));
    assert_eq!(said("http.response.status_code").as_deref(), Some("200"));
    assert_eq!(said("url.path").as_deref(), Some("/events/a/b"));
    assert_eq!(said("client.address").as_deref(), Some("127.0.0.1"));
    assert_eq!(said("error.type"), None);
    assert!(!native.to_string().contains("secret"), "{native}");
    let mercure = collector.named("POST mercure", 1).remove(0);
    assert_eq!(mercure["traceId"], TRACE);
    for name in ["authenticate", "commit"] {
        let below = collector.named(name, 2);
        for parent in [&native, &mercure] {
            let one = below.iter().find(|span| span["parentSpanId"] == parent["spanId"]);
            let one = one.unwrap_or_else(|| panic!("no {name} below {parent}"));
            assert_eq!(one["traceId"], TRACE);
        }
    }
    assert!(collector.spans().iter().all(|(service, _)| service == "tidings"));
}

#[test]
fn subscribers_have_a_span_until_they_are_let_in_or_not() {
    let (folder, collector) = (Folder::new(), Collector::start());
    let endpoint = format!("http://{}", collector.address);
    let service = [("OTEL_SERVICE_NAME", "edge-hub")];
    let hub = hub(&folder, &endpoint, &["--max-subscribers", "1"], &service);
    let mut first = hub.listen(&["-i"], "/events/a");
    let name = first.line_with("tidings-connection: ");
    let opened = collector.named("GET /events/{topic}", 1).remove(0);
    let said = attribute(&opened, "tidings.connection").unwrap();
    assert_eq!(name, format!("tidings-connection: {said}"));
    assert_eq!(attribute(&opened, "tidings.resume").as_deref(), Some("live"));
    // Its publisher has no trace: it is the first of one.
    assert!(opened["parentSpanId"].as_str().is_none_or(str::is_empty));
    let cut = hub.listen(&[], "/events/a").wait();
    assert_eq!(cut.code(), Some(18), "curl sees that the stream is cut");
    hub.curl(&["-H", "accept: image/png"], "/events/b");
    hub.curl(&["-d", "data=x"], "/.well-known/mercure");
    hub.curl(&[], "/healthz");
    let all = collector.named("GET /events/{topic}", 3);
    let away = all.iter().find_map(|span| attribute(span, "tidings.turned_away"));
    assert_eq!(away.as_deref(), Some("at_capacity"));
    let refused = all.iter().find_map(|span| attribute(span, "error.type"));
    assert_eq!(refused.as_deref(), Some("not_acceptable"));
    let mercure = collector.named("POST mercure", 1).remove(0);
    assert_eq!(attribute(&mercure, "error.type").as_deref(), Some("400"));
    assert!(collector.spans().iter().all(|(service, _)| service == "edge-hub"));
    assert!(!collector.spans().iter().any(|(_, span)| span["name"] == "GET /healthz"));
}

/// Ten times the queue, to one collector that refuses and one that takes and never answers.
#[test]
fn a_collector_that_is_gone_or_hangs_costs_a_publisher_nothing() {
    let refusing = ports::address();
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [refusing, hanging.local_addr().unwrap()] {
        let folder = Folder::new();
        let queue = [("OTEL_BSP_MAX_QUEUE_SIZE", "100"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")];
        let mut hub = hub(&folder, &format!("http://{address}"), &["--durability", "os"], &queue);
        let mut wire = world::wire::Wire::connect(&hub.address).unwrap();
        for number in 0..1000 {
            let answer = wire.post("/events/a", "text/plain", b"x").unwrap();
            assert_eq!(answer.status, 200, "{number}");
        }
        // It does not wait for the collector to leave either.
        hub.process.signal("TERM");
        assert!(hub.process.wait().success());
    }
}

#[test]
fn without_a_collector_in_the_environment_there_are_no_traces_and_a_wrong_one_stops_the_start() {
    let folder = Folder::new();
    let hub = hub(&folder, "", &[], &[]);
    hub.publish("a", "x");
    let mut wrong = tidings();
    wrong.args(["serve", "--store", "memory"]).env("OTEL_EXPORTER_OTLP_ENDPOINT", "not a URL");
    let (_, stderr, code) = world::said(&mut wrong);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{stderr}");
    assert!(stderr.contains("not a URL"), "{stderr}");
}
