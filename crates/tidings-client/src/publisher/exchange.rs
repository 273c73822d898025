//! One publish, retried as often as is safe.

use std::time::Duration;

use http::header::LOCATION;
use http::{HeaderMap, Request, StatusCode};
use tokio::time::timeout;

use super::answer::Answer;
use super::error::{Problem, PublishError};
use crate::limits::{PUBLISH_ANSWER_BYTES_MAX, PUBLISH_BACKOFF, REDIRECTS_MAX};
use crate::redirect::strip_credentials;
use crate::retry_after::{retry_after, wall_clock};
use crate::target::Target;
use crate::{Backoff, Body, Cause, Lost, Publisher, RetryPolicy, Transport};

/// Whether a request may be repeated although the first one may have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replay {
    /// Every event has an id by which the hub recognises it.
    Safe,
    /// It is one event without an id: it may be repeated if the hub rejected the first attempt.
    IfRefused,
    /// There are several events, not all with ids: a hub that rejects them may have published some.
    IfUnheard,
}

impl Replay {
    pub(super) fn if_named(has_id: bool) -> Self {
        if has_id { Self::Safe } else { Self::IfRefused }
    }

    pub(super) fn and(self, other: Self) -> Self {
        if self == Self::Safe { other } else { self }
    }

    pub(super) fn of_several(self) -> Self {
        if self == Self::Safe { self } else { Self::IfUnheard }
    }

    fn allows(self, failure: &Failure) -> bool {
        match self {
            Self::Safe => true,
            Self::IfRefused => failure.is_refused || failure.is_unheard,
            Self::IfUnheard => failure.is_unheard,
        }
    }
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) struct Failure {
    cause: Cause,
    /// The hub's problem, if it sent one.
    problem: Option<Box<Problem>>,
    /// Whether it is certain that nothing of the request was sent.
    is_unheard: bool,
    /// Whether it is certain that the hub did not carry out the request.
    is_refused: bool,
    /// Whether a retry may succeed.
    is_passing: bool,
    retry_after: Option<Duration>,
    /// Target of a 307 or 308, to which the same request must be sent.
    moved_to: Option<Box<Moved>>,
}

/// The target of a redirect.
#[derive(Debug)]
struct Moved {
    target: Target,
    /// Whether it has the origin for which the headers are meant.
    is_same_origin: bool,
}

/// Counts the attempts of one publish, and decides whether there is another and where it goes.
pub(super) struct Tries {
    policy: Backoff,
    retries: u32,
    /// Target of the redirects so far, and their number.
    moved_to: Option<Target>,
    redirects: u32,
    /// Whether a redirect has left the origin that the headers were given for.
    has_left_origin: bool,
    /// Whether no attempt so far has reached the hub.
    all_unheard: bool,
}

impl Tries {
    pub(super) fn new(retries_max: u32) -> Self {
        let (first, longest) = PUBLISH_BACKOFF;
        Self {
            policy: Backoff::new().base(first).cap(longest).jitter(1.0).retries_max(retries_max),
            retries: 0,
            moved_to: None,
            redirects: 0,
            has_left_origin: false,
            all_unheard: true,
        }
    }

    /// The request, directed to where redirects have led.
    pub(super) fn direct(&self, mut request: Request<Body>) -> Request<Body> {
        if let Some(target) = &self.moved_to {
            *request.uri_mut() = target.uri().clone();
        }
        if self.has_left_origin {
            strip_credentials(request.headers_mut());
        }
        request
    }

    /// The wait before the next attempt.
    ///
    /// # Errors
    ///
    /// The publish has failed: there is no next attempt.
    pub(super) fn wait(
        &mut self,
        mut failure: Failure,
        replay: Replay,
    ) -> Result<Duration, PublishError> {
        // The redirecting server did nothing, so any request may be sent again.
        if self.redirects < REDIRECTS_MAX
            && let Some(moved) = failure.moved_to.take()
        {
            self.redirects += 1;
            self.has_left_origin |= !moved.is_same_origin;
            self.moved_to = Some(moved.target);
            return Ok(Duration::ZERO);
        }
        self.all_unheard &= failure.is_unheard;
        let may_retry = failure.is_passing && replay.allows(&failure);
        let wait = may_retry
            .then(|| {
                self.policy.wait(&Lost {
                    cause: &failure.cause,
                    retries: self.retries,
                    reconnection_time: failure.retry_after,
                })
            })
            .flatten();
        let Some(wait) = wait else {
            return Err(self.give_up(failure));
        };
        crate::trace!("publishing again in {wait:?}: {}", failure.cause);
        self.retries += 1;
        Ok(wait)
    }

    fn give_up(&self, failure: Failure) -> PublishError {
        failure.into_error(self.all_unheard, self.retries)
    }
}

