//! Hubs on a journal in memory, which never fails: rules of retention; what erasing leaves, with a
//! kill at any step; and what a hub without a copy begins with. (What an engine can do to a shared
//! store is tested in `tidings-testkit`.)
#![allow(clippy::unwrap_used)]

mod begin;
mod erase;
mod memory_journal;
mod rules;
