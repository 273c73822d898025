//! The source over a `reqwest::Client`.

#![allow(clippy::unwrap_used)]

mod wire;

use tidings_client::{EventSource, Item, ReqwestTransport};

use wire::{Server, event_stream};

async fn server() -> Server {
    Server::start(|request| async move {
        let (writer, mut response) = event_stream();
        if request.uri().path() == "/old" {
            *response.status_mut() = http::StatusCode::MOVED_PERMANENTLY;
            let location = "/new".parse().unwrap();
            response.headers_mut().insert("location", location);
            return response;
        }
        let method = request.method().clone();
        let body = String::from_utf8(request.into_body().to_vec()).unwrap();
        tokio::spawn(async move {
            writer.write(format!("data: {method} {body}\n\n")).await;
            writer.closed().await;
        });
        response
    })
    .await
}

async fn opened_url(client: reqwest::Client) -> String {
    let server = server().await;
    let mut source = EventSource::builder(&server.url("/old"))
        .transport(ReqwestTransport::new(client))
        .open()
        .unwrap();
    match source.next().await.unwrap().unwrap() {
        Item::Open(open) => open.url.replace(&server.url(""), ""),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_source_follows_redirects_that_the_client_leaves_alone() {
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    assert_eq!(opened_url(client).await, "/new");
}

#[tokio::test]
async fn the_source_learns_where_a_client_that_follows_redirects_arrived() {
    assert_eq!(opened_url(reqwest::Client::new()).await, "/new");
}

#[tokio::test]
async fn method_and_body_are_sent_and_events_arrive() {
    let server = server().await;
    let mut source = EventSource::builder(&server.url("/"))
        .method(http::Method::POST)
        .body("question")
        .transport(ReqwestTransport::new(reqwest::Client::new()))
        .open()
        .unwrap();
    let event = source.next_event().await.unwrap().unwrap();
    assert_eq!(event.data(), "POST question");
}
