//! The log: to standard error, as text or as JSON lines.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::output;

/// Begins to log what `filter` lets through. To be called once.
pub(crate) fn start(filter: &str, json: bool) {
    let filter = EnvFilter::new(filter);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_ansi(output::may_colour(io::stderr().is_terminal())).init();
    }
}
