//! `Publisher`: publishes to the native API, exactly once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request};
use tidings_codec::{Event, EventId};

use crate::{Body, OpenError, Transport};

mod answer;
mod builder;
mod erase;
mod error;
mod exchange;
mod keyed;
mod line;
mod remove;
mod run;
mod stream;
mod terms;
mod topic_path;

pub use answer::{Published, Summary};
pub use builder::PublisherBuilder;
pub use erase::{EraseError, EraseTarget, Erased};
pub use error::{Problem, PublishError};
pub use keyed::Keyed;
pub use run::{PublishRun, RunBuilder};
pub use stream::PublishStream;

use exchange::{Replay, with_retries};
use terms::Terms;

/// Publishes events to a hub.
///
/// A failed publish is retried, and yet never published twice: every event has an id, and a hub
/// that already has an event with that id says so and publishes nothing. An event without an id
/// gets one here, unless [that is turned off](PublisherBuilder::assign_ids): then it is retried
/// only if it was certainly not published.
///
/// Clones share the connections.
///
/// ```no_run
/// use tidings_client::{Event, Publisher};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let publisher = Publisher::new("http://127.0.0.1:8080")?;
/// let published = publisher.publish("scores/4", &Event::new("2:1")).await?;
/// println!("stored as {}", published.id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Publisher {
    inner: Arc<Inner>,
    terms: Terms,
}

struct Inner {
    /// The hub's URL, without a slash at its end.
    base: String,
    headers: HeaderMap,
    transport: Arc<dyn Transport>,
    answer_wait_max: Duration,
    retries_max: u32,
    ids: Option<Ids>,
}

impl Publisher {
    /// A publisher to the hub at this URL.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it is not an `http` or `https` URL.
    pub fn new(hub: &str) -> Result<Self, OpenError> {
        Self::builder(hub).build()
    }

