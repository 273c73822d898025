//! The driver of the hub: threads, mailboxes and sockets.
//!
//! # What a core does in one turn
//!
//! Each [`Shard`](tidings_hub::Shard) lives on a thread of its own. A turn of that thread: handle
//! the sockets' events; drain the mailbox (new frames, new subscribers, pages of history); let the
//! shard say which bytes go where, and write them; sleep until a socket, the mailbox or a timer
//! wakes it.
//!
//! Besides the shards there are the *committer*, one thread that turns the publishes of all
//! connections into batches for the store (one `fsync` for many; a thread that serves publishers
//! alone brings theirs together, or commits itself if it has one, see [`carry_publishes`]); the
//! *fan-out*, which follows the store's tail and encodes each record once, on the committer after a
//! batch or on a thread of its own; and a few *replay* threads that read history for subscribers
//! that are catching up.
//!
//! [`Engine`] is the only type that the server sees.

mod admission;
mod clock;
mod committer;
mod connection;
mod counters;
mod engine;
mod error;
mod fanout;
mod forgetting;
mod frames;
mod histogram;
mod hook;
pub mod limits;
mod mailbox;
mod message;
mod on_panic;
mod pending_subscription;
mod recent;
mod rejection;
mod replay;
mod search;
mod sink;
mod subscribe_options;
mod subscription;
mod sys;
mod term;
mod timings;
mod topic_share;
mod wills;
mod worker;

pub use committer::carry_publishes;
pub use connection::{Began, Connection, ConnectionId, InvalidConnectionId, Verdict};
pub use engine::{
    Engine, EngineConfig, EraseFailure, EraseTarget, Erasure, FirstPage, Latencies, OpenWill,
    PublishStream, Run, Status, outlived_by, spawn_outliving,
};
pub use error::{Misfit, OpenError, PublishError, StartError, StreamError};
pub use histogram::Durations;
pub use hook::SubscriberHook;
pub use pending_subscription::PendingSubscription;
pub use rejection::Rejection;
pub use search::{Label, Search, Subscriber};
pub use sink::{BrokenOff, LastBytes, SubscriberBody};
pub use subscribe_options::SubscribeOptions;
pub use term::{Look, Term};
pub use topic_share::TopicShare;
pub use wills::LastWill;

/// Compiles the README's examples as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
