//! The routes for operators: health, metrics, connections, console, description of the API.

mod connections;
mod console;
mod health;
mod kick;
mod metrics;
mod openapi;

pub(crate) use connections::connection;
pub(crate) use console::Pages;
pub(crate) use health::{live, ready};
pub(crate) use kick::{denials, kick, kick_one, lift, list};
pub(crate) use metrics::metrics;
#[cfg(test)]
pub(crate) use openapi::OPENAPI;
pub(crate) use openapi::openapi;
