//! News of connections, sent to the operator's receivers: each one that begins, and each that ends.
//!
//! A receiver gets a `POST` for what has happened since the last one: signed, as [Standard
//! Webhooks](https://www.standardwebhooks.com) ask for, and in order, because the next is sent only
//! after the last was accepted. What waits has a bound; beyond it the oldest facts go, and the next
//! message says how many are lost. Nothing is kept over the end of the process, so the first
//! message of a process says that it is the first.

mod announced;
mod counts;
mod delivery;
mod fact;
mod notifier;
mod outbox;
mod queue;
mod receiver;
mod retry;
mod secrets;

pub(crate) use announced::Announced;
pub(crate) use fact::Opened;
pub(crate) use notifier::Notifier;

pub use counts::ReceiverCounts;
pub use receiver::NotifyReceiver;
pub use secrets::NotifySecrets;
