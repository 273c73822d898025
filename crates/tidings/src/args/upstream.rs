//! The words about where events come from, which `tidings subscribe` and `tidings relay` share.

use std::path::PathBuf;

use clap::Args;

/// The request, and how to reconnect.
#[derive(Args, Debug)]
#[command(next_help_heading = "Request")]
pub(crate) struct UpstreamArgs {
    /// Header of the request, "Name: value", or @FILE for those in a file, one a line; repeatable
    #[arg(long, short = 'H', value_name = "HEADER")]
    pub(crate) header: Vec<String>,
    /// The method of the request; without it, GET, or POST with --data
    #[arg(long, short = 'X')]
    pub(crate) method: Option<String>,
    /// Send a body, or with @FILE the content of a file
    #[arg(long, short = 'd', value_name = "BODY")]
    pub(crate) data: Option<String>,
    /// Keep the id of the last event in FILE, and resume after it when started again
    #[arg(long, value_name = "FILE")]
    pub(crate) since_file: Option<PathBuf>,
    /// Begin after the event with this id
    #[arg(long, value_name = "ID", group = "start")]
    pub(crate) after: Option<String>,
    /// Reconnect after this time of silence, or "never"; without it, after 45s from a Tidings hub
    #[arg(long, value_name = "DURATION")]
    pub(crate) idle_timeout: Option<String>,
    /// Give up after this many failed attempts [never]
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,
}
