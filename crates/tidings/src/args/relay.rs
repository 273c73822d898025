//! The words of `tidings relay`.

use clap::Args;

use super::client::HubUrl;
use super::upstream::UpstreamArgs;

/// `tidings relay`.
#[derive(Args, Debug)]
pub(crate) struct RelayArgs {
    /// Where the events come from: any event stream
    #[arg(value_name = "UPSTREAM_URL")]
    pub(crate) upstream_url: String,
    /// Where they go: a topic of the hub, with no other publisher
    pub(crate) topic: String,
    /// Put this before the ids of the upstream, which must be unique in the topic
    #[arg(long, value_name = "PREFIX")]
    pub(crate) id_prefix: Option<String>,
    /// Report progress this often; without it, each minute, or each second on a terminal
    #[arg(long, value_name = "DURATION")]
    pub(crate) report_every: Option<String>,
    /// Print only errors, and which events are left out or get another id
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) hub: HubUrl,
    #[command(flatten)]
    pub(crate) upstream: UpstreamArgs,
}

pub(super) const RELAY_ABOUT: &str = "\
Publish the events of another event stream to a topic

One connection to the upstream becomes any number of subscribers of the hub, who get its events \
with its types and ids, and resume from the hub's history whatever the upstream can do.

Nothing is published twice: events go by the upstream's ids. Started again, also after a crash, it \
asks the hub for the last event it has, and the upstream for what came after. If the hub keeps no \
history, or others publish to the topic, give it a --since-file. An upstream without ids cannot be \
resumed by anybody: what it sends while the relay is away is lost.";

pub(super) const RELAY_EXAMPLES: &str = "\
Examples:
  tidings relay https://stream.wikimedia.org/v2/stream/recentchange wiki/changes
  tidings relay http://10.0.0.7:3000/events/orders orders --id-prefix berlin/
  tidings relay https://api.example/v1/ticks ticks -H @headers.txt --since-file ticks.id

  A file of headers keeps secrets from the list of processes:
  Authorization: Bearer ...";
