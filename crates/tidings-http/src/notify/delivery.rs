//! Tells a receiver, one message after the other.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

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
use super::retry::{Attempts, Next};
use crate::clock::{self, jittered_ms};
use crate::error::BoxError;
use crate::limits::{
    AUTHORIZE_HEAD_BYTES_MAX, AUTHORIZE_IDLE_MAX, NOTIFY_INTERVAL, NOTIFY_PAUSE, NOTIFY_TIMEOUT,
};
use crate::outbound;
use crate::retry_after::retry_after;

/// The task of one receiver.
pub(super) struct Delivery {
    outbox: Arc<Outbox>,
    run: u32,
    /// Whether the hub is ending: then nothing waits, and nothing is tried twice.
    ending: watch::Receiver<bool>,
    client: Option<HttpClient>,
    /// The first and the longest pause before a message is sent again.
    pauses: (Duration, Duration),
    /// Whether the last attempt failed; said once.
    is_failing: bool,
}

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl Delivery {
    pub(super) fn new(outbox: Arc<Outbox>, run: u32, ending: watch::Receiver<bool>) -> Self {
        Self { outbox, run, ending, client: None, pauses: NOTIFY_PAUSE, is_failing: false }
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
        let mut attempts = Attempts::new(self.pauses);
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
        Ok((response.status(), retry_after(response.headers(), SystemTime::now())))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc;

    use serde_json::Value;

    use super::super::fact::{Fact, Kind};
    use super::super::receiver::NotifyReceiver;
    use super::super::secrets::NotifySecrets;
    use super::*;
    use crate::limits::NOTIFY_REFUSALS_MAX;

    /// A receiver that refuses whatever has the text "bad", and passes on what it got.
    fn receiver() -> (NotifyReceiver, mpsc::Receiver<Value>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (sender, got) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(body) = read(&stream) else { continue };
                let status = if body.contains("bad") { "422 No" } else { "204 Yes" };
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = (&stream).write_all(answer.as_bytes());
                if sender.send(serde_json::from_str(&body).unwrap()).is_err() {
                    return;
                }
            }
        });
        let secrets = NotifySecrets::new(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap();
        (NotifyReceiver::new(&url, secrets).unwrap(), got)
    }

    fn read(stream: &TcpStream) -> Option<String> {
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(text) = line.strip_prefix("content-length: ") {
                length = text.parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        String::from_utf8(body).ok()
    }

    fn fact(text: &str) -> Fact {
        Fact { kind: Kind::Connected, json: format!(r#"{{"id":"{text}"}}"#).into() }
    }

    #[tokio::test]
    async fn a_message_that_is_refused_ten_times_is_given_up_and_the_next_says_what_is_lost() {
        let (receiver, got) = receiver();
        let outbox = Arc::new(Outbox::new(receiver));
        for text in ["bad/1", "bad/2"] {
            outbox.push(fact(text));
        }
        let (_end, ending) = watch::channel(false);
        let mut delivery = Delivery::new(Arc::clone(&outbox), 1, ending);
        delivery.pauses = (Duration::from_millis(1), Duration::from_millis(5));
        let told = tokio::spawn(delivery.run());
        let messages = tokio::task::spawn_blocking(move || {
            let patience = Duration::from_secs(30);
            let mut messages = Vec::new();
            for number in 0..=NOTIFY_REFUSALS_MAX {
                if number == NOTIFY_REFUSALS_MAX {
                    outbox.push(fact("good"));
                }
                messages.push(got.recv_timeout(patience).expect("a message in time"));
            }
            while outbox.counts.messages()[0].1 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            (messages, outbox.counts.messages().map(|(_, count)| count), outbox.counts.lost())
        });
        let (messages, counts, lost) =
            timeout(Duration::from_secs(60), messages).await.unwrap().unwrap();
        told.abort();
        let (last, refused) = messages.split_last().unwrap();
        assert!(refused.iter().all(|message| message["data"]["seq"] == 1), "{refused:?}");
        let data = &last["data"];
        assert_eq!((&data["seq"], &data["lost"]), (&2.into(), &2.into()));
        assert_eq!((&data["connected"][0]["id"], &data["began"]), (&"good".into(), &true.into()));
        assert_eq!((counts, lost), ([1, 9, 1], 2), "accepted, failed, given up; facts lost");
    }
}
