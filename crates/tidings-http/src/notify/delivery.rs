//! Tells a receiver, one message after the other.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::counts::count;
use super::outbox::Outbox;
use super::queue::Batch;
use super::retry::{Attempts, Next, retry_after};
use crate::clock::{self, jittered_ms};
use crate::error::BoxError;
use crate::limits::{
    AUTHORIZE_HEAD_BYTES_MAX, AUTHORIZE_IDLE_MAX, NOTIFY_INTERVAL, NOTIFY_TIMEOUT,
};
use crate::outbound;

/// The task of one receiver.
pub(super) struct Delivery {
    outbox: Arc<Outbox>,
    run: u32,
    /// Whether the hub is ending: then nothing waits, and nothing is tried twice.
    ending: watch::Receiver<bool>,
    client: Option<HttpClient>,
    /// Whether the last attempt failed; said once.
    is_failing: bool,
}

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl Delivery {
    pub(super) fn new(outbox: Arc<Outbox>, run: u32, ending: watch::Receiver<bool>) -> Self {
        Self { outbox, run, ending, client: None, is_failing: false }
    }

    /// Tells everything that is to be told, until the hub ends.
    pub(super) async fn run(mut self) {
        loop {
            let Some(batch) = self.outbox.next() else {
                if *self.ending.borrow() || self.outbox.counts.is_off() {
                    return;
                }
                self.outbox.rung().await;
                continue;
            };
            let begun = Instant::now();
            if !self.deliver(&batch).await {
                return;
            }
            self.pause(NOTIFY_INTERVAL.saturating_sub(begun.elapsed())).await;
        }
    }

    /// Tries until the receiver has accepted the message or never will. Returns whether to go on.
    async fn deliver(&mut self, batch: &Batch) -> bool {
        let id = format!("msg_{:08x}_{}", self.run, batch.seq);
        let body = Bytes::from(batch.body(self.run, &clock::now().rfc3339()));
        let mut attempts = Attempts::default();
        loop {
            let sent = match timeout(NOTIFY_TIMEOUT, self.send(&id, body.clone())).await {
                Ok(sent) => sent,
                Err(_) => Err("it took too long".into()),
            };
            let (next, why) = match sent {
                Ok((status, wait)) => (attempts.answered(status, wait), status.to_string()),
                Err(error) => (attempts.failed(), outbound::causes(&*error)),
            };
            let receiver = self.outbox.receiver.place();
            match next {
                Next::Accepted => {
                    count(&self.outbox.counts.accepted);
                    self.outbox.accepted();
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!(receiver, "the receiver takes messages again");
                    }
                    return true;
                }
                Next::Off => {
                    tracing::error!(
                        receiver,
                        "the receiver is gone (410): nothing is sent to it any more"
                    );
                    self.outbox.turn_off();
                    return false;
                }
                Next::Drop => {
                    count(&self.outbox.counts.dropped);
                    self.outbox.dropped(batch);
                    tracing::error!(
                        receiver,
                        message = id,
                        why,
                        "the receiver takes no such \
                         message: it is given up"
                    );
                    return true;
                }
                Next::Again(pause) => {
                    count(&self.outbox.counts.failed);
                    if std::mem::replace(&mut self.is_failing, true) {
                        tracing::debug!(receiver, message = id, why, "cannot tell the receiver");
                    } else {
                        tracing::warn!(
                            receiver,
                            message = id,
                            why,
                            "cannot tell the receiver who \
                             is connected; trying again"
                        );
                    }
                    if *self.ending.borrow() {
                        return false;
                    }
                    // 20 % more or less.
                    let fifth = pause / 5;
                    let jitter = Duration::from_millis(jittered_ms(fifth * 2));
                    self.pause(pause - fifth * 2 + jitter).await;
                }
            }
        }
    }

    /// The status of the answer, and for how long it says to wait.
    async fn send(
        &mut self,
        id: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Option<Duration>), BoxError> {
        let receiver = &self.outbox.receiver;
        let timestamp = clock::now().as_millis() / 1000;
        let signature = receiver.secrets().sign(id, timestamp, &body);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = receiver.url().clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(outbound::USER_AGENT));
        headers.insert("webhook-id", HeaderValue::try_from(id)?);
        headers.insert("webhook-timestamp", HeaderValue::from(timestamp));
        headers.insert("webhook-signature", HeaderValue::try_from(signature)?);
        let response = self.client()?.request(request).await?;
        Ok((response.status(), retry_after(response.headers())))
    }

    /// Made when it is first used, because it reads the certificates that the system trusts.
    fn client(&mut self) -> Result<&HttpClient, BoxError> {
        if self.client.is_none() {
            let client = Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_max_idle_per_host(1)
                .pool_idle_timeout(AUTHORIZE_IDLE_MAX)
                .http1_max_buf_size(AUTHORIZE_HEAD_BYTES_MAX)
                .build(outbound::connector()?);
            self.client = Some(client);
        }
        Ok(self.client.as_ref().expect("made above"))
    }

    /// Waits, but not while the hub ends.
    async fn pause(&mut self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            // Its sender is gone only with the hub.
            _ = self.ending.wait_for(|is_ending| *is_ending) => {}
        }
    }
}
