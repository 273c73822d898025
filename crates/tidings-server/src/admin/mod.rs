//! The routes for operators: health, metrics, connections, console, description of the API.

mod connections;
mod console;
mod denials;
mod health;
mod kick;
mod list;
mod metrics;
mod openapi;
pub(crate) mod selection;

pub(crate) use connections::{connection, describe};
pub(crate) use console::Pages;
pub(crate) use denials::{denials, lift};
pub(crate) use health::{live, ready};
pub(crate) use kick::{close, close_one, kick, kick_one};
pub(crate) use list::{list, listed};
pub(crate) use metrics::metrics;
#[cfg(test)]
pub(crate) use openapi::OPENAPI;
pub(crate) use openapi::openapi;
