//! The arguments of `tidings doctor`.

use clap::Args;

use crate::trust::TrustArgs;

/// `tidings doctor`.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// The URL of the event stream, as its subscribers request it
    pub(crate) url: String,
    /// Time to listen; idle timeouts and heartbeat intervals that are longer are not detected
    #[arg(long = "for", value_name = "DURATION", default_value = "25s")]
    pub(crate) duration: String,
    /// Send requests as a page of this origin would, such as `https://app.example`
    #[arg(long)]
    pub(crate) origin: Option<String>,
    /// Header of the request, "Name: value", or @FILE for those in a file, one a line; repeatable
    #[arg(long, short = 'H', value_name = "HEADER")]
    pub(crate) header: Vec<String>,
    /// Publish test events to this URL, and expect them in the stream
    #[arg(long, value_name = "URL")]
    pub(crate) publish: Option<String>,
    /// The body of a test event; {} stands for the text to expect in the stream
    #[arg(long, value_name = "BODY", default_value = "{}", requires = "publish")]
    pub(crate) publish_data: String,
    /// Send a header with each test event; may be repeated
    #[arg(long, value_name = "HEADER", requires = "publish")]
    pub(crate) publish_header: Vec<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) const DOCTOR_ABOUT: &str = "\
Diagnose an event stream from the subscriber's side

Run it where subscribers are: it connects as a program and as a browser would, measures when bytes \
arrive, reconnects with the last id, and reports each problem with its evidence and the line of \
nginx, Caddy, HAProxy or a cloud service that fixes it. It works with any event stream. It \
finds more problems while events arrive: with --publish it sends some itself.";

pub(super) const DOCTOR_EXAMPLES: &str = "\
Exit codes: 0, nothing worse than advice; 7, warnings; 8, errors; 6, no answer.

Examples:
  tidings doctor https://app.example/events/news
  tidings doctor https://app.example/events/t --publish http://10.0.0.7:3000/events/t
  tidings doctor https://api.example/stream -H @headers.txt --origin https://app.example --for 2m
  tidings doctor https://app.example/sse --publish https://app.example/api/say \\
      --publish-header 'Content-Type: application/json' --publish-data '{\"text\": \"{}\"}'
  tidings doctor https://app.example/events/news --json | jq '.findings[].code'";