    fn from_inner(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), terms: Terms::default() }
    }

    /// A builder for a publisher with other settings.
    pub fn builder(hub: &str) -> PublisherBuilder {
        PublisherBuilder::new(hub)
    }

    /// This publisher, for events that history has only this long: from 1 second to 366 days,
    /// rounded up to whole seconds. Subscribers that are there get them in any case. Not for the
    /// events of a [run](Self::run).
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use tidings_client::{Event, Publisher};
    /// # async fn run(publisher: Publisher) -> Result<(), tidings_client::PublishError> {
    /// let briefly = publisher.with_ttl(Duration::from_secs(60));
    /// briefly.publish("typing/7", &Event::new("Ada")).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_ttl(&self, ttl: Duration) -> Self {
        Self { inner: self.inner.clone(), terms: Terms { ttl: Some(ttl), ..self.terms.clone() } }
    }

    /// This publisher, for events that are added to the value of a key: subscribers that are there
    /// get the piece, and the state of the topic has one event with all of the value. Their data is
    /// text; or with `at`, a JSON pointer such as `/delta`, it is JSON, and the string there grows.
    /// Neither together with a time to live, nor for the events of a [run](Self::run).
    ///
    /// ```no_run
    /// # use tidings_client::{Event, Publisher};
    /// # async fn run(publisher: Publisher) -> Result<(), tidings_client::PublishError> {
    /// let answer = publisher.appending("message-12", None);
    /// for word in ["The", " sky", " is blue"] {
    ///     answer.publish("chats/7", &Event::new(word)).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn appending(&self, key: &str, at: Option<&str>) -> Self {
        self.with_keyed(Keyed::piece(key, at))
    }

    /// This publisher, for events that are each the value of a key from then on: subscribers that
    /// are there get them like any other, and the state of the topic has the newest one. Not for
    /// the events of a [run](Self::run). [`remove`](Self::remove) ends a key.
    ///
    /// ```no_run
    /// # use tidings_client::{Event, Publisher};
    /// # async fn run(publisher: Publisher) -> Result<(), tidings_client::PublishError> {
    /// publisher.keyed("ACME").publish("stocks", &Event::new("17.3")).await?;
    /// publisher.remove("stocks", "ACME").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn keyed(&self, key: &str) -> Self {
        self.with_keyed(Keyed::whole(key))
    }

    /// [`keyed`](Self::keyed) or [`appending`](Self::appending), for a program to which it is said
    /// which of them.
    #[must_use]
    pub fn with_keyed(&self, keyed: Keyed) -> Self {
        let keyed = Some(keyed);
        Self { inner: self.inner.clone(), terms: Terms { keyed, ..self.terms.clone() } }
    }

    /// Publishes one event, and waits until it is stored.
    ///
    /// Not cancel-safe: dropping the future aborts the request, and the event may or may not be
    /// published. Publishing it again is safe if it has its own id.
    ///
    /// # Errors
    ///
    /// [`PublishError`], which says whether the event may have been published.
    pub async fn publish(&self, topic: &str, event: &Event) -> Result<Published, PublishError> {
        let assigned = self.id_for(event);
        let id = assigned.as_ref().or(event.id.as_ref());
        let replay = Replay::if_named(id.is_some());
        let is_ours = assigned.is_some();
        let Some(path) = topic_path::with_query(topic, event, id, &self.terms) else {
            // The topic cannot stand in a path, so it travels in a line.
            let line = Bytes::from(line::encode(topic, event, id, &self.terms));
            let answer = with_retries(self, replay, || self.lines_request(line.clone().into()));
            return answer.await?.published_by_line(is_ours);
        };
        let data = Bytes::copy_from_slice(event.data.as_bytes());
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        let answer =
            with_retries(self, replay, || self.request(&path, text.clone(), data.clone().into()));
        answer.await?.published(is_ours)
    }

    /// Publishes several events in one request, in this order, and waits until they are stored.
    ///
    /// Not cancel-safe: dropping the future aborts the request, and any number of the events from
    /// the first on may be published. Publishing them again is safe if all have their own ids.
    ///
    /// # Errors
    ///
    /// [`PublishError`]. If the hub rejects one of the events, those before it may be published.
    pub async fn publish_all<'a>(
        &self,
        events: impl IntoIterator<Item = (&'a str, &'a Event)>,
    ) -> Result<Summary, PublishError> {
        let (mut lines, mut count) = (Vec::new(), 0);
        let mut replay = Replay::Safe;
        for (topic, event) in events {
            let assigned = self.id_for(event);
            let id = assigned.as_ref().or(event.id.as_ref());
            replay = replay.and(Replay::if_named(id.is_some()));
            line::append(&mut lines, topic, event, id, &self.terms);
            count += 1;
        }
        if lines.is_empty() {
            return Ok(Summary::default());
        }
        let lines = Bytes::from(lines);
        let request = || self.lines_request(lines.clone().into());
        with_retries(self, replay.of_several(), request).await?.summary(count)
    }

    /// Begins to publish a stream of events, of any length, in little memory.
    pub fn stream(&self) -> PublishStream {
        PublishStream::new(self.clone())
    }

    /// A run: a topic that this publisher alone begins, streams into and ends. Readers get all of
    /// it whenever they come, and know that it has ended; a client that ends the topic before stops
    /// the publisher.
    ///
    /// ```no_run
    /// use tidings_client::{Event, Publisher};
    ///
    /// # async fn run(publisher: Publisher) -> Result<(), tidings_client::PublishError> {
    /// let run = publisher.run("runs/7").will(Event::new("the producer was lost"));
    /// run.check().await?; // nobody has begun it
    /// let mut run = run.begin();
    /// for word in ["Streams", "that", "end"] {
    ///     run.send(&Event::new(word)).await?;
    /// }
    /// run.finish().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run(&self, topic: &str) -> RunBuilder {
        RunBuilder::new(self.clone(), topic)
    }

    /// An id for an event that has none, if this publisher gives ids.
    fn id_for(&self, event: &Event) -> Option<EventId> {
        match (&event.id, &self.inner.ids) {
            (None, Some(ids)) => Some(ids.next()),
            _ => None,
        }
    }

    fn lines_request(&self, body: Body) -> Request<Body> {
        let lines = HeaderValue::from_static("application/x-ndjson");
        self.request("/events", lines, body)
    }

    fn request(&self, path: &str, content_type: HeaderValue, body: Body) -> Request<Body> {
        let mut request = self.bare_request(Method::POST, path, body);
        request.headers_mut().insert(CONTENT_TYPE, content_type);
        request
    }

    /// A request without a body, and so without a type of it.
    fn delete_request(&self, path: &str) -> Request<Body> {
        self.bare_request(Method::DELETE, path, Body::empty())
    }

    fn bare_request(&self, method: Method, path: &str, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.inner.base)
            .parse()
            .expect("the base was parsed before, and the path is percent-encoded");
        *request.headers_mut() = self.inner.headers.clone();
        request
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("hub", &self.inner.base).finish_non_exhaustive()
    }
}

/// Unique ids: a random name for this publisher, and a number.
struct Ids {
    name: String,
    next: AtomicU64,
}

impl Ids {
    fn next(&self) -> EventId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        EventId::new(format!("{}-{number}", self.name)).expect("letters, digits and a hyphen")
    }
}
