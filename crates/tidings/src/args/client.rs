//! The arguments of the commands that speak to a hub.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::upstream::UpstreamArgs;
use crate::trust::TrustArgs;

/// The hub, and the token for it.
#[derive(Args, Debug)]
pub(crate) struct HubUrl {
    /// The hub; without a scheme, http for this machine and https for any other
    #[arg(
        long,
        default_value = "http://127.0.0.1:3000",
        env = "TIDINGS_URL",
        hide_env_values = true
    )]
    pub(crate) url: String,
    /// A token or a key (visible to other users of this machine: prefer the environment)
    #[arg(long, env = "TIDINGS_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

/// `tidings publish`.
#[derive(Args, Debug)]
pub(crate) struct PublishArgs {
    /// The topic, such as news/sports
    pub(crate) topic: String,
    /// The payload; with -, or a pipe and no payload, each line of standard input is an event
    #[arg(allow_hyphen_values = true)]
    pub(crate) data: Option<String>,
    /// Publish a file as one event, byte for byte; - is all of standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "json", "tee", "strict"])]
    pub(crate) file: Option<PathBuf>,
    /// The type of the event; without it, subscribers get it as a `message`
    #[arg(long, value_name = "TYPE")]
    pub(crate) event: Option<String>,
    /// The id of the event; the hub publishes only one event with an id
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// How long history keeps the event, or each of them, such as 5m
    #[arg(long, value_name = "DURATION")]
    pub(crate) ttl: Option<String>,
    /// The key of which the event is the value, or each event in turn; the state has the last one
    #[arg(long, value_name = "KEY", conflicts_with = "append")]
    pub(crate) key: Option<String>,
    /// Add the event or each event to the value of this key; the state has one event with all of it
    #[arg(long, value_name = "KEY", conflicts_with = "ttl")]
    pub(crate) append: Option<String>,
    /// With --append, the data is JSON, and the string at this JSON pointer grows, such as /delta
    #[arg(long, value_name = "POINTER", requires = "append")]
    pub(crate) at: Option<String>,
    /// Lines are JSON objects: data and, optionally, topic, event, id, retry, ttl, key, append, at
    #[arg(long, conflicts_with_all = ["event", "id"])]
    pub(crate) json: bool,
    /// Print each line as it is read
    #[arg(long)]
    pub(crate) tee: bool,
    /// End the topic after the last event
    #[arg(long)]
    pub(crate) end: bool,
    /// Fail at a line that is not UTF-8 or is too long, instead of replacing or splitting it
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print only errors and warnings
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Header of the request, "Name: value", or @FILE for those in a file, one a line; repeatable
    #[arg(long, short = 'H', value_name = "HEADER")]
    pub(crate) header: Vec<String>,
    #[command(flatten)]
    pub(crate) hub: HubUrl,
}

/// `tidings topics`.
#[derive(Args, Debug)]
pub(crate) struct TopicsArgs {
    /// Only topics that begin with this
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// At most N topics; without it, all
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) count: Option<usize>,
    /// Print each topic as a JSON object on a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) hub: HubUrl,
}

/// `tidings stats`.
#[derive(Args, Debug)]
pub(crate) struct StatsArgs {
    /// Print what the hub says, as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) hub: HubUrl,
}

/// `tidings end`.
#[derive(Args, Debug)]
pub(crate) struct EndArgs {
    /// The topic
    pub(crate) topic: String,
    /// The payload of the last event; without it, the last event has the type `end`
    #[arg(allow_hyphen_values = true)]
    pub(crate) data: Option<String>,
    /// The type of the last event
    #[arg(long, value_name = "TYPE", requires = "data")]
    pub(crate) event: Option<String>,
    /// The id of the last event
    #[arg(long, requires = "data")]
    pub(crate) id: Option<String>,
    /// Print what the hub says, as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) hub: HubUrl,
}

/// `tidings remove`.
#[derive(Args, Debug)]
pub(crate) struct RemoveArgs {
    /// The topic; patterns are not possible
    pub(crate) topic: String,
    /// The key
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) key: String,
    /// Remove the key only if this is the id of its newest event
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) if_version: Option<String>,
    /// Print what the hub says, as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) hub: HubUrl,
}

