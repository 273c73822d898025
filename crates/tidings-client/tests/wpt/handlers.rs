//! The handlers of `eventsource/resources/`. Theirs know a visitor again by a cookie; ours by the
//! query, since whether to keep cookies is up to the caller of this client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use url::form_urlencoded;

use crate::wire::{Pieces, Server, Writer, answer, event_stream};

pub(crate) struct Handlers {
    server: Server,
    visits: Visits,
}

/// How often each path with its query was requested, and whether a request is in progress.
#[derive(Clone, Default)]
struct Visits(Arc<Mutex<HashMap<String, u32>>>);

impl Visits {
    /// This visit's number, from 1.
    fn count(&self, request: &Request<Bytes>) -> u32 {
        let mut visits = self.0.lock().unwrap();
        let count = visits.entry(request.uri().to_string()).or_default();
        *count += 1;
        *count
    }
}

struct Query(HashMap<String, String>);

impl Query {
    fn of(request: &Request<Bytes>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    fn get<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }
}

impl Handlers {
    pub(crate) async fn start() -> Self {
        let visits = Visits::default();
        let shared = visits.clone();
        let server = Server::start(move |request| {
            let number = shared.count(&request);
            async move { handle(&request, number) }
        })
        .await;
        Self { server, visits }
    }

    pub(crate) fn url(&self, path_and_query: &str) -> String {
        self.server.url(path_and_query)
    }

    pub(crate) fn visits(&self, path_and_query: &str) -> u32 {
        let visits = self.visits.0.lock().unwrap();
        visits.get(path_and_query).copied().unwrap_or(0)
    }
}

fn handle(request: &Request<Bytes>, number: u32) -> Response<Pieces> {
    let query = Query::of(request);
    match request.uri().path() {
        "/message.py" => message(&query),
        "/message2.py" => whole(
            "data:msg\ndata:msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\n\
             data\n\ndata:end\n\n",
        ),
        "/last-event-id.py" => last_event_id(request, &query),
        "/last-event-id2.py" => whole(match query.get("type", "1") {
            "1" => "id: 1\ndata: 1\n\ndata:2\n\n",
            "2" => "id: 1\ndata: 1\n\nid: 2\ndata:2\n\ndata:3\n\n",
            "3" => "id: 1\ndata: 1\n\nid:\ndata:2\n\ndata:3\n\n",
            _ => "id: 1\ndata: 1\n\nid\ndata:2\n\ndata:3\n\n",
        }),
        "/status-error.py" => {
            let mut response = whole("data: data\n\n");
            *response.status_mut() = query.get("status", "404").parse().unwrap();
            response
        }
        "/status-reconnect.py" => match (number, query.0.contains_key("ok_first")) {
            (1, false) => whole("retry: 2\n"),
            (1, true) => whole("retry: 2\ndata: ok\n\n"),
            _ => whole("data: data\n\n"),
        },
        "/reconnect-fail.py" => match number {
            1 => whole("retry: 2\ndata: opened\n\n"),
            2 => whole("data: reconnected\n\n"),
            _ => {
                let (_, mut response) = event_stream();
                *response.status_mut() = StatusCode::NO_CONTENT;
                response
            }
        },
        "/accept.event_stream" => echo(request, "accept"),
        "/cache-control.event_stream" => echo(request, "cache-control"),
        "/cookie.event_stream" => echo(request, "cookie"),
        "/redirect.py" => {
            let (_, mut response) = event_stream();
            *response.status_mut() = query.get("status", "302").parse().unwrap();
            let location = query.get("location", "").parse().unwrap();
            response.headers_mut().insert("location", location);
            response
        }
        other => panic!("there is no handler {other}"),
    }
}

fn message(query: &Query) -> Response<Pieces> {
    let (writer, response) = answer(query.get("mime", "text/event-stream"));
    let blank_line = if query.get("newline", "") == "none" { "" } else { "\n\n" };
    let text = format!("{}{blank_line}", query.get("message", "data: data"));
    let sleep = Duration::from_millis(query.get("sleep", "0").parse().unwrap());
    tokio::spawn(async move {
        // A pause in the middle: by the client's going, or by the time.
        let _ = tokio::time::timeout(sleep, writer.closed()).await;
        writer.write(text).await;
    });
    response
}

fn last_event_id(request: &Request<Bytes>, query: &Query) -> Response<Pieces> {
    let id = request.headers().get("last-event-id");
    match id.map(HeaderValue::as_bytes) {
        None | Some(b"") => {
            let id = query.get("idvalue", "\u{2026}");
            whole(format!("id: {id}\nretry: 200\ndata: hello\n\n"))
        }
        Some(id) => whole([b"data: ", id, b"\n\n"].concat()),
    }
}

fn echo(request: &Request<Bytes>, name: &str) -> Response<Pieces> {
    let value = request.headers().get(name).map_or("", |value| value.to_str().unwrap());
    whole(format!("data: {value}\n\n"))
}

/// A whole stream, which then ends.
fn whole(text: impl AsRef<[u8]>) -> Response<Pieces> {
    let (writer, response): (Writer, _) = event_stream();
    let text = Bytes::copy_from_slice(text.as_ref());
    tokio::spawn(async move { writer.write(text).await });
    response
}
