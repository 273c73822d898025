//! The end-to-end tests, as one program: each program of tests links all of Tidings, which takes
//! longer than most of their tests, and tests of different files wait side by side.
//!
//! The tests of one file: `cargo test -p tidings-testkit --test all -- kicks::`

#![allow(clippy::unwrap_used)]

mod abuse;
mod append;
mod auth;
mod authorize;
mod authorize_streams;
mod bad_input;
mod case_table;
mod cases;
mod checker;
mod client;
mod client_renewal;
mod client_state;
mod compression;
mod contract_service;
mod cors;
mod crowded;
mod cut_short;
mod disk;
mod embedding;
mod erase;
mod erase_between;
mod erase_readers;
mod fetching;
mod fill;
mod foreign_pages;
mod from_state;
mod grants;
mod history;
mod hosts;
mod kicks;
mod limits;
mod links;
mod mercure;
mod mercure_access;
mod mercure_cors;
mod mercure_faults;
mod mercure_presence;
mod mercure_presence_across;
mod mercure_publish;
mod mercure_sessions;
mod mercure_subscribe;
mod native_api;
mod native_ids;
mod notify;
mod own_links;
mod peers;
mod proxy;
mod public_topics;
mod refusals;
mod remote_log;
mod renewal;
mod request_threads;
mod run_world;
mod runs;
#[path = "../../tidings-hub/tests/seeds/mod.rs"]
mod seeds;
mod seeing;
mod session_edges;
mod sessions;
mod sessions_across;
mod several_hubs;
mod shared_erase;
mod shared_ids;
mod shared_overtaken;
mod shared_runs;
mod shared_state;
mod shared_store;
mod shared_terms;
mod shared_values;
mod shared_void;
mod short_requests;
mod state;
mod stores;
mod streams;
mod third_protocol;
mod wills;
mod wills_across;
