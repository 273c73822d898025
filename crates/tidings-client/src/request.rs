//! `EventSourceBuilder`: the request of a source, and how it reconnects.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, HeaderValue, Method};
use tidings_codec::{Decoder, EventId};

use crate::error::OpenError;
use crate::given_headers::GivenHeaders;
use crate::hook::Hook;
use crate::limits::EVENT_BYTES_MAX;
use crate::redirect::RememberRedirects;
use crate::session::{LAST_EVENT_ID, Session, SessionConfig};
use crate::target::Target;
use crate::token_provider::TokenProvider;
use crate::{
    Attempt, Backoff, EventSource, HttpTransport, LastIdStore, RetryPolicy, TokenNeed, Transport,
};

/// The request of a source, and how it reconnects. Made by [`EventSource::builder`].
#[must_use = "a source must be opened"]
pub struct EventSourceBuilder {
    url: String,
    method: Method,
    headers: GivenHeaders,
    body: Bytes,
    last_event_id: Option<EventId>,
    last_id_store: Option<Box<dyn LastIdStore>>,
    comments: bool,
    one_shot: bool,
    event_bytes_max: usize,
    idle_timeout: Option<Duration>,
    policy: Box<dyn RetryPolicy>,
    remember_redirects: RememberRedirects,
    hook: Option<Hook>,
    token_provider: Option<TokenProvider>,
    transport: Option<Arc<dyn Transport>>,
}

impl EventSource {
    /// Opens a source on `url` with default settings.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it is not an `http` or `https` URL.
    pub fn open(url: &str) -> Result<Self, OpenError> {
        Self::builder(url).open()
    }

    /// A builder for a source with other settings.
    pub fn builder(url: &str) -> EventSourceBuilder {
        EventSourceBuilder::new(url)
    }
}

