//! The simple API: `/events`, `/events/{topic}` and `/topics`.
//!
//! # Its contract
//!
//! *Reading* is one URL with two representations, chosen by `Accept`: an event stream
//! ([`subscribe`]), or pages of history and long polls as JSON ([`history`]). Both understand the
//! same parameters for where to start ([`start`]).
//!
//! *Writing* has three forms, chosen by `Content-Type`: one event ([`publish`]), a batch of JSON
//! lines ([`batch`]), an event stream ([`event_stream`]). An event is stored before it is
//! acknowledged. A rejected request publishes nothing; only a stream of events publishes what came
//! before the mistake, and its answer says how much that is.
//!
//! A caller needs a grant for each topic it writes to and for each matcher it reads.
//!
//! # A request travels
//!
//! [`routes`](crate::routes) identify its sender and build the
//! [`RequestContext`](crate::request::RequestContext), which holds everything that is known about
//! it. [`read`] and [`write`] choose the verb; a write gets a
//! [`PublishRequest`](publish_request::PublishRequest) around the context, with the topic and the
//! caller's allowance.

mod accept;
mod batch;
mod body_form;
mod end;
mod end_block;
mod erase;
mod event_stream;
mod fields;
mod gzip_page;
mod history;
mod ingest;
pub(crate) mod interest;
mod publish;
mod publish_request;
mod publish_topic;
mod read;
mod remove;
mod renew;
mod run_terms;
mod start;
mod state_key;
mod stats;
mod stream_options;
mod stream_query;
mod subscribe;
mod topics;
mod write;

#[cfg(fuzzing)]
pub use batch::fuzz_ndjson;
pub(crate) use end::end;
#[cfg(fuzzing)]
pub use read::fuzz_headers;
pub(crate) use read::{read, rejected, wants_stream};
pub(crate) use renew::renew;
pub(crate) use stats::stats;
pub(crate) use topics::topics;
pub(crate) use write::write;
