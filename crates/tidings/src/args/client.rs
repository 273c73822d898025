//! The words of `tidings publish` and `tidings subscribe`.

use clap::Args;

/// Which hub, and who is asking.
#[derive(Args, Debug)]
pub(crate) struct HubUrl {
    /// The hub
    #[arg(
        long,
        default_value = "http://127.0.0.1:3000",
        env = "TIDINGS_URL",
        hide_env_values = true
    )]
    pub(crate) url: String,
    /// A token or a key (others on this machine can see it: prefer the environment)
    #[arg(long, env = "TIDINGS_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

/// `tidings publish`.
#[derive(Args, Debug)]
pub(crate) struct PublishArgs {
    /// The topic, such as news/sports
    pub(crate) topic: String,
    /// The payload of one event; -, or nothing with a pipe: each line of standard input is an event
    #[arg(allow_hyphen_values = true)]
    pub(crate) data: Option<String>,
    /// The type of the event; without it, subscribers get it as a `message`
    #[arg(long, value_name = "TYPE")]
    pub(crate) event: Option<String>,
    /// The id of the event: an event with an id that the hub has already is not published again
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Each line is a JSON object: data, and perhaps topic, event, id, retry
    #[arg(long, conflicts_with_all = ["event", "id"])]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) hub: HubUrl,
}

/// `tidings subscribe`.
#[derive(Args, Debug)]
pub(crate) struct SubscribeArgs {
    /// Topics or patterns: `*` stands for one segment, a final `**` for the rest
    #[arg(required = true, value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,
    /// Print the event stream as it is sent
    #[arg(long, group = "format")]
    pub(crate) raw: bool,
    /// Print each event as a JSON object on a line: id, event, data
    #[arg(long, group = "format")]
    pub(crate) json: bool,
    /// Begin with the last N events
    #[arg(long, value_name = "N", group = "start")]
    pub(crate) last: Option<u64>,
    /// Begin at a time (2026-10-12T08:00:00Z), or so long ago (10m)
    #[arg(long, value_name = "WHEN", group = "start")]
    pub(crate) since: Option<String>,
    /// Begin after the event with this id
    #[arg(long, value_name = "ID", group = "start")]
    pub(crate) after: Option<String>,
    /// Stop after N events
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Say nothing about connections
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) hub: HubUrl,
}

pub(super) const PUBLISH_ABOUT: &str = "\
Publish an event, or each line of standard input as one

One event: its id goes to standard output once it is stored. Lines travel as they come, over one \
request at a time, and a line is stored soon after it was read. If the hub goes away, publishing \
goes on when it is back; nothing is published twice.";

pub(super) const PUBLISH_EXAMPLES: &str = "\
Examples:
  tidings publish hello world
  tidings publish prices/acme 12.75 --event trade
  tidings publish notes - < notes.txt
  vmstat 1 | tidings publish host/vmstat
  jq -c '{event: .kind, data: .}' log.json | tidings publish log --json";

pub(super) const SUBSCRIBE_ABOUT: &str = "\
Print events as they arrive

If the connection is lost it is made again, and goes on where it was: nothing is missed, unless \
the hub says so (`tidings.reset`).";

pub(super) const SUBSCRIBE_EXAMPLES: &str = "\
Examples:
  tidings subscribe hello
  tidings subscribe 'prices/*' --last 10
  tidings subscribe '**' --since 1h --json | jq .data
  tidings subscribe hello --raw | curl -T - -H 'Content-Type: text/event-stream' \\
      http://other.example/events/hello";