/// `tidings erase`.
#[derive(Args, Debug)]
#[group(id = "what", required = true, multiple = false, args = ["id", "key", "all"])]
pub(crate) struct EraseArgs {
    /// The topic; patterns are not possible
    pub(crate) topic: String,
    /// Erase the event with this id
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) id: Option<String>,
    /// Erase all events of this key
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) key: Option<String>,
    /// Erase all events of the topic
    #[arg(long)]
    pub(crate) all: bool,
    /// Print what the hub says, as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) hub: HubUrl,
}

/// `tidings subscribe`.
#[derive(Args, Debug)]
pub(crate) struct SubscribeArgs {
    /// Topics or patterns of the hub (`*`: one segment, a final `**`: the rest); or one URL
    #[arg(value_name = "TOPIC|URL", required_unless_present = "topic")]
    pub(crate) targets: Vec<String>,
    /// A topic that looks like a URL; may be repeated
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Vec<String>,
    /// Print the event stream as it is sent
    #[arg(long, group = "format")]
    pub(crate) raw: bool,
    /// Print each event as a JSON object on a line: id, event, data
    #[arg(long, group = "format")]
    pub(crate) json: bool,
    /// Begin with the last N events
    #[arg(long, value_name = "N", group = "start")]
    pub(crate) last: Option<u64>,
    /// Begin at a time (2026-10-12T08:00:00Z), or this long ago (10m)
    #[arg(long, value_name = "WHEN", group = "start")]
    pub(crate) since: Option<String>,
    /// Run CMD in a shell for each event, with the data on its standard input
    #[arg(long, value_name = "CMD", conflicts_with_all = ["raw", "json"])]
    pub(crate) exec: Option<String>,
    /// Run CMD in a shell to get a token: for each connection, and before the token expires
    #[arg(long, value_name = "CMD")]
    pub(crate) token_command: Option<String>,
    /// Stop when the response ends, without reconnecting
    #[arg(long)]
    pub(crate) once: bool,
    /// Stop after N events
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Print nothing about connections
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) hub: HubUrl,
    #[command(flatten)]
    pub(crate) upstream: UpstreamArgs,
}

/// `tidings trace`.
#[derive(Args, Debug)]
pub(crate) struct TraceArgs {
    /// The connection, as named by the header `Tidings-Connection` of its stream
    pub(crate) id: String,
    /// The id of an event: show why the subscriber received it, or did not
    #[arg(long, value_name = "ID")]
    pub(crate) event: Option<String>,
    /// Print the hub's answer, as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) hub: HubUrl,
}

pub(super) const PUBLISH_ABOUT: &str = "\
Publish one event, or each line of standard input as an event

A single event's id is printed once the event is stored. Lines are sent as they are read, in one \
long request, and stored shortly after; their number is printed on standard error. If the hub \
becomes unreachable, publishing resumes when it is back, and nothing is published twice.

Lines that are not text are published, too: bytes that are not UTF-8, and NUL, become U+FFFD, and \
a line of more than 1 MiB becomes several events; standard error says so once. With --strict or \
--json, such a line is an error. With --tee, the input is read and printed to its end whatever \
goes wrong here, so that the program before the pipe is not killed.";

pub(super) const PUBLISH_EXAMPLES: &str = "\
Examples:
  tidings publish hello world
  tidings publish prices/acme 12.75 --event trade
  tidings publish typing/7 Ada --ttl 5m
  tidings publish stocks 12.75 --key ACME
  tidings publish chats/7 ' is blue' --append answer-12
  tidings publish notes - < notes.txt
  make 2>&1 | tidings publish ci/1 --tee --end
  tidings publish pages/7 --file page.html
  jq -c '{event: .kind, data: .}' log.json | tidings publish log --json";

pub(super) const TOPICS_ABOUT: &str = "\
List the topics that have events

In the order of their names: the number of events that are kept, the number of subscribers, and \
the id of the last event. A token shows the topics that it may subscribe to.";

pub(super) const TOPICS_EXAMPLES: &str = "\
Examples:
  tidings topics
  tidings topics users/7/
  tidings topics --json | jq -r 'select(.ended | not) | .topic'";

