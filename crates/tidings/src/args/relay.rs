//! The words of `tidings relay`.

use clap::Args;

use super::client::HubUrl;
use super::upstream::UpstreamArgs;

/// `tidings relay`.
#[derive(Args, Debug)]
pub(crate) struct RelayArgs {
    /// The URL of any event stream
    #[arg(value_name = "UPSTREAM_URL")]
    pub(crate) upstream_url: String,
    /// The topic of the hub to publish to, which should have no other publisher
    pub(crate) topic: String,
    /// A prefix for the upstream's ids, which must be unique in the topic
    #[arg(long, value_name = "PREFIX")]
    pub(crate) id_prefix: Option<String>,
    /// Interval of progress reports; without it, a minute, or a second on a terminal
    #[arg(long, value_name = "DURATION")]
    pub(crate) report_every: Option<String>,
    /// Print only errors, and the events that are skipped or get another id
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Request the upstream once, begin the topic as a run, and end it with the response
    #[arg(long, conflicts_with_all = ["since_file", "after", "retries", "id_prefix"])]
    pub(crate) end: bool,
    /// The last event of the run if the upstream or this program is lost
    #[arg(long, value_name = "DATA", requires = "end")]
    pub(crate) will: Option<String>,
    /// The type of that event
    #[arg(long, value_name = "TYPE", requires = "will", hide_short_help = true)]
    pub(crate) will_event: Option<String>,
    /// Time in which another publisher may take over before the will is published [the hub's 30s]
    #[arg(long, value_name = "DURATION", requires = "will", hide_short_help = true)]
    pub(crate) lost: Option<String>,
    #[command(flatten)]
    pub(crate) hub: HubUrl,
    #[command(flatten)]
    pub(crate) upstream: UpstreamArgs,
}

pub(super) const RELAY_ABOUT: &str = "\
Publish the events of another event stream to a topic

One connection to the upstream serves any number of subscribers of the hub. They get its events \
with the same types and ids, and resume from the hub's history even if the upstream cannot.

Nothing is published twice, because events keep the upstream's ids. After a restart or a crash, \
the relay asks the hub for the topic's last event and resumes the upstream after it. If the hub \
keeps no history, or others publish to the topic, use --since-file. An upstream without ids cannot \
be resumed: events that it sends while the relay is down are lost.

With --end, the relay publishes a response that happens once, such as the answer of a language \
model. It sends the request only if the topic is new, and ends the topic with the response. A \
response that breaks off leaves the topic open, unless there is a --will. To stop the relay, end \
the topic: it then closes the connection to the upstream.";

pub(super) const RELAY_EXAMPLES: &str = "\
Examples:
  tidings relay https://stream.wikimedia.org/v2/stream/recentchange wiki/changes
  tidings relay http://10.0.0.7:3000/events/orders orders --id-prefix berlin/
  tidings relay https://api.example/v1/ticks ticks -H @headers.txt --since-file ticks.id
  tidings relay https://llm.example/v1/chat/completions runs/7 --end \
      -H @key.txt -H 'Content-Type: application/json' -d @prompt.json

  A file of headers keeps secrets from the list of processes:
  Authorization: Bearer ...";
