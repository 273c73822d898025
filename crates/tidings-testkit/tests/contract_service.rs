//! The contract service, used as the outside suite uses it: one scenario for each group of its
//! tests and each of its capabilities.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tidings_client::{Body, HttpTransport, Transport};
use tidings_testkit::ports;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The suite's side: it serves the stream and takes the callbacks.
struct Harness {
    address: SocketAddr,
    transport: HttpTransport,
    service: Service,
    connections: mpsc::UnboundedReceiver<Connection>,
    callbacks: mpsc::UnboundedReceiver<(usize, Value)>,
    /// Callbacks that came before their turn.
    early: HashMap<usize, Value>,
    next_callback: usize,
    answers: Arc<Mutex<Vec<Response<Pieces>>>>,
}

/// The service process.
struct Service {
    process: Child,
    url: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have quit already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A request for the stream, and a sender for its answer, piece by piece.
struct Connection {
    method: Method,
    headers: HeaderMap,
    body: Bytes,
    pieces: mpsc::UnboundedSender<Bytes>,
}

impl Connection {
    fn send(&self, bytes: impl AsRef<[u8]>) {
        let bytes = Bytes::copy_from_slice(bytes.as_ref());
        self.pieces.send(bytes).unwrap();
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

struct Pieces(mpsc::UnboundedReceiver<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

fn empty(status: StatusCode) -> Response<Pieces> {
    let (_, receiver) = mpsc::unbounded_channel();
    let response = Response::builder().status(status);
    response.body(Pieces(receiver)).unwrap()
}

impl Harness {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (to_connections, connections) = mpsc::unbounded_channel();
        let (to_callbacks, callbacks) = mpsc::unbounded_channel();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let first_answers = answers.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (connections, callbacks) = (to_connections.clone(), to_callbacks.clone());
                let answers = first_answers.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let (connections, callbacks) = (connections.clone(), callbacks.clone());
                    let answers = answers.clone();
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        if let Some(number) = head.uri.path().strip_prefix("/callback/") {
                            let message = serde_json::from_slice(&body).unwrap();
                            callbacks.send((number.parse().unwrap(), message)).unwrap();
                            return Ok::<_, Infallible>(empty(StatusCode::ACCEPTED));
                        }
                        let (pieces, receiver) = mpsc::unbounded_channel();
                        let answer = answers.lock().unwrap().pop();
                        let answer = answer.unwrap_or_else(|| {
                            let response =
                                Response::builder().header("content-type", "text/event-stream");
                            response.body(Pieces(receiver)).unwrap()
                        });
                        let connection =
                            Connection { method: head.method, headers: head.headers, body, pieces };
                        // The test may be over, and the client still trying.
                        let _ = connections.send(connection);
                        Ok(answer)
                    }
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        let mut harness = Self {
            address,
            transport: HttpTransport::new(),
            service: start_service().await,
            connections,
            callbacks,
            early: HashMap::new(),
            next_callback: 1,
            answers,
        };
        while harness.request(Method::GET, "/", Value::Null).await.is_none() {
            tokio::task::yield_now().await;
        }
        harness
    }

    /// `None` if the service does not answer.
    async fn request(
        &mut self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Option<(StatusCode, HeaderMap, Value)> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.service.url))
            .body(Body::from(Bytes::from(body.to_string())))
            .unwrap();
        let response = self.transport.send(request).await.ok()?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Some((head.status, head.headers, body))
    }

    /// Opens a stream. Returns the location by which to control it.
    async fn open(&mut self, mut params: Value) -> String {
        params["tag"] = "test".into();
        params["streamUrl"] = format!("http://{}/stream", self.address).into();
        params["callbackUrl"] = format!("http://{}/callback", self.address).into();
        let (status, headers, _) = self.request(Method::POST, "/", params).await.unwrap();
        assert_eq!(status, StatusCode::CREATED);
        headers["location"].to_str().unwrap().to_owned()
    }

    async fn connection(&mut self) -> Connection {
        self.connections.recv().await.unwrap()
    }

    async fn message(&mut self) -> Value {
        let number = self.next_callback;
        self.next_callback += 1;
        loop {
            if let Some(message) = self.early.remove(&number) {
                return message;
            }
            let (number, message) = self.callbacks.recv().await.unwrap();
            self.early.insert(number, message);
        }
    }

