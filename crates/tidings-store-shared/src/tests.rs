//! Hubs on a journal in memory, which never fails: rules of retention; what erasing leaves, with a
//! kill at any step; what a hub without a copy begins with; and what a backup of one is good for.
//! (What an engine can do to a shared store is tested in `tidings-testkit`.)
#![allow(clippy::unwrap_used)]

mod backup;
mod begin;
mod erase;
mod lost;
mod memory_journal;
mod rules;
#[path = "../../tidings-hub/tests/seeds/mod.rs"]
mod seeds;
mod tidy;
