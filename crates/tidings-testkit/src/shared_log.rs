//! An engine in memory for the shared store, which fails in the ways that engines do.

mod connection;
mod engine;
mod faults;
mod one_log;
mod stores;

pub use connection::Connection;
pub(crate) use engine::BLOCK_BYTES_MAX;
pub use engine::{Engine, Entry};
pub use faults::Faults;
pub use one_log::OneLog;
pub use stores::{Connect, SharedStores};