    async fn assert_events(&mut self, events: &[(&str, &str, Option<&str>)]) {
        for (event_type, data, id) in events {
            let event = json!({ "type": event_type, "data": data, "id": id });
            assert_eq!(self.message().await, json!({ "kind": "event", "event": event }));
        }
    }
}

async fn start_service() -> Service {
    let port = ports::free();
    let process = Command::new(env!("CARGO_BIN_EXE_contract-service"))
        .args(["--port", &port.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let url = format!("http://127.0.0.1:{port}");
    Service { process, url }
}

#[tokio::test]
async fn it_lists_its_capabilities_and_quits_on_request() {
    let mut harness = Harness::start().await;
    let (status, _, about) = harness.request(Method::GET, "/", Value::Null).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let capabilities = about["capabilities"].as_array().unwrap();
    assert!(capabilities.contains(&"bom".into()));
    assert!(!capabilities.contains(&"event-type-listeners".into()));
    harness.request(Method::DELETE, "/", Value::Null).await;
    assert!(harness.service.process.wait().unwrap().success());
}

#[tokio::test]
async fn impossible_requests_are_rejected() {
    let mut harness = Harness::start().await;
    for (method, path, body, expected) in [
        (Method::POST, "/", json!({ "streamUrl": "http://localhost/" }), 400),
        (Method::POST, "/", json!({ "streamUrl": "x", "callbackUrl": "http://localhost/" }), 400),
        (Method::POST, "/streams/99", json!({ "command": "restart" }), 404),
        (Method::DELETE, "/streams/99", Value::Null, 404),
        (Method::GET, "/elsewhere", Value::Null, 404),
    ] {
        let (status, ..) = harness.request(method, path, body).await.unwrap();
        assert_eq!(status, expected, "{path}");
    }
    let location = harness.open(json!({})).await;
    let unknown = json!({ "command": "dance" });
    let (status, ..) = harness.request(Method::POST, &location, unknown).await.unwrap();
    assert_eq!(status, 400);
}

#[tokio::test]
async fn basic_parsing_and_line_ends_in_single_bytes() {
    let mut harness = Harness::start().await;
    harness.open(json!({})).await;
    let connection = harness.connection().await;
    for end in ["\n", "\r\n", "\r"] {
        let stream = "data: a€\ndata:\ndata:  b\n\n\nid: 1\nevent: x\ndata: c\n\nid\ndata\n\n";
        for byte in stream.replace('\n', end).bytes() {
            connection.send([byte]);
        }
        let events = [("message", "a€\n\n b", None), ("x", "c", Some("1")), ("message", "", None)];
        harness.assert_events(&events).await;
    }
}

#[tokio::test]
async fn bom() {
    let mut harness = Harness::start().await;
    harness.open(json!({})).await;
    let connection = harness.connection().await;
    for byte in "\u{feff}data: 1\n\n".bytes() {
        connection.send([byte]);
    }
    harness.assert_events(&[("message", "1", None)]).await;
}

#[tokio::test]
async fn comments_come_at_once() {
    let mut harness = Harness::start().await;
    harness.open(json!({})).await;
    let connection = harness.connection().await;
    connection.send("data: x\n:Hello\n");
    let expected = json!({ "kind": "comment", "comment": "Hello" });
    assert_eq!(harness.message().await, expected);
    connection.send("\n");
    harness.assert_events(&[("message", "x", None)]).await;
}

#[tokio::test]
async fn payload_sizes_up_to_a_mebibyte() {
    let mut harness = Harness::start().await;
    harness.open(json!({})).await;
    let connection = harness.connection().await;
    for size in [1, 1023, 1024, 4096, 8192, 65_536, 1_048_576] {
        let data = "x".repeat(size);
        connection.send(format!("data: {data}\n\n"));
        harness.assert_events(&[("message", &data, None)]).await;
    }
}

#[tokio::test]
async fn default_method_and_headers_and_custom_headers() {
    let mut harness = Harness::start().await;
    harness.open(json!({ "headers": { "header-name-1": "value-1" } })).await;
    let connection = harness.connection().await;
    assert_eq!(connection.method, Method::GET);
    assert_eq!(connection.header("accept"), Some("text/event-stream"));
    assert_eq!(connection.header("cache-control"), Some("no-cache"));
    assert_eq!(connection.header("last-event-id"), None);
    assert_eq!(connection.header("header-name-1"), Some("value-1"));
}

#[tokio::test]
async fn post_and_report_send_their_body_on_every_connection() {
    for method in ["POST", "REPORT"] {
        let mut harness = Harness::start().await;
        let params = json!({
            "method": method,
            "body": "{\"hello\": \"world\"}",
            "headers": { "content-type": "application/json; charset=utf-8" },
            "initialDelayMs": 0,
        });
        harness.open(params).await;
        for _ in 0..2 {
            let connection = harness.connection().await;
            assert_eq!(connection.method, method);
            assert_eq!(connection.body, "{\"hello\": \"world\"}");
            let content_type = connection.header("content-type");
            assert_eq!(content_type, Some("application/json; charset=utf-8"));
        }
    }
}

#[tokio::test]
async fn last_event_id_is_sent_first_and_kept_over_connections() {
    let mut harness = Harness::start().await;
    harness.open(json!({ "lastEventId": "abc", "initialDelayMs": 0 })).await;
    let connection = harness.connection().await;
    assert_eq!(connection.header("last-event-id"), Some("abc"));
    connection.send("id: def\ndata: Hello\n\ndata: World\n\n");
    let events = [("message", "Hello", Some("def")), ("message", "World", Some("def"))];
    harness.assert_events(&events).await;
    drop(connection);
    let connection = harness.connection().await;
    assert_eq!(connection.header("last-event-id"), Some("def"));
}

#[tokio::test]
async fn a_read_timeout_is_an_error_and_leads_to_a_new_connection() {
    let mut harness = Harness::start().await;
    harness.open(json!({ "readTimeoutMs": 200, "initialDelayMs": 0 })).await;
    let connection = harness.connection().await;
    connection.send("data: Hello\n\n");
    harness.assert_events(&[("message", "Hello", None)]).await;
    assert_eq!(harness.message().await["kind"], "error");
    harness.connection().await;
}

#[tokio::test]
async fn restart_leads_to_a_new_connection_and_is_not_an_error() {
    let mut harness = Harness::start().await;
    let location = harness.open(json!({ "initialDelayMs": 0 })).await;
    let first = harness.connection().await;
    first.send("data: Hello\n\n");
    harness.assert_events(&[("message", "Hello", None)]).await;
    let restart = json!({ "command": "restart" });
    let (status, ..) = harness.request(Method::POST, &location, restart).await.unwrap();
    assert!(status.is_success());
    let second = harness.connection().await;
    second.send("data: Thanks\n\n");
    harness.assert_events(&[("message", "Thanks", None)]).await;
}

#[tokio::test]
async fn redirects_are_followed_and_those_to_nowhere_are_errors() {
    for status in [301, 307] {
        let status = StatusCode::from_u16(status).unwrap();
        for (location, works) in [(Some("/other"), true), (Some(""), false), (None, false)] {
            let mut harness = Harness::start().await;
            let mut answer = empty(status);
            if let Some(location) = location {
                let location = location.parse().unwrap();
                answer.headers_mut().insert("location", location);
            }
            harness.answers.lock().unwrap().push(answer);
            harness.open(json!({ "initialDelayMs": 0 })).await;
            harness.connection().await;
            if works {
                harness.connection().await.send("data: 1\n\n");
                harness.assert_events(&[("message", "1", None)]).await;
            } else {
                assert_eq!(harness.message().await["kind"], "error");
            }
        }
    }
}

#[tokio::test]
async fn a_204_is_the_end() {
    let mut harness = Harness::start().await;
    harness.answers.lock().unwrap().push(empty(StatusCode::NO_CONTENT));
    harness.open(json!({ "initialDelayMs": 0 })).await;
    harness.connection().await;
    assert_eq!(harness.message().await["kind"], "error");
    // If it had reconnected, it would have done so before this other one.
    harness.open(json!({ "headers": { "other": "1" } })).await;
    assert_eq!(harness.connection().await.header("other"), Some("1"));
}

#[tokio::test]
async fn a_stream_that_is_deleted_hangs_up() {
    let mut harness = Harness::start().await;
    let location = harness.open(json!({})).await;
    let connection = harness.connection().await;
    let (status, ..) = harness.request(Method::DELETE, &location, Value::Null).await.unwrap();
    assert_eq!(status, StatusCode::NO_CONTENT);
    connection.pieces.closed().await;
}
