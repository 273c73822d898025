//! The clients, each used as its documentation shows.

use eventsource_client::{Client as _, SSE};
use futures_util::StreamExt;

#[derive(Debug, Clone, Copy)]
pub enum Client {
    Tidings,
    EventsourceClient,
    ReqwestEventsource,
}

impl Client {
    pub const ALL: [Self; 3] = [Self::Tidings, Self::EventsourceClient, Self::ReqwestEventsource];

    pub fn name(self) -> &'static str {
        match self {
            Self::Tidings => "tidings-client",
            Self::EventsourceClient => "eventsource-client 0.17.4",
            Self::ReqwestEventsource => "reqwest-eventsource 0.6.0",
        }
    }

    /// Reads this many events. Returns the numbers of events and of bytes of data.
    pub async fn read(self, url: &str, events: u64) -> (u64, u64) {
        match self {
            Self::Tidings => tidings(url, events).await,
            Self::EventsourceClient => eventsource_client(url, events).await,
            Self::ReqwestEventsource => reqwest_eventsource(url, events).await,
        }
    }
}

async fn tidings(url: &str, events: u64) -> (u64, u64) {
    let mut source = tidings_client::EventSource::open(url).expect("a url");
    let (mut count, mut bytes) = (0, 0);
    while count < events {
        let item = source.next().await.expect("the stream continues");
        if let tidings_client::Item::Event(event) = item.expect("no error") {
            assert_eq!(event.last_event_id().map_or(0, |id| id.as_str().len()), 10);
            count += 1;
            bytes += event.data().len() as u64;
        }
    }
    (count, bytes)
}

async fn eventsource_client(url: &str, events: u64) -> (u64, u64) {
    let transport = launchdarkly_sdk_transport::HyperTransport::new().expect("a transport");
    let client = eventsource_client::ClientBuilder::for_url(url)
        .expect("a url")
        .build_with_transport(transport);
    let mut stream = client.stream();
    let (mut count, mut bytes) = (0, 0);
    while count < events {
        let item = stream.next().await.expect("the stream continues");
        if let SSE::Event(event) = item.expect("no error") {
            assert_eq!(event.id.map_or(0, |id| id.len()), 10);
            count += 1;
            bytes += event.data.len() as u64;
        }
    }
    (count, bytes)
}

async fn reqwest_eventsource(url: &str, events: u64) -> (u64, u64) {
    let mut source = reqwest_eventsource::EventSource::get(url);
    let (mut count, mut bytes) = (0, 0);
    while count < events {
        let item = source.next().await.expect("the stream continues");
        if let reqwest_eventsource::Event::Message(event) = item.expect("no error") {
            assert_eq!(event.id.len(), 10);
            count += 1;
            bytes += event.data.len() as u64;
        }
    }
    (count, bytes)
}
