use std::future::ready;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{
    AuthError, Client, ConnectErrorKind, ConnectOptions, Event, HeaderMap, Message, Request,
    RequestErrorKind, ServerAddr,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::api;
use crate::config::{Login, NatsConfig};
use crate::error::NatsError;
use crate::limits::{CONNECT_PATIENCE, PING_INTERVAL, RECONNECT_PAUSE_MAX, REQUEST_PATIENCE};

/// A client of the servers, with a thread of its own for all its connections.
#[derive(Clone, Debug)]
pub struct Nats {
    pub(crate) config: Arc<NatsConfig>,
    pub(crate) runtime: Arc<Runtime>,
}

impl Nats {
    /// A client that has no connection yet.
    ///
    /// # Errors
    ///
    /// [`NatsError::NoThread`].
    pub fn new(config: NatsConfig) -> Result<Self, NatsError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tidings-nats")
            .enable_all()
            .build()
            .map_err(|error| NatsError::NoThread(Arc::new(error)))?;
        Ok(Self { config: Arc::new(config), runtime: Arc::new(runtime) })
    }

    /// Connects, with room for `messages_max` messages of a subject that wait to be read.
    pub(crate) async fn connect(&self, messages_max: usize) -> Result<Client, NatsError> {
        let options = self.options()?.subscription_capacity(messages_max);
        let addresses = self.addresses()?;
        let connected = options.retry_on_initial_connect().connect(addresses).await;
        connected.map_err(|error| NatsError::Connect(Arc::new(error)))
    }

    /// Tries once to connect and log in.
    ///
    /// # Errors
    ///
    /// [`NatsError::LoginRejected`], [`NatsError::Connect`].
    pub fn try_login(&self) -> Result<(), NatsError> {
        let (options, addresses) = (self.options()?, self.addresses()?);
        match self.runtime.block_on(options.connect(addresses)) {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                    NatsError::LoginRejected(Arc::new(error))
                }
                _ => NatsError::Connect(Arc::new(error)),
            }),
        }
    }

    fn options(&self) -> Result<ConnectOptions, NatsError> {
        let NatsConfig { servers, tls, tls_ca, tls_identity, credentials, .. } = &*self.config;
        let mut options = match credentials.clone() {
            Some(file) => ConnectOptions::with_auth_callback(move |nonce| {
                ready(file.sign(&nonce).map_err(AuthError::new))
            }),
            None => ConnectOptions::new(),
        };
        options = options
            .name("tidings")
            .connection_timeout(CONNECT_PATIENCE)
            .request_timeout(Some(REQUEST_PATIENCE))
            .ping_interval(PING_INTERVAL)
            .require_tls(*tls)
            .reconnect_delay_callback(pause)
            .event_callback(|event| async move { report(&event) });
        options = match &servers.login {
            Login::None => options,
            Login::Token(token) => options.token(token.clone()),
            Login::User { name, password } => {
                options.user_and_password(name.clone(), password.clone())
            }
        };
        if let Some(path) = tls_ca {
            options = options.add_root_certificates(PathBuf::clone(path));
        }
        if let Some((certificate, key)) = tls_identity {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        Ok(options)
    }

    fn addresses(&self) -> Result<Vec<ServerAddr>, NatsError> {
        let addresses = self.config.servers.urls.iter().cloned().map(ServerAddr::from_url);
        let addresses = addresses.collect::<Result<Vec<_>, _>>();
        addresses.map_err(|error| NatsError::Connect(Arc::new(error)))
    }
}

/// The time before the next attempt to connect.
fn pause(attempts: usize) -> Duration {
    let factor = 1 << attempts.clamp(1, 8);
    RECONNECT_PAUSE_MAX.min(Duration::from_millis(10) * factor)
}

fn report(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to a NATS server"),
        Event::Disconnected => tracing::warn!("the connection to the NATS server was lost"),
        event @ (Event::ServerError(_) | Event::ClientError(_)) => {
            tracing::debug!(%event, "a message of the NATS client");
        }
        _ => {}
    }
}

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
}

impl Connection {
    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Asks JetStream: `request` is the subject after `$JS.API.`.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        request: String,
        body: &Value,
    ) -> Result<T, NatsError> {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let subject = format!("$JS.API.{request}");
        let message = self.send(subject, HeaderMap::new(), body, REQUEST_PATIENCE).await?;
        api::read(&message.payload)
    }

    /// Sends a request. One that was not answered may still be on its way, even if there was no
    /// connection.
    pub(crate) async fn send(
        &self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
        patience: Duration,
    ) -> Result<Message, NatsError> {
        let mut request = Request::new().payload(body).timeout(Some(patience));
        if !headers.is_empty() {
            request = request.headers(headers);
        }
        let sent = self.client.send_request(subject, request).await;
        sent.map_err(|error| match error.kind() {
            RequestErrorKind::TimedOut => NatsError::NoAnswer,
            RequestErrorKind::NoResponders => NatsError::NobodyListens,
            _ => NatsError::client(error),
        })
    }
}
