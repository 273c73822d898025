//! Opens event streams, for every protocol.
//!
//! A protocol parses the request and decides how its streams look ([`StreamFace`]); the rest is the
//! same for all: `HEAD`, draining, quotas, the start in the log, rejections, topics that have
//! ended.

use std::sync::Arc;
use std::time::Instant;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, Version};
use tidings_engine::{OpenError, PendingSubscription, Rejection, SubscribeOptions};
use tidings_hub::{Interest, Start};

use crate::accept_encoding;
use crate::answer::{self, Answer};
use crate::auth::who::Who;
use crate::authorize::Authorized;
use crate::client::Client;
use crate::clock::{self, jittered_ms};
use crate::headers::TIDINGS_RENEW;
use crate::key_share::KeyShare;
use crate::lease::{self, Lease};
use crate::notify::Opened;
use crate::present::Identity;
use crate::quota::Key;
use crate::response_body::Response;
use crate::state::State;
use crate::stream::{EVENT_STREAM, SERVER_TIMING, Stream, server_timing};
use crate::trace;

/// The form of a protocol's event streams.
pub trait StreamFace: Send {
    /// The headers of every stream, of the answer to `HEAD`, and of a rejection.
    fn headers(&self) -> HeaderMap;

    /// The first bytes of the stream of `pending`, and its options. It may add `headers`.
    ///
    /// # Errors
    ///
    /// An answer in place of the stream, if this protocol cannot express how it would begin.
    fn begin(
        self,
        state: &State,
        pending: &PendingSubscription,
        headers: &mut HeaderMap,
    ) -> Result<SubscribeOptions, Box<Response>>;

    /// The bytes of a stream that is rejected for `reason`: they ask its client to reconnect after
    /// `retry_ms` milliseconds. It may add `headers`.
    fn reject(&self, reason: Rejection, retry_ms: u64, headers: &mut HeaderMap) -> Vec<u8>;

    /// The answer where every topic has ended and the client has all events. By default 204, the
    /// only status after which a browser does not reconnect (HTML §9.2.3).
    fn ended(&self, state: &State) -> Response {
        let _ = state;
        answer::empty(StatusCode::NO_CONTENT)
    }
}

/// A request for an event stream, as parsed by its protocol.
pub struct StreamRequest<'a, F> {
    /// The wanted matchers, and those that the caller may read.
    pub interest: Interest,
    /// Where to begin.
    pub start: Start,
    /// The key by which the token is counted, if it is.
    pub token: Option<Key>,
    /// Limits shared by all callers with the same key, if any.
    pub share: Option<&'a Arc<KeyShare>>,
    /// The identity of the subscriber.
    pub who: Arc<Who>,
    /// How long it may read, if another token can prolong that.
    pub lease: Option<Arc<Lease>>,
    /// What a backend says that it may do, if one was asked.
    pub authorized: Option<&'a Authorized>,
    /// The form of the stream.
    pub face: F,
}

/// The form of a rejection, in a protocol.
pub trait RejectionFace {
    /// The headers of every stream.
    fn headers(&self) -> HeaderMap;

    /// See [`StreamFace::reject`].
    fn reject(&self, reason: Rejection, retry_ms: u64, headers: &mut HeaderMap) -> Vec<u8>;
}

impl<F: StreamFace> RejectionFace for F {
    fn headers(&self) -> HeaderMap {
        StreamFace::headers(self)
    }

    fn reject(&self, reason: Rejection, retry_ms: u64, headers: &mut HeaderMap) -> Vec<u8> {
        StreamFace::reject(self, reason, retry_ms, headers)
    }
}

/// Opens the stream that `request` asks for, or answers why not.
///
/// # Errors
///
/// [`OpenError::Store`] if the log cannot be read; each protocol has its own answer for that.
pub async fn open_stream<F: StreamFace>(
    state: &State,
    parts: &Parts,
    request: StreamRequest<'_, F>,
) -> Result<Answer, OpenError> {
    let StreamRequest { interest, start, token, share, who, lease, authorized, face } = request;
    if parts.method == Method::HEAD {
        let mut response = answer::empty(StatusCode::OK);
        *response.headers_mut() = face.headers();
        if state.engine().compression().is_some() {
            accept_encoding::vary(response.headers_mut());
        }
        return Ok(Answer::Response(response));
    }
    let rejected = |reason| Ok(reject(state, parts.version, &face, reason));
    if state.is_leaving() {
        return rejected(Rejection::Draining);
    }
    let permit = match state.quotas().subscribe(parts, token, share) {
        Ok(permit) => permit,
        Err(reason) => return rejected(reason),
    };
    let asked = Instant::now();
    let mut pending = match state.engine().open(interest, start).await {
        Ok(pending) => pending,
        Err(OpenError::Rejected(reason)) => return rejected(reason),
        Err(OpenError::Ended) => return Ok(Answer::Response(face.ended(state))),
        Err(error) => return Err(error),
    };
    let found_after = asked.elapsed();
    pending.hold(permit);
    let address = Client::of(parts).map(|client| client.address);
    let mut identity = Identity { who, address, lease, announced: None };
    let (id, interest) = (pending.connection, pending.interest.clone());
    let arrival = state.arrivals().enter(id, identity.clone(), interest.clone());
    // It is listed first: whoever is denied from here on is found in the list and closed.
    let allowed = state.auth().check_denied(&identity.who, parts);
    let allowed =
        allowed.and_then(|()| state.auth().check_session(&identity.who, &pending.interest));
    if let Err(problem) = allowed {
        return Ok(Answer::Response(state.refuse(parts, problem)));
    }
    let mut headers = face.headers();
    headers.insert(SERVER_TIMING, server_timing(&pending.outcome, found_after));
    Ok(match face.begin(state, &pending, &mut headers) {
        Ok(options) => {
            if identity.lease.is_some() {
                let handle = lease::handle(id);
                let handle = HeaderValue::try_from(handle).expect("base64url");
                headers.insert(TIDINGS_RENEW, handle);
            }
            // What everybody may read has no end.
            let authorized = authorized.filter(|_| options.expires.is_some());
            let kept = state.auth().keep(state.engine(), authorized, id, &interest);
            let (place, term) = kept.unzip();
            pending.hold(place);
            if state.engine().compression().is_some() {
                accept_encoding::vary(&mut headers);
                if accept_encoding::takes_gzip(&parts.headers) {
                    accept_encoding::is_gzip(&mut headers);
                    pending.compress();
                }
            }
            let since = clock::now();
            let (who, interest) = (&identity.who, &interest);
            identity.announced = state.announce(Opened { id, who, address, interest, since });
            Answer::Stream(Box::new(Stream { pending, options, headers, identity, term, arrival }))
        }
        Err(response) => Answer::Response(*response),
    })
}

/// The answer to a rejected subscriber. Any status but 200 would end a browser's `EventSource` for
/// good, so this is a stream that says when to reconnect. It is cut, because clients built on fetch
/// take a clean end for the end of the events.
pub fn reject(
    state: &State,
    version: Version,
    face: &impl RejectionFace,
    reason: Rejection,
) -> Answer {
    state.counts().rejected(reason);
    trace::rejected(reason.name());
    let mut headers = face.headers();
    let retry_ms = jittered_ms(state.config().retry_refused);
    let body = face.reject(reason, retry_ms, &mut headers);
    let mut response = answer::cut(StatusCode::OK, EVENT_STREAM, body);
    response.headers_mut().extend(headers);
    if version <= Version::HTTP_11 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Answer::Response(response)
}
