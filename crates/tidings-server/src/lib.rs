//! The HTTP face of the Tidings hub.

mod activity;
mod answer;
mod auth;
mod config;
mod cors;
mod error;
pub mod limits;
mod problem;

pub use auth::{ApiKey, JwtKey};
pub use config::{Config, EngineKind};
pub use cors::Cors;
pub use error::{BindError, ConfigError};
