//! Our client renews its token at our hub.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tidings_client::{
    Backoff, Cause, Event, EventSource, HttpTransport, Item, Publisher, TokenNeed,
};
use tidings_server::{ApiKey, JwtKey};
use tidings_testkit::server::TestServer;
use tidings_testkit::token::hs256;
use tokio::runtime::Runtime;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const KEY: &str = "key-0123456789abcdef";

/// Longest wait for anything. The hub ends tokens by the second.
const PATIENCE: Duration = Duration::from_secs(60);

fn server() -> TestServer {
    TestServer::builder()
        .config(|config| {
            config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
            config.http.api_keys = vec![ApiKey::new("k", KEY, &["**"], &["**"]).unwrap()];
        })
        .start()
}

/// The server has a runtime, which cannot be dropped inside another.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn token(subject: &str, left_s: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    hs256(&json!({"sub": subject, "exp": now + left_s, "tidings": {"subscribe": ["a"]}}), SECRET)
}

/// A source whose tokens are made by `make`.
fn source(
    server: &TestServer,
    transport: HttpTransport,
    mut make: impl FnMut(TokenNeed) -> Result<String, &'static str> + Send + 'static,
) -> EventSource {
    EventSource::builder(&server.url("/events/a"))
        .transport(transport)
        .retry_policy(Backoff::new().cap(Duration::from_millis(100)).jitter(0.0))
        .token_provider(move |need| {
            let token = make(need).map_err(Into::into);
            async { token }
        })
        .open()
        .unwrap()
}

async fn next(source: &mut EventSource) -> Item {
    let item = tokio::time::timeout(PATIENCE, source.next()).await;
    item.expect("an item in time").unwrap().unwrap()
}

async fn publish(server: &TestServer, data: &str) {
    let publisher = Publisher::builder(&server.url("")).bearer_token(KEY).build().unwrap();
    publisher.publish("a", &Event::new(data)).await.unwrap();
}

#[test]
fn a_source_reads_on_with_one_token_after_the_other_on_one_connection() {
    for transport in [HttpTransport::new(), HttpTransport::http2_prior_knowledge()] {
        let server = server();
        let made = Arc::new(AtomicUsize::new(0));
        runtime().block_on(async {
            let count = made.clone();
            let mut source = source(&server, transport, move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                Ok(token("7", 4))
            });
            assert!(matches!(next(&mut source).await, Item::Open(_)));
            let mut sent = 0;
            while made.load(Ordering::Relaxed) < 5 {
                publish(&server, &sent.to_string()).await;
                // Neither the hub's word nor the renewal is an item.
                match next(&mut source).await {
                    Item::Event(event) => assert_eq!(event.data(), sent.to_string()),
                    other => panic!("{other:?}"),
                }
                sent += 1;
                let pause = Duration::from_millis(100);
                let _ = tokio::time::timeout(pause, source.next()).await.map(|other| {
                    panic!("nothing was published: {other:?}");
                });
            }
        });
    }
}

#[test]
fn a_source_whose_token_the_connection_does_not_get_resumes_on_another() {
    let server = server();
    let needs = Arc::new(Mutex::new(Vec::new()));
    runtime().block_on(async {
        let noted = needs.clone();
        let mut source = source(&server, HttpTransport::new(), move |need| {
            let is_renewal = matches!(need, TokenNeed::Renewal { .. });
            noted.lock().unwrap().push(is_renewal);
            Ok(token(if is_renewal { "8" } else { "7" }, if is_renewal { 600 } else { 3 }))
        });
        assert!(matches!(next(&mut source).await, Item::Open(_)));
        publish(&server, "one").await;
        assert!(matches!(next(&mut source).await, Item::Event(_)));
        match next(&mut source).await {
            Item::Reconnecting(lost) => {
                assert!(matches!(lost.cause, Cause::NotRenewed(status) if status == 409));
                assert!(lost.wait.is_zero(), "at once");
            }
            other => panic!("{other:?}"),
        }
        publish(&server, "two").await;
        assert!(matches!(next(&mut source).await, Item::Open(_)));
        assert!(matches!(next(&mut source).await, Item::Event(event) if event.data() == "two"));
    });
    assert_eq!(*needs.lock().unwrap(), [false, true, false]);
}

#[test]
fn a_provider_that_fails_costs_a_reconnection_and_no_event() {
    let server = server();
    runtime().block_on(async {
        let mut source = source(&server, HttpTransport::new(), |need| match need {
            TokenNeed::Renewal { left } if left <= Duration::from_secs(2) => Err("out of order"),
            _ => Ok(token("7", 4)),
        });
        assert!(matches!(next(&mut source).await, Item::Open(_)));
        match next(&mut source).await {
            Item::Reconnecting(lost) => assert!(!matches!(lost.cause, Cause::NotRenewed(_))),
            other => panic!("{other:?}"),
        }
        publish(&server, "meanwhile").await;
        assert!(matches!(next(&mut source).await, Item::Open(_)));
        let event = next(&mut source).await.into_event().unwrap();
        assert_eq!(event.data(), "meanwhile");
    });
}

#[test]
fn a_token_that_is_rejected_is_replaced_once() {
    let server = server();
    runtime().block_on(async {
        let refused = Arc::new(Mutex::new(Vec::new()));
        let noted = refused.clone();
        let mut source = source(&server, HttpTransport::new(), move |need| {
            let TokenNeed::Attempt(attempt) = need else { panic!("{need:?}") };
            noted.lock().unwrap().push(attempt.refused.map(|status| status.as_u16()));
            Ok(if attempt.refused.is_some() { token("7", 600) } else { "stale".to_owned() })
        });
        assert!(matches!(next(&mut source).await, Item::Reconnecting(_)));
        assert!(matches!(next(&mut source).await, Item::Open(_)));
        assert_eq!(*refused.lock().unwrap(), [None, Some(401)]);
    });
    runtime().block_on(async {
        let mut source = source(&server, HttpTransport::new(), |_| Ok("never good".to_owned()));
        assert!(matches!(next(&mut source).await, Item::Reconnecting(_)));
        let end = tokio::time::timeout(PATIENCE, source.next()).await.unwrap().unwrap();
        assert_eq!(end.unwrap_err().status().unwrap(), 401);
    });
}
