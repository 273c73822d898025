//! The cases of web-platform-tests' `eventsource/` that do not need a browser, over real sockets,
//! against handlers made anew from the behaviour of those in `eventsource/resources/`.
//!
//! Beside each case stands the file it comes from and the commit at which we read it; where no
//! commit stands, we read a copy that names none. Not here, because they are about the DOM, CORS or
//! workers: `eventsource-constructor-*`, `-cross-origin*`, `-eventtarget`, `-onmessage*`,
//! `-onopen`, `-prototype`, `-url`, `eventsource-bfcache`, `dedicated-worker/`, `shared-worker/`.
//!
//! The cases are facts about the format; the code is ours. Theirs is under the 3-Clause BSD
//! licence, <https://github.com/web-platform-tests/wpt>.

#![allow(clippy::unwrap_used)]

#[path = "../wire/mod.rs"]
mod wire;

mod format;
mod handlers;
mod requests;

use std::time::Duration;

use handlers::Handlers;
use tidings_client::{Backoff, EventSource, EventSourceBuilder, Item, MessageEvent};
use url::form_urlencoded::byte_serialize;

/// A source of one of the handlers, without jitter.
fn source(handlers: &Handlers, path_and_query: &str) -> EventSource {
    builder(handlers, path_and_query).open().unwrap()
}

fn builder(handlers: &Handlers, path_and_query: &str) -> EventSourceBuilder {
    let policy = Backoff::new().jitter(0.0).floor(Duration::ZERO);
    EventSource::builder(&handlers.url(path_and_query)).retry_policy(policy)
}

/// The path of `message.py` for this message, blank line not included.
fn message(text: &str) -> String {
    let encoded: String = byte_serialize(text.as_bytes()).collect();
    format!("/message.py?message={encoded}")
}

/// The next event. Waits for a reconnection are passed over in no time.
async fn event(source: &mut EventSource) -> MessageEvent {
    loop {
        if let Item::Event(event) = item(source).await {
            return event;
        }
    }
}

/// The next item. The clock is set forward over the wait for a reconnection.
async fn item(source: &mut EventSource) -> Item {
    let item = source.next().await.unwrap().unwrap();
    if let Item::Reconnecting(lost) = &item {
        tokio::time::pause();
        tokio::time::advance(lost.wait).await;
        tokio::time::resume();
    }
    item
}

fn last_event_id(event: &MessageEvent) -> &str {
    event.last_event_id().map_or("", |id| id.as_str())
}
