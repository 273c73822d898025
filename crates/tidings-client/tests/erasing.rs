//! Erasing, at hubs that take their time and over a network that loses answers.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use tidings_client::{
    Body, EraseError, EraseTarget, Erased, EventId, Publisher, SendFuture, Transport,
    TransportError,
};

/// What becomes of one request: it is lost, or answered.
type Fate = Option<(u16, &'static str)>;

#[derive(Clone)]
struct Hub(Arc<Mutex<State>>);

struct State {
    fates: VecDeque<Fate>,
    requests: Vec<String>,
}

impl Hub {
    fn with(fates: impl IntoIterator<Item = Fate>) -> Self {
        let fates = fates.into_iter().collect();
        Self(Arc::new(Mutex::new(State { fates, requests: Vec::new() })))
    }

    async fn erase(&self, target: EraseTarget<'_>) -> Result<Erased, EraseError> {
        let publisher = Publisher::builder("http://hub/").transport(self.clone());
        publisher.retries_max(2).build().unwrap().erase("users/7", target).await
    }

    /// The paths that were asked for, with their queries.
    fn requests(&self) -> Vec<String> {
        self.0.lock().unwrap().requests.clone()
    }
}

impl Transport for Hub {
    fn send(&self, request: Request<Body>) -> SendFuture {
        assert_eq!(request.method(), Method::DELETE);
        let mut state = self.0.lock().unwrap();
        let path = request.uri().path_and_query().unwrap().to_string();
        state.requests.push(path);
        let fate = state.fates.pop_front().expect("no more requests");
        Box::pin(async move {
            let Some((status, text)) = fate else {
                return Err(TransportError::exchange("lost by the test"));
            };
            let mut response = Response::new(Body::from(Bytes::from_static(text.as_bytes())));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok(response)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_erasure_that_is_under_way_is_waited_for() {
    let under_way = Some((202, "{\"erased\":null}"));
    let hub = Hub::with([under_way, None, under_way, Some((200, "{\"erased\":3}"))]);
    let erased = hub.erase(EraseTarget::Topic).await.unwrap();
    assert_eq!((erased.events, erased.repeated, erased.note), (3, true, None));
    assert_eq!(hub.requests(), ["/events/users/7?erase"; 4]);
    let hub = Hub::with([Some((200, "{\"erased\":1,\"note\":\"others have them\"}"))]);
    let erased = hub.erase(EraseTarget::Topic).await.unwrap();
    assert_eq!((erased.events, erased.note.as_deref()), (1, Some("others have them")));
    assert!(!erased.repeated);
}

#[tokio::test(start_paused = true)]
async fn an_id_or_a_key_never_means_the_whole_topic() {
    let no = Some((400, "{\"code\":\"invalid_query\"}"));
    let hub = Hub::with([no; 3]);
    let id = EventId::new("1&erase").unwrap();
    hub.erase(EraseTarget::Event(&id)).await.unwrap_err();
    for key in ["a b&erase", ""] {
        hub.erase(EraseTarget::Key(key)).await.unwrap_err();
    }
    let expected = ["erase=1%26erase", "key=a%20b%26erase&erase", "key=&erase"];
    assert_eq!(hub.requests(), expected.map(|query| format!("/events/users/7?{query}")));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_erased_is_not_asked_for_again() {
    let problem = Some((501, "{\"code\":\"erase_unsupported\",\"detail\":\"shared\"}"));
    let error = Hub::with([problem]).erase(EraseTarget::Topic).await.unwrap_err();
    assert_eq!(error.problem().unwrap().code, "erase_unsupported");
    assert_eq!(error.to_string(), "the hub rejected the request");

    let hub = Hub::with([None, None, None]);
    let error = hub.erase(EraseTarget::Key("k")).await.unwrap_err();
    assert!(matches!(error, EraseError::Unanswered { retries: 2, .. }), "{error:?}");
    let said = "the hub did not say whether the events are erased, even with 2 more tries";
    assert_eq!(error.to_string(), said);

    // A success that says something else, or that the work goes on although it does not.
    for (status, text) in [(200, "<h1>Hello</h1>"), (200, "{\"erased\":null}"), (200, "{}")] {
        let error = Hub::with([Some((status, text))]).erase(EraseTarget::Topic).await.unwrap_err();
        assert!(matches!(error, EraseError::NotAHub(_)), "{text}: {error:?}");
    }
}
