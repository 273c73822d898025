//! A load generator for servers of Server-Sent Events: the `tidings bench` command, and this
//! project's measure of performance.
//!
//! It holds subscribers, publishes over HTTP/1.1, and checks every event: whether it arrived, once,
//! in order, and how long after its intended time of sending. It knows no server in particular:
//! where to subscribe and how to publish are templates, so that other servers are measured by the
//! same program.
//!
//! ```no_run
//! # use clap::Parser;
//! #[derive(Parser)]
//! struct Command {
//!     #[command(flatten)]
//!     bench: tidings_bench::BenchArgs,
//! }
//! let plan = Command::parse().bench.plan()?;
//! println!("{}", tidings_bench::run(plan, None)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it measures
//!
//! - Publisher and subscribers are one process with one monotonic clock. A payload carries its
//!   scheduled time of sending, so when a server keeps the publisher waiting, the wait counts (this
//!   is what correction for *coordinated omission* means).
//! - Each event has a number on its lane (`payload`), so each subscriber can distinguish losses,
//!   repeats and ordering faults, over the whole run and not only the measured time.
//! - A subscriber is a socket and about 300 bytes; a thread reads all of its sockets through one
//!   buffer, allocates nothing per event, and handles some millions of events a second.
//!
//! # What it does not do
//!
//! No TLS, no HTTP/2: they would measure this program. It needs one open file per subscriber.

mod args;
mod body;
mod clock;
mod error;
mod head;
mod header_lines;
mod judge;
mod lanes;
mod latency;
mod limits;
mod payload;
mod plan;
mod process;
mod publisher;
mod publishing;
mod reading;
mod report;
mod run;
mod scanner;
mod shared;
mod subscriber;
mod target;
mod template;

pub use args::BenchArgs;
pub use error::{PlanError, RunError};
pub use plan::{Plan, Publish};
pub use report::{Connect, Deliveries, Percentiles, Process, Published, Report, Returns};
pub use run::run;
pub use target::Target;
pub use template::Template;
