//! The tests of the real program, as one program: linking takes longer than most of them, and tests
//! of different files wait side by side.
//!
//! The tests of one file: `cargo test -p tidings --test all -- serve::`

#![allow(clippy::unwrap_used)]

mod acme;
mod client_commands;
mod cluster;
mod cluster_backup;
mod cluster_erase;
mod cluster_rules;
mod cluster_wills;
mod crash;
mod crash_erase;
mod crash_growing;
mod erase;
mod erase_slow;
mod exit_codes;
mod full_disk;
mod help;
mod mercure;
mod notify;
mod open_files;
mod renewal;
mod retention;
mod retention_full;
mod retention_reload;
mod retention_resets;
mod serve;
mod tickets;
mod tls;
mod trust;
mod upstream;
mod wills;
mod world;
