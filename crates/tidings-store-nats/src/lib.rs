//! The shared log of several Tidings hubs, in a stream of NATS JetStream.
//!
//! [`Nats`] is a client of the servers, [`NatsJournal`] the stream as the shared store sees it:
//! each block is a message, appended with `Nats-Expected-Last-Sequence` and `Nats-Msg-Id`, and read
//! by its sequence; [`NatsWire`] is what the hubs say to each other past it. Only the core protocol
//! is used; the requests of JetStream are JSON.
//!
//! # What the servers promise
//!
//! An acknowledged message is stored by a majority of the stream's replicas. Whether it survives a
//! power cut of all of them is a matter of their configuration (`sync_interval: always`), which a
//! client cannot see. What a client can see is looked at when the hub starts: see [`Finding`].

mod api;
mod check;
mod config;
mod credentials;
mod error;
mod journal;
pub mod limits;
mod nats;
mod read;
mod version;
mod wire;

pub use check::{Finding, Severity};
pub use config::{InvalidServers, NatsConfig, Servers};
pub use credentials::{CredentialsFile, InvalidCredentials};
pub use error::NatsError;
pub use journal::NatsJournal;
pub use nats::Nats;
pub use wire::NatsWire;

/// Compiles the README's examples as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
