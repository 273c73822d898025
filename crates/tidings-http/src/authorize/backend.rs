use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer::{self, Failure};
use super::breaker::{Breaker, News};
use super::counts::RuleCounts;
use super::outcome::Granted;
use super::question::Question;
use super::rule::AuthorizeRule;
use crate::error::BoxError;
use crate::limits::{AUTHORIZE_ANSWER_BYTES_MAX, AUTHORIZE_HEAD_BYTES_MAX, AUTHORIZE_IDLE_MAX};
use crate::outbound;

/// The backend of a rule, and what is known of how it is.
pub(super) struct Backend {
    pub(super) rule: AuthorizeRule,
    /// A permit for each question that may be asked at once.
    pub(super) slots: Arc<Semaphore>,
    /// Questions about running streams take at most half of the slots, so that newcomers never wait
    /// behind all of them.
    pub(super) renewals: Semaphore,
    pub(super) counts: RuleCounts,
    breaker: Mutex<Breaker>,
    client: OnceLock<HttpClient>,
}

type HttpClient = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

impl Backend {
    pub(super) fn new(rule: AuthorizeRule) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(rule.concurrency)),
            renewals: Semaphore::new((rule.concurrency / 2).max(1)),
            rule,
            counts: RuleCounts::default(),
            breaker: Mutex::default(),
            client: OnceLock::new(),
        }
    }

    /// Whether questions are not asked for the moment.
    pub(super) fn is_failing(&self) -> bool {
        self.breaker().is_open(Instant::now())
    }

    /// Whether this question may be asked now; if so, it must be.
    pub(super) fn admits(&self) -> bool {
        self.breaker().admit(Instant::now(), self.rule.timeout * 2)
    }

    /// Asks, and notes how it went. `None` is a no.
    pub(super) async fn ask(&self, question: &Question) -> Result<Option<Granted>, Failure> {
        let asked = match timeout(self.rule.timeout, self.exchange(question)).await {
            Ok(asked) => asked,
            Err(_) => Err(Failure::Timeout),
        };
        match &asked {
            Ok(_) => {
                if self.breaker().succeeded() {
                    tracing::info!(backend = self.rule.place(), "the backend answers again");
                }
            }
            Err(failure) => self.note(failure),
        }
        match &asked {
            Ok(Some(_)) => self.counts.granted(),
            Ok(None) => self.counts.refused(),
            Err(_) => self.counts.failed(),
        }
        asked
    }

    /// A failing backend is worth two lines in the log, not one for each question.
    fn note(&self, failure: &Failure) {
        let backend = self.rule.place();
        match self.breaker().failed(Instant::now()) {
            News::First => tracing::warn!(backend, %failure, "cannot ask what a client may do"),
            News::Opened => tracing::error!(
                backend,
                %failure,
                "the backend fails: newcomers are asked to come back, running streams go on"
            ),
            News::Nothing => tracing::debug!(backend, %failure, "cannot ask what a client may do"),
        }
    }

    async fn exchange(&self, question: &Question) -> Result<Option<Granted>, Failure> {
        let exchange = Failure::Exchange;
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = question.uri.clone();
        *request.headers_mut() = question.headers.clone();
        let client = self.client().map_err(exchange)?;
        let response = client.request(request).await.map_err(|error| exchange(error.into()))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Ok(None),
            status => return Err(Failure::Status(status)),
        }
        let body = Limited::new(response.into_body(), AUTHORIZE_ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(exchange)?.to_bytes();
        answer::granted(&self.rule, question.action, &body).map(Some)
    }

    /// Made when it is first used, because it reads the certificates that the system trusts.
    fn client(&self) -> Result<&HttpClient, BoxError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(self.rule.concurrency)
            .pool_idle_timeout(AUTHORIZE_IDLE_MAX)
            .http1_max_buf_size(AUTHORIZE_HEAD_BYTES_MAX)
            .build(outbound::connector()?);
        Ok(self.client.get_or_init(|| client))
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The longest that a question can take, from its first wait to its answer.
    pub(super) fn patience(&self) -> Duration {
        self.rule.wait + self.rule.timeout
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("rule", &self.rule).finish_non_exhaustive()
    }
}
