//! The simulated world, the store suite and the end-to-end tests of Tidings.

pub mod backend;
pub mod checker;
pub mod http;
pub mod http2;
pub mod layers;
pub mod nats;
pub mod ports;
pub mod proxy;
pub mod remote_log;
pub mod server;
pub mod shared_log;
pub mod store_suite;
pub mod test_folder;
pub mod token;
pub mod transcript;
pub mod wires;