pub(super) async fn with_retries(
    publisher: &Publisher,
    replay: Replay,
    request: impl Fn() -> Request<Body>,
) -> Result<Answer, PublishError> {
    with_retries_within(publisher, replay, publisher.inner.answer_wait_max, request).await
}

/// With another limit than the publisher's for the time that an attempt may take.
pub(super) async fn with_retries_within(
    publisher: &Publisher,
    replay: Replay,
    wait_max: Duration,
    request: impl Fn() -> Request<Body>,
) -> Result<Answer, PublishError> {
    let mut tries = Tries::new(publisher.inner.retries_max);
    loop {
        let exchange = exchange(&*publisher.inner.transport, tries.direct(request()));
        let failure = match timeout(wait_max, exchange).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::silence(wait_max),
        };
        let wait = tries.wait(failure, replay)?;
        tokio::time::sleep(wait).await;
    }
}

/// One attempt.
pub(super) async fn exchange(
    transport: &dyn Transport,
    request: Request<Body>,
) -> Result<Answer, Failure> {
    let url = request.uri().to_string();
    let response = transport.send(request).await.map_err(Failure::network)?;
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    while let Some(piece) = std::future::poll_fn(|cx| body.poll_bytes(cx)).await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            // The status of an error says enough, but a success must be read completely.
            Err(_) if !head.status.is_success() => break,
            Err(error) => return Err(Failure::network(error)),
        }
        if bytes.len() >= PUBLISH_ANSWER_BYTES_MAX {
            bytes.truncate(PUBLISH_ANSWER_BYTES_MAX);
            break;
        }
    }
    if head.status.is_success() {
        return Ok(Answer { url, status: head.status, headers: head.headers, body: bytes });
    }
    let mut problem = Problem::from_answer(head.status, &url, &bytes);
    let mut moved_to = None;
    if head.status.is_redirection() {
        moved_to = Moved::read(&url, &head.headers).map(Box::new);
        problem.redirect(moved_to.as_ref().map(|moved| moved.target.as_str()));
    }
    Err(Failure {
        cause: Cause::Refused(head.status),
        problem: Some(Box::new(problem)),
        is_unheard: false,
        is_refused: is_refused(head.status),
        is_passing: is_passing(head.status),
        retry_after: retry_after(&head.headers, wall_clock()),
        moved_to: moved_to.filter(|_| matches!(head.status.as_u16(), 307 | 308)),
    })
}

impl Moved {
    fn read(from: &str, headers: &HeaderMap) -> Option<Self> {
        let location = std::str::from_utf8(headers.get(LOCATION)?.as_bytes()).ok()?.trim();
        let (from, _) = Target::parse(from).ok()?;
        let target = from.join(location).ok().filter(|_| !location.is_empty())?;
        Some(Self { is_same_origin: target.origin() == from.origin(), target })
    }
}

impl Failure {
    /// The error of a request that is not to be sent again.
    pub(super) fn without_retry(self) -> PublishError {
        let is_unheard = self.is_unheard;
        self.into_error(is_unheard, 0)
    }

    /// The error after this many retries, of which all or not all certainly were not heard.
    fn into_error(self, all_unheard: bool, retries: u32) -> PublishError {
        let cause = self.cause;
        match self.problem {
            // The hub's answer to this attempt says nothing about an earlier unanswered one; but
            // with ids, an earlier success would have made this attempt succeed too.
            Some(problem) => PublishError::Refused(problem),
            None if all_unheard => PublishError::Unreached { cause, retries },
            None => PublishError::Unanswered { cause, retries },
        }
    }

    pub(super) fn network(error: crate::TransportError) -> Self {
        Self {
            is_unheard: error.is_connect(),
            is_refused: false,
            is_passing: !error.is_malformed() && !error.is_untrusted(),
            cause: Cause::Network(error),
            problem: None,
            retry_after: None,
            moved_to: None,
        }
    }

    pub(super) fn silence(wait: Duration) -> Self {
        Self {
            cause: Cause::Idle(wait),
            problem: None,
            is_unheard: false,
            is_refused: false,
            is_passing: true,
            retry_after: None,
            moved_to: None,
        }
    }
}

/// Whether such an answer is given before anything is done.
fn is_refused(status: StatusCode) -> bool {
    status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE
}

/// Whether a later attempt may get another answer. 507 is not among them: such a request must not
/// be repeated automatically (RFC 4918 §11.5).
fn is_passing(status: StatusCode) -> bool {
    let is_lasting =
        matches!(status, StatusCode::NOT_IMPLEMENTED | StatusCode::INSUFFICIENT_STORAGE);
    status.is_server_error() && !is_lasting
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}
