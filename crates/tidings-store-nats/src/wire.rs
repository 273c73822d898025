use std::future::poll_fn;
use std::pin::Pin;

use async_nats::Client;
use bytes::Bytes;
use futures_core::Stream;
use tidings_hub::{Heard, Wire};
use tokio::sync::mpsc;

use crate::api;
use crate::error::NatsError;
use crate::limits::{HEARD_MAX, UNSENT_MAX};
use crate::nats::{Connection, Nats};

/// Messages between the hubs on one stream, over the core protocol: not stored, at most once.
#[derive(Debug)]
pub struct NatsWire {
    nats: Nats,
    connection: Connection,
    outbox: mpsc::Sender<Vec<u8>>,
}

impl NatsWire {
    /// A connection for messages between hubs. It is restored by itself whenever it is lost.
    ///
    /// # Errors
    ///
    /// [`NatsError::Connect`] if the servers refuse the hub, or a certificate cannot be read.
    pub fn connect(nats: &Nats) -> Result<Self, NatsError> {
        let client = nats.runtime.block_on(nats.connect(HEARD_MAX))?;
        let connection = Connection { client };
        let (outbox, unsent) = mpsc::channel(UNSENT_MAX);
        nats.runtime.spawn(send(connection.clone(), subject(nats), unsent));
        Ok(Self { nats: nats.clone(), connection, outbox })
    }
}

impl Wire for NatsWire {
    fn say(&self, message: Vec<u8>) {
        // Full: it is lost, as messages may be.
        let _ = self.outbox.try_send(message);
    }

    fn listen(&self, heard: Heard) {
        let (client, subject) = (self.connection.client.clone(), subject(&self.nats));
        self.nats.runtime.spawn(hear(client, subject, heard));
    }

    fn is_connected(&self) -> bool {
        self.connection.is_connected()
    }
}

fn subject(nats: &Nats) -> String {
    api::hubs_subject(&nats.config.stream)
}

/// Sends until the wire is dropped. What is said without a connection is lost: the client would
/// keep it and send it when it is no longer true.
async fn send(connection: Connection, subject: String, mut unsent: mpsc::Receiver<Vec<u8>>) {
    while let Some(message) = unsent.recv().await {
        if connection.is_connected() {
            let sent = connection.client.publish(subject.clone(), Bytes::from(message)).await;
            if let Err(error) = sent {
                tracing::debug!(%error, "a message to the other hubs is lost");
            }
        }
    }
}

/// The client subscribes again by itself when it has connected again.
async fn hear(client: Client, subject: String, heard: Heard) {
    let mut subscriber = match client.subscribe(subject).await {
        Ok(subscriber) => subscriber,
        Err(error) => {
            tracing::error!(%error, "the other hubs cannot be heard");
            return;
        }
    };
    while let Some(message) = poll_fn(|context| Pin::new(&mut subscriber).poll_next(context)).await
    {
        heard(&message.payload);
    }
}
