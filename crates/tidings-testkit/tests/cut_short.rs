//! Requests with several effects, whose clients leave before they are answered: they are carried
//! out whole.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use serde_json::{Value, json};
use tidings_engine::{Engine, EngineConfig};
use tidings_hub::{Epoch, MemoryStore};
use tidings_server::{Body, Config, HttpConfig, HubService, JwtKey, Sessions};
use tidings_testkit::token::hs256;
use tokio::time::timeout;
use tower_service::Service;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const PATIENCE: Duration = Duration::from_secs(20);

/// A hub that is called without a network, so that a request can be dropped at a known place.
struct Hub {
    service: HubService,
    engine: Engine,
}

impl Hub {
    fn new() -> Self {
        let store = MemoryStore::new(Epoch::from_random(7), 1 << 20, Duration::from_secs(60));
        let engine = Engine::start(Arc::new(store), EngineConfig::default()).unwrap();
        let http = HttpConfig {
            jwt_keys: vec![JwtKey::hs256(SECRET).unwrap()],
            sessions: Some(Sessions::default()),
            ..HttpConfig::default()
        };
        let config = Config { http, ..Config::default() };
        Self { service: HubService::new(config, engine.clone()).unwrap(), engine }
    }

    fn call(
        &self,
        method: &str,
        target: &str,
        credential: &Credential,
    ) -> impl Future<Output = Response<Body>> {
        let mut request = Request::builder().method(method).uri(target);
        request = request.header("host", "hub.example").header("accept", "text/event-stream");
        request = request.header("sec-fetch-site", "same-origin");
        request = match credential {
            Credential::Token(token) => request.header(AUTHORIZATION, token),
            Credential::Cookie(cookie) => request.header(COOKIE, cookie),
            Credential::Both(token, cookie) => {
                request.header(AUTHORIZATION, token).header(COOKIE, cookie)
            }
        };
        let answer = self.service.clone().call(request.body(Empty::<Bytes>::new()).unwrap());
        async move { answer.await.unwrap() }
    }

    /// Sends a request, and leaves while it is carried out.
    fn call_and_leave(&self, method: &str, target: &str, credential: &Credential) {
        let answer = pin!(self.call(method, target, credential));
        if let Poll::Ready(answer) = answer.poll(&mut Context::from_waker(Waker::noop())) {
            panic!("{} before the client could leave", answer.status());
        }
    }

    async fn subscribe(&self, target: &str, credential: &Credential) -> Body {
        let answer = self.call("GET", target, credential).await;
        assert_eq!(answer.status(), 200);
        answer.into_body()
    }

    async fn sign_in(&self, token: &str) -> String {
        let answer = self.call("POST", "/session", &Credential::Token(token.into())).await;
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        cookie.split_once(';').unwrap().0.to_owned()
    }
}

enum Credential {
    Token(String),
    Cookie(String),
    Both(String, String),
}

fn token(claims: &Value) -> String {
    format!("Bearer {}", hs256(claims, SECRET))
}

fn reader(topics: &[&str]) -> String {
    token(&json!({"sub": "7", "tidings": {"subscribe": topics}}))
}

/// What a stream that is closed says last.
async fn last_words(mut stream: Body) -> String {
    let mut text = Vec::new();
    let read = async {
        while let Some(Ok(frame)) = stream.frame().await {
            text.extend_from_slice(frame.data_ref().unwrap());
        }
    };
    timeout(PATIENCE, read).await.expect("the stream is closed");
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_user_that_an_operator_denies_keeps_no_stream_though_the_operator_leaves() {
    let hub = Hub::new();
    let stream = hub.subscribe("/events/a", &Credential::Token(reader(&["a"]))).await;
    let operator = token(&json!({"sub": "op", "tidings": {"operate": ["kick"]}}));
    let operator = Credential::Token(operator);
    hub.call_and_leave("DELETE", "/connections?sub=7&deny=1h", &operator);
    assert!(last_words(stream).await.contains(r#"{"reason":"kicked"}"#));
    let again = hub.call("GET", "/events/a", &Credential::Token(reader(&["a"]))).await;
    assert_eq!(again.status(), 403);
    hub.engine.stop().await;
}

#[tokio::test]
async fn a_session_that_ends_keeps_no_stream_though_its_page_leaves() {
    let hub = Hub::new();
    let cookie = hub.sign_in(&reader(&["a"])).await;
    let stream = hub.subscribe("/events/a", &Credential::Cookie(cookie.clone())).await;
    hub.call_and_leave("DELETE", "/session", &Credential::Cookie(cookie));
    assert!(last_words(stream).await.contains(r#"{"reason":"session_ended"}"#));
    hub.engine.stop().await;
}

#[tokio::test]
async fn a_session_with_a_smaller_grant_keeps_no_stream_beyond_it_though_its_page_leaves() {
    let hub = Hub::new();
    let cookie = hub.sign_in(&reader(&["a", "b"])).await;
    let stream = hub.subscribe("/events/b", &Credential::Cookie(cookie.clone())).await;
    hub.call_and_leave("POST", "/session", &Credential::Both(reader(&["a"]), cookie));
    assert!(last_words(stream).await.contains(r#"{"reason":"grant_narrowed"}"#));
    hub.engine.stop().await;
}