impl EventSourceBuilder {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            method: Method::GET,
            headers: GivenHeaders::new(),
            body: Bytes::new(),
            last_event_id: None,
            last_id_store: None,
            comments: false,
            one_shot: false,
            event_bytes_max: EVENT_BYTES_MAX,
            idle_timeout: None,
            policy: Box::new(Backoff::new()),
            remember_redirects: RememberRedirects::default(),
            hook: None,
            token_provider: None,
            transport: None,
        }
    }

    /// Uses a method other than GET, in every attempt.
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Sends a body. Every attempt sends it again, unless a redirect turned it into a GET.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends a header, replacing one of the same name, even `Accept`. `Last-Event-ID` says where to
    /// begin, like [`last_event_id`](Self::last_event_id), and follows the events from then on.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sends headers with every request, replacing those of the same names; several values of one
    /// name are all sent.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.replace(headers);
        self
    }

    /// Sends `Authorization: Bearer` with a token. It goes to the origin of the URL, and is not
    /// sent along when a redirect leads elsewhere. For tokens that expire see
    /// [`token_provider`](Self::token_provider).
    pub fn bearer_token(mut self, token: &str) -> Self {
        self.headers.insert_bearer_token(token);
        self
    }

    /// Resumes after this id. An id in a [store](Self::last_id_store) takes precedence; one given
    /// as a header does not.
    pub fn last_event_id(mut self, id: EventId) -> Self {
        self.last_event_id = Some(id);
        self
    }

    /// Stores the last event id so that it outlives the process.
    pub fn last_id_store(mut self, store: impl LastIdStore) -> Self {
        self.last_id_store = Some(Box::new(store));
        self
    }

    /// Yields comments too: [`Item::Comment`](crate::Item::Comment).
    pub fn comments(mut self, wanted: bool) -> Self {
        self.comments = wanted;
        self
    }

    /// Never reconnects. The end of the response is the end of the source, and any other reason to
    /// reconnect is an error. For streams that happen once, such as an answer from a language
    /// model.
    pub fn one_shot(mut self) -> Self {
        self.one_shot = true;
        self
    }

    /// Maximum size of one event: [16 MiB](EVENT_BYTES_MAX) by default. A larger one is [left
    /// out](crate::Item::Skipped).
    pub fn event_bytes_max(mut self, bytes: usize) -> Self {
        self.event_bytes_max = bytes;
        self
    }

    /// Considers a connection lost when nothing has come for this long, not even a comment. Set it
    /// to several times the server's heartbeat. By default there is no such limit (the standard has
    /// none), and the kernel finds a vanished peer in about two minutes.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// Sets the policy that decides whether and when to reconnect: [`Backoff`] by default.
    pub fn retry_policy(mut self, policy: impl RetryPolicy) -> Self {
        self.policy = Box::new(policy);
        self
    }

    /// Sets which URL to reconnect to after redirects.
    pub fn remember_redirects(mut self, remember: RememberRedirects) -> Self {
        self.remember_redirects = remember;
        self
    }

    /// Calls `hook` before each attempt. The headers it returns, such as a new token, replace those
    /// of the same names, except `Last-Event-ID`: the source knows how far it has got. If the hook
    /// fails, the attempt has failed, and the retry policy decides.
    pub fn on_attempt<H, F>(mut self, mut hook: H) -> Self
    where
        H: FnMut(Attempt) -> F + Send + 'static,
        F: Future<Output = Result<HeaderMap, Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        self.hook = Some(Box::new(move |attempt| Box::pin(hook(attempt))));
        self
    }

    /// Asks `provider` for a token before each attempt, and sends it as
    /// [`bearer_token`](Self::bearer_token) does. Before the token expires, a Tidings hub announces
    /// that: the provider is asked again, and the stream continues on its connection with the new
    /// token. That needs no attention; where the server does not accept the token for the running
    /// connection, the source [reconnects] with it at once, and resumes.
    ///
    /// If the provider fails, or the server does not answer, during a renewal, the connection lasts
    /// as long as its old token. An attempt that is answered 401 is repeated once, with another
    /// token. As everything else, tokens are renewed only while the source is read.
    ///
    /// ```no_run
    /// use tidings_client::{EventSource, TokenNeed};
    ///
    /// # async fn token_from_backend() -> Result<String, std::io::Error> { unimplemented!() }
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut source = EventSource::builder("https://hub.example.org/events/orders")
    ///     .token_provider(|_need: TokenNeed| async { Ok(token_from_backend().await?) })
    ///     .open()?;
    /// while let Some(event) = source.next_event().await {
    ///     println!("{}", event?.data());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [reconnects]: crate::Item::Reconnecting
    pub fn token_provider<P, F>(mut self, mut provider: P) -> Self
    where
        P: FnMut(TokenNeed) -> F + Send + 'static,
        F: Future<Output = Result<String, Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        self.token_provider = Some(Box::new(move |need| Box::pin(provider(need))));
        self
    }

    /// Uses another transport, for example a shared one. By default each source has its own
    /// [`HttpTransport`].
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Opens the source, which connects when it is first read.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if a given value is invalid.
    pub fn open(mut self) -> Result<EventSource, OpenError> {
        let (target, credentials) = Target::parse(&self.url)?;
        let mut headers = self.headers.finish(credentials)?;
        let given_id = headers.remove(LAST_EVENT_ID).map(|value| given_id(&value)).transpose()?;
        // Headers that the standard requires (HTML §9.2.2, step 9; Fetch §4.6 for the cache mode
        // `no-store`).
        for (name, value) in
            [(ACCEPT, "text/event-stream"), (CACHE_CONTROL, "no-cache"), (PRAGMA, "no-cache")]
        {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }

        let mut decoder = Decoder::new().with_event_bytes_max(self.event_bytes_max);
        if self.comments {
            decoder = decoder.with_comments();
        }
        let mut stored_id = None;
        if let Some(store) = &mut self.last_id_store {
            stored_id = store.load().map_err(OpenError::LastIdStore)?;
        }
        if let Some(id) = stored_id.or(self.last_event_id).or(given_id.flatten()) {
            decoder = decoder.with_last_event_id(&id);
        }

        let config = SessionConfig {
            target,
            method: self.method,
            headers,
            body: self.body,
            one_shot: self.one_shot,
            renews: self.token_provider.is_some(),
            remember_redirects: self.remember_redirects,
            idle_timeout: self.idle_timeout,
            policy: self.policy,
        };
        let transport = self.transport.unwrap_or_else(|| Arc::new(HttpTransport::new()));
        Ok(EventSource::new(
            |now| Session::new(config, decoder, now),
            transport,
            self.hook,
            self.token_provider,
            self.last_id_store,
        ))
    }
}

/// The id in a given `Last-Event-ID` header; `None` if it is empty.
fn given_id(value: &HeaderValue) -> Result<Option<EventId>, OpenError> {
    let text = String::from_utf8(value.as_bytes().to_vec());
    let text = text.map_err(|_| OpenError::LastEventId)?;
    if text.is_empty() {
        return Ok(None);
    }
    EventId::new(text).map(Some).map_err(|_| OpenError::LastEventId)
}
