//! `LiveState`: the state of topics by key, over an event source.

use url::Url;

use crate::error::InvalidUrl;
use crate::limits::RECONNECTION_TIME_MAX;
use crate::state_map::StateMap;
use crate::{Change, EventSource, EventSourceBuilder, Item, OpenError, StateError};

/// What each key of some topics of a Tidings hub stands for, and how that changes.
///
/// ```no_run
/// use tidings_client::LiveState;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let mut stocks = LiveState::open("http://127.0.0.1:3000", &["stocks"])?;
/// stocks.load().await?;
/// println!("{:?} of {}", stocks.get("stocks", "ACME"), stocks.len());
/// while let Some(change) = stocks.next().await {
///     let change = change?;
///     println!("{}: {:?}", change.key, change.value);
/// }
/// # Ok(())
/// # }
/// ```
///
/// It is empty until it is [complete](Self::is_complete), and never half of a state: after a reset
/// the old one stays until all of the new one is here, and the [changes](Self::next) then say what
/// differs. A value that was published in pieces (`append`) is put together; one that grows inside
/// its JSON is written anew with each piece.
///
/// Nothing is read unless [`load`](Self::load) or [`next`](Self::next) is awaited.
#[derive(Debug)]
pub struct LiveState {
    source: EventSource,
    map: StateMap,
    /// Whether the hub was asked at once, instead of after a day, if anything comes any more.
    has_asked: bool,
}

impl LiveState {
    /// Subscribes to the state of topics and patterns (`*` is one segment, a last `**` the rest)
    /// at a hub, whose URL is without `/events`.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it is not an `http` or `https` URL.
    pub fn open(hub: &str, topics: &[&str]) -> Result<Self, OpenError> {
        Self::open_with(hub, topics, |builder| builder)
    }

    /// The same with other settings of its source, such as a token.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if a given value is invalid.
    pub fn open_with(
        hub: &str,
        topics: &[&str],
        configure: impl FnOnce(EventSourceBuilder) -> EventSourceBuilder,
    ) -> Result<Self, OpenError> {
        let mut url = Url::parse(hub).map_err(InvalidUrl::Syntax)?;
        url.path_segments_mut().map_err(|()| InvalidUrl::Scheme)?.pop_if_empty().push("events");
        let mut query = url.query_pairs_mut();
        query.extend_pairs(topics.iter().map(|topic| ("topic", topic)));
        query.append_pair("from", "state").append_pair("envelope", "json");
        drop(query);
        let source = configure(EventSource::builder(url.as_str())).open()?;
        Ok(Self { source, map: StateMap::new(), has_asked: false })
    }

    /// Reads until the state is complete. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`StateError`]; then no more comes.
    pub async fn load(&mut self) -> Result<(), StateError> {
        while !self.is_complete() {
            if !self.read().await? {
                return Err(StateError::Ended);
            }
        }
        Ok(())
    }

    /// The next change of a complete state; `None` when all topics have ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<Change, StateError>> {
        loop {
            if let Some(change) = self.map.next_change() {
                return Some(Ok(change));
            }
            match self.read().await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Whether the state has been complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.map.is_complete()
    }

    /// The value of a key; of events without a key with `""`.
    #[must_use]
    pub fn get(&self, topic: &str, key: &str) -> Option<&str> {
        self.map.get(topic, key)
    }

    /// Topic, key and value of all that is there, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.map.iter()
    }

    /// Number of keys, of all topics.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.iter().count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.iter().next().is_none()
    }

    /// Ends the subscription. What was read stays.
    pub fn close(&mut self) {
        self.source.close();
    }

    /// Takes what comes next; false if nothing comes any more.
    async fn read(&mut self) -> Result<bool, StateError> {
        match self.source.next().await {
            None => return Ok(false),
            Some(Err(error)) if error.is_no_content() => return Ok(false),
            Some(Err(error)) => return Err(StateError::Read(error)),
            Some(Ok(Item::Event(event))) => self.map.take(&event)?,
            // With the end of the last topic the hub asks for a day of patience, for the sake of
            // clients that would reconnect for ever. It answers 204 at once as well.
            Some(Ok(Item::Reconnecting(lost))) if lost.wait > RECONNECTION_TIME_MAX / 2 => {
                if !self.has_asked {
                    self.source.handle().restart();
                }
                self.has_asked = true;
            }
            Some(Ok(_)) => {}
        }
        Ok(true)
    }
}
