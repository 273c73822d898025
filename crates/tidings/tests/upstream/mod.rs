//! The commands that listen to others' event streams, as the real program, against a server that is
//! none of ours: `subscribe URL`, `relay`, `doctor`.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod doctor;
mod nginx;
mod origin;
mod relay;
mod relay_run;
mod shown;
mod subscribe;
