//! What the HTML standard says a client does, line by line of the checklist.
//!
//! Each test is named by the line it covers; `deviations` has the rows on which clients differ.

#![allow(clippy::unwrap_used)]

#[path = "../world/mod.rs"]
mod world;

mod connecting;
mod decoding;
mod deviations;
mod reestablishing;
mod sending;