pub(super) const STATS_ABOUT: &str = "\
Show the counters of a hub

`published` counts from the beginning of the log, the other counters from the start of the \
hub. A token must cover everything (`**`). For graphs there is /metrics.";

pub(super) const STATS_EXAMPLES: &str = "\
Examples:
  tidings stats
  tidings stats --url https://hub.example --json | jq .subscribers";

pub(super) const END_ABOUT: &str = "\
End a topic: its subscribers get a last event, and stay away

The id of the last event goes to standard output. Later subscribers get 204, and browsers do not \
come back, until something is published to the topic again. A topic that has ended already stays \
as it is.";

pub(super) const END_EXAMPLES: &str = "\
Examples:
  tidings end ci/1
  tidings end ci/1 '{\"status\": \"passed\"}' --event done";

pub(super) const REMOVE_ABOUT: &str = "\
Remove a key from the state of a topic

The id of the removal goes to standard output. Subscribers get the event `tidings.removed`, and \
the key is no longer part of the state. A key without a value is an error. What was published with \
the key stays in the history until retention drops it: `tidings erase` takes it out of the log.";

pub(super) const REMOVE_EXAMPLES: &str = "\
Examples:
  tidings remove stocks --key ACME";

pub(super) const ERASE_ABOUT: &str = "\
Erase events of a topic from the log, before retention drops them

The number of erased events goes to standard output once their bytes are gone from the hub's data \
folder, however long that takes: if a backup is running, erasing waits for it. 0 means that the \
events had been erased before; a remark says if that may have been by this command, which \
sends the request again if an answer is lost or erasing takes long. If this command is \
interrupted, the hub still finishes; run the same command again to wait for it.

The token needs the right `erase` for the topic. Erasing cannot be undone. It does not reach \
earlier backups, or events that subscribers have received. Where several hubs share a log, the \
others erase the events when they follow it, and the servers of the log keep them until retention \
drops them.";

pub(super) const ERASE_EXAMPLES: &str = "\
Examples:
  tidings erase users/7 --id 5f21c0de:42
  tidings erase people --key ann
  tidings erase users/7 --all";

pub(super) const SUBSCRIBE_ABOUT: &str = "\
Print events as they arrive

Subscribes to topics of the hub, or to any event stream by its URL. A lost connection is opened \
again and resumes after the last event: from a hub nothing is missed unless it says so \
(`tidings.reset`). With --since-file, this includes restarts of this program.

With --exec, a shell runs CMD for each event, one at a time, with the data on its standard input, \
and TIDINGS_EVENT_TYPE and TIDINGS_EVENT_ID in its environment. If CMD fails, so does this \
program, and the event counts as not processed: with a --since-file it is delivered again.

On a terminal, control characters are shown as escapes (\\u{1b}) in every format; in a pipe or a \
file every byte is as it was sent.

The token is sent only to the hub. Another server, given by its URL, needs a --header. With \
--token-command, a stream continues on its connection with another token when one expires.";

pub(super) const SUBSCRIBE_EXAMPLES: &str = "\
Examples:
  tidings subscribe hello
  tidings subscribe 'prices/*' --last 10
  tidings subscribe '**' --since 1h --json | jq .data
  tidings subscribe hello --raw | curl -T - -H 'Content-Type: text/event-stream' \\
      http://other.example/events/hello
  tidings subscribe https://stream.wikimedia.org/v2/stream/recentchange --json
  tidings subscribe orders --since-file orders.id --exec './handle-order'
  tidings subscribe orders --token-command 'curl -sf http://127.0.0.1:8000/hub-token'
  tidings subscribe --once https://llm.example/v1/chat -H @key.txt -d @prompt.json";

pub(super) const TRACE_ABOUT: &str = "\
Show the state of a subscriber, why it was closed, and whether it got an event

The hub remembers a few thousand closed connections. The token must allow subscribing to \
everything (`**`), as for the hub's other statistics.";

pub(super) const TRACE_EXAMPLES: &str = "\
Examples:
  curl -N -i http://127.0.0.1:3000/events/hello      shows Tidings-Connection: 5f21c0de-1a
  tidings trace 5f21c0de-1a
  tidings trace 5f21c0de-1a --event k7q2ma:42";
