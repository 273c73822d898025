//! `tidings subscribe`: print events as they arrive, or run a command for each.

mod exec;
mod format;

use std::time::Duration;

use tidings_client::{EventId, EventSource, Item, MessageEvent};
use tokio::time::{MissedTickBehavior, interval};

use self::exec::Exec;
use self::format::Format;
use crate::args::SubscribeArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_client::HubClient;
use crate::output;
use crate::runtime::client_runtime;
use crate::signals::Signals;
use crate::upstream::{ConnectionReport, SinceFile, Upstream, is_url};

pub(super) fn run(args: SubscribeArgs) -> Result<ExitCode, CliError> {
    let hub = HubClient::new(&args.hub)?;
    let mut upstream = Upstream::new(url(&args, &hub)?, &args.upstream, &hub, args.once)?;
    upstream.token_command.clone_from(&args.token_command);
    let since = SinceFile::open(args.upstream.since_file.as_deref())?;
    let start = since.id().cloned().or_else(|| upstream.after());
    let source = upstream.open(start)?;
    let subscriber = Subscriber {
        upstream,
        left: args.count.unwrap_or(u64::MAX),
        end: end_sentence(&args),
        connection: ConnectionReport::new(args.quiet),
        since,
        sink: match &args.exec {
            Some(command) => Sink::Exec(Exec::new(command)),
            None => Sink::Print {
                format: Format::new(args.raw, args.json, names_topics(&args)),
                unshown: Vec::new(),
            },
        },
        reached: None,
    };
    client_runtime()?.block_on(subscriber.follow(source))
}

/// The URL that was given, or the one of the topics that were.
fn url(args: &SubscribeArgs, hub: &HubClient) -> Result<String, CliError> {
    if args.targets.iter().any(|target| is_url(target)) {
        if args.targets.len() + args.topic.len() > 1 {
            let message = "a URL cannot be combined with other targets";
            return Err(CliError::new(ExitCode::Usage, message)
                .hint("give a topic that looks like a URL with --topic"));
        }
        if args.last.is_some() || args.since.is_some() {
            let message = "--last and --since are for topics of the hub";
            return Err(CliError::new(ExitCode::Usage, message)
                .hint("put the parameters of another server into the query of its URL"));
        }
        return Ok(args.targets[0].clone());
    }
    Ok(events_url(args, hub))
}

/// `{hub}/events?topic=…`.
fn events_url(args: &SubscribeArgs, hub: &HubClient) -> String {
    let mut url = hub.at(["events"]);
    let mut query = url.query_pairs_mut();
    for topic in args.targets.iter().chain(&args.topic) {
        query.append_pair("topic", topic);
    }
    if let Some(last) = args.last {
        query.append_pair("last", &last.to_string());
    }
    if let Some(since) = &args.since {
        query.append_pair("since", since);
    }
    if names_topics(args) {
        query.append_pair("envelope", "json");
    }
    drop(query);
    url.into()
}

/// What is said when the stream has ended for good.
fn end_sentence(args: &SubscribeArgs) -> &'static str {
    match args.targets.len() + args.topic.len() {
        _ if args.targets.iter().any(|target| is_url(target)) => STREAM_ENDED,
        1 => TOPIC_ENDED,
        _ => "all topics have ended",
    }
}

const STREAM_ENDED: &str = "the stream has ended";
const TOPIC_ENDED: &str = "the topic has ended";

/// Whether each event is shown with its topic: where it can be of several, and where programs read.
fn names_topics(args: &SubscribeArgs) -> bool {
    let mut topics = args.targets.iter().chain(&args.topic);
    let is_one = topics.next().is_some_and(|topic| !topic.contains('*')) && topics.next().is_none();
    let is_of_hub = !args.targets.iter().any(|target| is_url(target));
    is_of_hub && args.exec.is_none() && !args.raw && (args.json || !is_one)
}

struct Subscriber<'a> {
    upstream: Upstream<'a>,
    /// How many events are still wanted.
    left: u64,
    /// What is said when the stream has ended for good.
    end: &'static str,
    connection: ConnectionReport,
    since: SinceFile,
    sink: Sink,
    /// The last id as of the last event that came.
    reached: Option<EventId>,
}

/// The handling of events.
enum Sink {
    Print { format: Format, unshown: Vec<u8> },
    Exec(Exec),
}

/// Whether somebody still wants events.
type Wanted = bool;

impl Subscriber<'_> {
    async fn follow(mut self, mut source: EventSource) -> Result<ExitCode, CliError> {
        let mut ticks = interval(SAVE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // A command that runs is not cut short; printing is, as everywhere.
        let signals = match self.sink {
            Sink::Exec(_) => Some(Signals::new()?),
            Sink::Print { .. } => None,
        };
        let signal = async {
            match signals {
                Some(signals) => signals.first().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(signal);
        while self.left > 0 {
            // Events that have arrived are shown before the next wait.
            let item = tokio::select! {
                biased;
                () = &mut signal => break,
                item = source.next() => item,
                () = std::future::ready(()), if self.has_unshown() => {
                    if !self.show(source.last_event_id())? {
                        return Ok(ExitCode::Success);
                    }
                    continue;
                }
                // Blocks with nothing but an id, such as heartbeats, are no items.
                _ = ticks.tick(), if self.since.is_kept() => {
                    self.since.save(source.last_event_id())?;
                    continue;
                }
            };
            match item {
                Some(Ok(Item::Event(event))) => {
                    if !self.take(event).await? {
                        return Ok(ExitCode::Success);
                    }
                }
                Some(Ok(item)) => {
                    if !self.upstream.adapt(&mut source, &item) {
                        self.connection.tell(&item);
                    } else if self.end == STREAM_ENDED {
                        self.end = TOPIC_ENDED;
                    }
                }
                Some(Err(error)) => {
                    self.show(source.last_event_id())?;
                    self.upstream.end(error)?;
                    self.connection.remark(self.end);
                    return Ok(ExitCode::Success);
                }
                None => {
                    self.reached = source.last_event_id();
                    break;
                }
            }
        }
        self.show(self.reached.clone())?;
        Ok(ExitCode::Success)
    }

    async fn take(&mut self, event: MessageEvent) -> Result<Wanted, CliError> {
        if self.connection.tell_expiring(&event) {
            return Ok(true);
        }
        self.left -= 1;
        self.connection.tell_reset(&event);
        self.reached = event.last_event_id().cloned();
        match &mut self.sink {
            Sink::Print { format, unshown } => {
                format.write(unshown, event);
                if unshown.len() < UNSHOWN_BYTES_MAX {
                    return Ok(true);
                }
                self.show(self.reached.clone())
            }
            Sink::Exec(exec) => {
                exec.run(&event).await?;
                self.since.save(self.reached.clone())?;
                Ok(true)
            }
        }
    }

    fn has_unshown(&self) -> bool {
        matches!(&self.sink, Sink::Print { unshown, .. } if !unshown.is_empty())
    }

    /// Shows what is not shown yet; after that, and not before, it counts as seen.
    fn show(&mut self, reached: Option<EventId>) -> Result<Wanted, CliError> {
        if let Sink::Print { unshown, .. } = &mut self.sink {
            if !output::print(unshown)? {
                return Ok(false);
            }
            unshown.clear();
        }
        self.since.save(reached)?;
        Ok(true)
    }
}

/// In a flood of events, so much is shown at a time.
const UNSHOWN_BYTES_MAX: usize = 64 << 10;

/// How often the id of a quiet stream is saved.
const SAVE_EVERY: Duration = Duration::from_secs(1);
