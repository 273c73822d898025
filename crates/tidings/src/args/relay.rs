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
    /// Ask once, begin the topic as a run, and end it when the response ends
    #[arg(long, conflicts_with_all = ["since_file", "after", "retries", "id_prefix"])]
    pub(crate) end: bool,
    /// The last event of the run if the upstream or this program is lost
    #[arg(long, value_name = "DATA", requires = "end")]
    pub(crate) will: Option<String>,
    /// The type of that event
    #[arg(long, value_name = "TYPE", requires = "will", hide_short_help = true)]
    pub(crate) will_event: Option<String>,
    /// How long others may take to go on before the will is published [the hub's 30s]
    #[arg(long, value_name = "DURATION", requires = "will", hide_short_help = true)]
    pub(crate) lost: Option<String>,
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
resumed by anybody: what it sends while the relay is away is lost.

With --end it is about a response that happens once, such as the answer of a language model: the \
hub is asked whether the topic is new (else the upstream is not asked at all), and the end of the \
response ends the topic. A response that breaks off leaves the topic open, unless there is a \
--will. If somebody ends the topic meanwhile, the connection to the upstream is closed: that is \
Stop.";

pub(super) const RELAY_EXAMPLES: &str = "\
Examples:
  tidings relay https://stream.wikimedia.org/v2/stream/recentchange wiki/changes
  tidings relay http://10.0.0.7:3000/events/orders orders --id-prefix berlin/
  tidings relay https://api.example/v1/ticks ticks -H @headers.txt --since-file ticks.id
  tidings relay https://llm.example/v1/chat/completions runs/7 --end \
      -H @key.txt -H 'Content-Type: application/json' -d @prompt.json

  A file of headers keeps secrets from the list of processes:
  Authorization: Bearer ...";
