//! `request-*` and `eventsource-*`.

use tidings_client::{Item, ReadyState};

use crate::handlers::Handlers;
use crate::{builder, event, item, source};

/// `request-accept.htm`, 500d1c779e50579345d3f9c1555c30d9f0af0f90.
#[tokio::test]
async fn accept_header() {
    let handlers = Handlers::start().await;
    let mut source = source(&handlers, "/accept.event_stream");
    assert_eq!(event(&mut source).await.data(), "text/event-stream");
}

/// `request-cache-control.any.js`, 5f9fb0d9f20d97adc6e6c9ee47cb8f14558d52ed.
#[tokio::test]
async fn cache_control_header() {
    let handlers = Handlers::start().await;
    // Twice, to see whether it stays.
    for _ in 0..2 {
        let mut source = source(&handlers, "/cache-control.event_stream");
        assert_eq!(event(&mut source).await.data(), "no-cache");
    }
}

/// `request-credentials.htm`, ec1a757b3207cc747a5618a157acefa480ebf2b2, as far as it applies:
/// cookies are sent if the caller says so, and none is made up.
#[tokio::test]
async fn credentials() {
    let handlers = Handlers::start().await;
    let mut with =
        builder(&handlers, "/cookie.event_stream?1").header("cookie", "a=b").open().unwrap();
    let mut without = source(&handlers, "/cookie.event_stream?2");
    for _ in 0..2 {
        assert_eq!(event(&mut with).await.data(), "a=b");
        assert_eq!(event(&mut without).await.data(), "");
    }
}

/// `request-redirect.htm`, 372e9038d3e1ae38fc6e787a766879ebde5f41ee.
#[tokio::test]
async fn redirect() {
    for status in [301, 302, 303, 307] {
        let handlers = Handlers::start().await;
        let path = format!("/redirect.py?location=/message.py&status={status}");
        let mut source = source(&handlers, &path);
        assert!(matches!(item(&mut source).await, Item::Open(_)));
        assert_eq!(source.ready_state(), ReadyState::Open);
    }
}

/// `request-status-error.htm`, 96863b45b76653628b77b9bd1d5adf742b0bfade.
#[tokio::test]
async fn incorrect_http_status_code() {
    for status in [204, 205, 210, 299, 404, 410, 503] {
        let handlers = Handlers::start().await;
        let mut source = source(&handlers, &format!("/status-error.py?status={status}"));
        let error = source.next().await.unwrap().unwrap_err();
        assert_eq!(error.status().unwrap(), status);
        assert_eq!(source.ready_state(), ReadyState::Closed);
        assert!(source.next().await.is_none());
    }
}

/// `eventsource-reconnect.htm`, a6939b762c17232c34a47adf2a9ef275b7f950f8, first half.
#[tokio::test]
async fn reconnection() {
    let handlers = Handlers::start().await;
    let mut source = source(&handlers, "/status-reconnect.py?status=200");
    assert_eq!(event(&mut source).await.data(), "data");
}

/// `eventsource-reconnect.htm`, a6939b762c17232c34a47adf2a9ef275b7f950f8, second half.
#[tokio::test]
async fn reconnection_events() {
    let handlers = Handlers::start().await;
    let mut source = source(&handlers, "/status-reconnect.py?status=200&ok_first&id=2");
    assert!(matches!(item(&mut source).await, Item::Open(_)));
    assert_eq!(event(&mut source).await.data(), "ok");
    assert!(matches!(item(&mut source).await, Item::Reconnecting(_)));
    assert_eq!(source.ready_state(), ReadyState::Connecting);
    assert_eq!(event(&mut source).await.data(), "data");
}

/// `eventsource-close.window.js`, 1767893da17e66b24d01ae3b35866e14b20d4b0f, first half.
#[tokio::test]
async fn close_from_within_open() {
    let handlers = Handlers::start().await;
    let mut source = source(&handlers, "/message.py");
    assert_eq!(source.ready_state(), ReadyState::Connecting);
    assert!(matches!(item(&mut source).await, Item::Open(_)));
    assert_eq!(source.ready_state(), ReadyState::Open);
    source.close();
    assert_eq!(source.ready_state(), ReadyState::Closed);
    assert!(source.next().await.is_none());
}

/// `eventsource-close.window.js`, 1767893da17e66b24d01ae3b35866e14b20d4b0f, second half.
#[tokio::test]
async fn reconnect_then_fail() {
    let handlers = Handlers::start().await;
    let mut source = source(&handlers, "/reconnect-fail.py?id=1");
    for data in ["opened", "reconnected"] {
        assert!(matches!(item(&mut source).await, Item::Open(_)));
        assert_eq!(event(&mut source).await.data(), data);
        assert!(matches!(item(&mut source).await, Item::Reconnecting(_)));
        assert_eq!(source.ready_state(), ReadyState::Connecting);
    }
    let error = source.next().await.unwrap().unwrap_err();
    assert!(error.is_no_content());
    assert_eq!(source.ready_state(), ReadyState::Closed);
    assert!(source.next().await.is_none());
    assert_eq!(handlers.visits("/reconnect-fail.py?id=1"), 3);
}

/// `eventsource-request-cancellation.any.js`, 1767893da17e66b24d01ae3b35866e14b20d4b0f: closing
/// stands in for `window.stop()`.
#[tokio::test]
async fn request_cancellation() {
    let handlers = Handlers::start().await;
    let path = "/message.py?sleep=1000&message=retry%3A1000%0Adata%3Aabc%0A%0A";
    let mut source = source(&handlers, path);
    let handle = source.handle();
    tokio::spawn(async move { handle.close() });
    assert!(source.next().await.is_none());
    assert_eq!(source.ready_state(), ReadyState::Closed);
    assert!(handlers.visits(path) <= 1);
}
