//! Hubs on a journal in memory, which never fails: what erasing leaves, with a kill at any step.
//! (What an engine can do to a shared store is tested in `tidings-testkit`.)
#![allow(clippy::unwrap_used)]

mod erase;
mod memory_journal;
