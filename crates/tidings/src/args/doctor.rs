//! The words of `tidings doctor`.

use clap::Args;

use crate::trust::TrustArgs;

/// `tidings doctor`.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// The event stream, as its subscribers ask for it
    pub(crate) url: String,
    /// Listen for this long; idle cuts and heartbeats that take longer are not seen
    #[arg(long = "for", value_name = "DURATION", default_value = "25s")]
    pub(crate) duration: String,
    /// Ask as a page of this origin would, such as `https://app.example`
    #[arg(long)]
    pub(crate) origin: Option<String>,
    /// Send a header, "Name: value", or with @FILE those in a file, one a line; may be repeated
    #[arg(long, short = 'H', value_name = "HEADER")]
    pub(crate) header: Vec<String>,
    /// Publish test events: post them to this URL, and expect them in the stream
    #[arg(long, value_name = "URL")]
    pub(crate) publish: Option<String>,
    /// The body of such a post; {} stands for the text that is looked for in the stream
    #[arg(long, value_name = "BODY", default_value = "{}", requires = "publish")]
    pub(crate) publish_data: String,
    /// Send a header with such a post; may be repeated
    #[arg(long, value_name = "HEADER", requires = "publish")]
    pub(crate) publish_header: Vec<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const DOCTOR_ABOUT: &str = "\
Diagnose an event stream, from where its subscribers are

It listens as a program and as a browser would, measures when the bytes come, comes back with the \
last id, and says what is wrong, how it can be seen, and which line of nginx, Caddy, HAProxy or a \
cloud service changes it. It works with any event stream, and best where events come while it \
listens: with --publish it makes them itself.";

pub(super) const DOCTOR_EXAMPLES: &str = "\
Exit codes: 0, nothing worse than advice; 7, warnings; 8, errors; 6, nobody answers.

Examples:
  tidings doctor https://app.example/events/news
  tidings doctor https://app.example/events/t --publish http://10.0.0.7:3000/events/t
  tidings doctor https://api.example/stream -H @headers.txt --origin https://app.example --for 2m
  tidings doctor https://app.example/sse --publish https://app.example/api/say \\
      --publish-header 'Content-Type: application/json' --publish-data '{\"text\": \"{}\"}'
  tidings doctor https://app.example/events/news --json | jq '.findings[].code'";
