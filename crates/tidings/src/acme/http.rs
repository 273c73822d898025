//! How the authority is spoken to: with a bound for everything, and with an ear for `Retry-After`.

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HeaderMap, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use tidings_server::retry_after;

use super::name::BoxError;
use super::schedule::RETRY_AFTER_MAX;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::trust;

/// A client for the authority. Clones share connections, and the pause that it has asked for.
#[derive(Clone)]
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
    pause: Arc<Mutex<Option<SystemTime>>>,
}

impl Http {
    /// A client that trusts what the system trusts, and the certificates in `ca_file`.
    ///
    /// # Errors
    ///
    /// The file, or what the system trusts, cannot be used.
    pub(super) fn new(ca_file: Option<&Path>) -> Result<Self, CliError> {
        let builder = HttpsConnectorBuilder::new();
        let builder = match ca_file {
            Some(file) => builder.with_tls_config(trust::trusting("acme-ca-file", file)?),
            None => {
                let provider = rustls::crypto::aws_lc_rs::default_provider();
                let trusted = builder.with_provider_and_platform_verifier(provider);
                trusted.map_err(|error| {
                    let message = "cannot read the authorities that this machine trusts";
                    CliError::new(ExitCode::CannotStart, message).because(error)
                })?
            }
        };
        // RFC 8555 §6.1.
        let connector = builder.https_only().enable_all_versions().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, pause: Arc::default() })
    }

    /// Takes the moment before which the authority wants to hear nothing, if it said so since this
    /// was last asked.
    pub(super) fn take_pause(&self) -> Option<SystemTime> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether there is a directory at `url`.
    pub(super) async fn reach(&self, url: &str) -> Result<(), String> {
        let request = Request::get(url).body(BodyWrapper::default());
        let request = request.map_err(|error| error.to_string())?;
        let mut answer = self.request(request).await.map_err(|error| chain(&error))?;
        if answer.parts.status != StatusCode::OK {
            return Err(format!("it answers {}", answer.parts.status));
        }
        let body = answer.body.into_bytes().await.map_err(|error| error.to_string())?;
        let directory: Result<serde_json::Value, _> = serde_json::from_slice(&body);
        match directory.is_ok_and(|directory| directory["newOrder"].is_string()) {
            true => Ok(()),
            false => Err("it is no ACME directory".to_owned()),
        }
    }

    fn note_pause(&self, status: StatusCode, headers: &HeaderMap) {
        let now = SystemTime::now();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
            && let Some(wait) = retry_after(headers, now)
        {
            let moment = now + wait.min(RETRY_AFTER_MAX);
            *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = Some(moment);
        }
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let agent = concat!("tidings/", env!("CARGO_PKG_VERSION"));
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(agent));
        let this = self.clone();
        Box::pin(async move {
            let exchange = async {
                let answer = this.client.request(request).await?;
                let (parts, body) = answer.into_parts();
                this.note_pause(parts.status, &parts.headers);
                let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?;
                Ok::<_, BoxError>(BytesResponse { parts, body: Box::new(body.to_bytes()) })
            };
            match tokio::time::timeout(ANSWER_MAX, exchange).await {
                Ok(answer) => answer.map_err(Error::Other),
                Err(_) => Err(Error::Other("no answer in time".into())),
            }
        })
    }
}

/// An error and what caused it, on one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Longest time for one answer. At the edge: the attempt has failed.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Longest answer: a chain of certificates. At the edge: the attempt has failed.
const ANSWER_BYTES_MAX: usize = 256 << 10;
