//! `tidings relay`: the events of another event stream, published to a topic.
//!
//! # Nothing lost, nothing doubled
//!
//! Events are published in batches, in their order: the next one grows while the one before is
//! being stored, and goes when the hub has answered. So what the hub has is always a prefix of what
//! the upstream sent, and the last event in the topic says where to go on: its id is the upstream's
//! own (see `names`). It is asked for at the start, and sent to the upstream as `Last-Event-ID`. A
//! crash at any moment leaves at most one batch of which the relay does not know whether it is
//! stored. The upstream sends that again, and the hub, which knows the ids, leaves out what it has.
//!
//! An upstream that begins to count anew sends other events under ids that the topic has. The hub
//! tells them from repetitions, by their content, and they are published under names of their own.

mod names;
mod report;
mod run;
mod start;

use std::pin::Pin;
use std::time::Duration;

use tidings_client::{
    Event, EventId, EventSource, Item, MessageEvent, Problem, PublishError, Publisher, ShownUrl,
};
use tokio::time::Instant;

use self::names::{Names, PREFIX_BYTES_MAX};
use self::report::Report;
use super::publish::{cannot_open, cannot_publish};
use crate::args::RelayArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_client::HubClient;
use crate::runtime::client_runtime;
use crate::settings::parse_duration;
use crate::signals::Signals;
use crate::upstream::{SinceFile, Upstream, is_url};

pub(super) fn run(args: &RelayArgs) -> Result<ExitCode, CliError> {
    if !is_url(&args.upstream_url) {
        let message = format!("{:?} is not a URL", ShownUrl(&args.upstream_url));
        return Err(CliError::new(ExitCode::Usage, message)
            .hint("first the URL of the upstream, then the topic"));
    }
    let every = args.report_every.as_deref().map(parse_duration).transpose();
    let every =
        every.map_err(|why| CliError::new(ExitCode::Usage, format!("--report-every: {why}")))?;
    let hub = HubClient::new(&args.hub)?;
    let url = args.upstream_url.clone();
    let upstream = Upstream::new(url, &args.upstream, &hub, args.end)?;
    if args.end {
        return client_runtime()?.block_on(run::relay(args, &hub, &upstream, every));
    }
    let since = SinceFile::open(args.upstream.since_file.as_deref())?;
    client_runtime()?.block_on(relay(args, &hub, upstream, since, every))
}

async fn relay(
    args: &RelayArgs,
    hub: &HubClient,
    upstream: Upstream<'_>,
    since: SinceFile,
    report_every: Option<Duration>,
) -> Result<ExitCode, CliError> {
    let publisher = publisher(hub, RETRIES)?;
    let prefix = args.id_prefix.as_deref().unwrap_or_default();
    if prefix.len() > PREFIX_BYTES_MAX {
        let message = format!("--id-prefix is longer than {PREFIX_BYTES_MAX} bytes");
        return Err(CliError::new(ExitCode::Usage, message)
            .hint("an id of the hub, with the prefix, can have at most 1024 bytes"));
    }
    let (start, from) = match since.id() {
        Some(id) => (Some(id.clone()), "the since-file"),
        None => match start::last_relayed(hub, &args.topic, prefix).await? {
            Some(id) => (Some(id), "the last event of the topic"),
            None => (upstream.after(), "the command line"),
        },
    };
    let mut source = upstream.open(start.clone())?;
    let mut relay = Relay {
        target: Target { topic: &args.topic, prefix, hub, publisher },
        has_told_of_reuse: false,
        names: Names::new(prefix),
        batch: Vec::new(),
        batch_bytes: 0,
        reached: start.clone(),
        since,
        report: Report::new(args.quiet, report_every),
    };
    match &start {
        Some(id) => relay.report.say(&format!("going on after {:?}, from {from}", id.as_str())),
        None => relay.report.say("beginning with what the upstream sends first"),
    }
    let signal = Signals::new()?.first();
    tokio::pin!(signal);
    let done = tokio::select! {
        biased;
        done = relay.run(&upstream, &mut source) => done,
        // A batch whose answer is awaited is not known to be stored: it comes again.
        () = &mut signal => Ok(()),
    };
    relay.report.finish();
    done.map(|()| ExitCode::Success)
}

fn publisher(hub: &HubClient, retries_max: u32) -> Result<Publisher, CliError> {
    let publisher = hub.publisher().assign_ids(false).retries_max(retries_max);
    publisher.build().map_err(|error| cannot_open(error, hub))
}

struct Relay<'a> {
    target: Target<'a>,
    names: Names,
    /// Events that have arrived while the previous batch is being stored.
    batch: Vec<Event>,
    batch_bytes: usize,
    /// The upstream's last id as of everything in the batch.
    reached: Option<EventId>,
    since: SinceFile,
    report: Report,
    /// Once is enough.
    has_told_of_reuse: bool,
}

/// A batch on its way into the hub, and the upstream's last id as of its end.
struct Storing<'a> {
    outcome: Pin<Box<dyn Future<Output = Result<Outcome, CliError>> + 'a>>,
    reached: Option<EventId>,
    since: Instant,
}

impl<'a> Relay<'a> {
    async fn run(
        &mut self,
        upstream: &Upstream<'_>,
        source: &mut EventSource,
    ) -> Result<(), CliError> {
        let mut storing: Option<Storing<'a>> = None;
        loop {
            let asked = storing.as_ref().map(|storing| storing.since);
            let item = tokio::select! {
                biased;
                outcome = outcome(&mut storing) => {
                    if let Some(Storing { reached, .. }) = storing.take() {
                        self.stored(outcome?, reached)?;
                    }
                    continue;
                }
                item = source.next(), if !self.is_full() => item,
                () = std::future::ready(()), if asked.is_none() && !self.batch.is_empty() => {
                    if !self.is_full() {
                        self.reached = source.last_event_id();
                    }
                    storing = Some(self.store());
                    continue;
                }
                () = self.report.tick(asked) => {
                    if asked.is_none() {
                        // A block of the upstream with only an id is not an item.
                        self.since.save(source.last_event_id())?;
                    }
                    continue;
                }
            };
            match item {
                Some(Ok(Item::Event(event))) => self.take(event),
                Some(Ok(item)) => {
                    let has_ended = upstream.adapt(source, &item);
                    if let Item::Open(_) = &item {
                        self.names.connected();
                    }
                    if let Item::Skipped(_) = &item {
                        self.report.left_out += 1;
                    }
                    if !has_ended {
                        self.report.tell(&item);
                    }
                }
                Some(Err(error)) => {
                    self.store_all(storing).await?;
                    upstream.end(error)?;
                    self.report.say("the upstream has ended the stream");
                    return Ok(());
                }
                None => return self.store_all(storing).await,
            }
        }
    }

    fn is_full(&self) -> bool {
        self.batch.len() >= BATCH_EVENTS_MAX || self.batch_bytes >= BATCH_BYTES_MAX
    }

    fn take(&mut self, event: MessageEvent) {
        if self.report.tell_expiring(&event) {
            return;
        }
        self.report.received += 1;
        self.report.tell_reset(&event);
        self.reached = event.last_event_id().cloned();
        let event = self.names.name(event);
        self.batch_bytes += event.data.len();
        self.batch.push(event);
    }

    /// Sends the batch on its way.
    fn store(&mut self) -> Storing<'a> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let target = self.target.clone();
        Storing {
            outcome: Box::pin(async move { target.store(batch).await }),
            reached: self.reached.clone(),
            since: Instant::now(),
        }
    }

    /// A batch is dealt with: everything up to `reached` is.
    fn stored(&mut self, outcome: Outcome, reached: Option<EventId>) -> Result<(), CliError> {
        self.report.published += outcome.published;
        self.report.duplicates += outcome.duplicates;
        self.report.left_out += outcome.left_out.len() as u64;
        for text in &outcome.left_out {
            self.report.warn(text);
        }
        if let Some(id) = outcome.reused.filter(|_| !self.has_told_of_reuse) {
            self.has_told_of_reuse = true;
            self.report.warn(&format!(
                "the upstream sends another event under the id {id:?} that the topic has already; \
                 such events are published under names of their own"
            ));
        }
        self.report.last_id.clone_from(&reached);
        self.since.save(reached)?;
        self.report.look();
        Ok(())
    }

    /// Waits until everything that has come is stored.
    async fn store_all(&mut self, storing: Option<Storing<'a>>) -> Result<(), CliError> {
        if let Some(Storing { outcome, reached, .. }) = storing {
            self.stored(outcome.await?, reached)?;
        }
        if !self.batch.is_empty() {
            let Storing { outcome, reached, .. } = self.store();
            self.stored(outcome.await?, reached)?;
        }
        Ok(())
    }
}

/// The outcome of the batch that is being stored; pending forever if there is none.
async fn outcome(storing: &mut Option<Storing<'_>>) -> Result<Outcome, CliError> {
    match storing {
        Some(storing) => storing.outcome.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Where events go.
#[derive(Clone)]
struct Target<'a> {
    topic: &'a str,
    /// Of the names of all events.
    prefix: &'a str,
    hub: &'a HubClient,
    publisher: Publisher,
}

/// The outcome of a batch.
#[derive(Default)]
struct Outcome {
    published: u64,
    duplicates: u64,
    /// The first id that the topic has for another event.
    reused: Option<String>,
    /// A sentence for each event that no hub would take.
    left_out: Vec<String>,
}

impl Target<'_> {
    /// Publishes a batch; when it returns, all of it is dealt with.
    async fn store(&self, batch: Vec<Event>) -> Result<Outcome, CliError> {
        let mut outcome = Outcome::default();
        if let [event] = &batch[..] {
            self.store_one(event, &mut outcome).await?;
            return Ok(outcome);
        }
        let all = self.publisher.publish_all(batch.iter().map(|event| (self.topic, event)));
        match all.await {
            Ok(summary) => {
                outcome.published = summary.published;
                outcome.duplicates = summary.duplicates;
            }
            Err(PublishError::Refused(problem)) if is_about_an_event(&problem) => {
                for event in &batch {
                    self.store_one(event, &mut outcome).await?;
                }
            }
            Err(error) => return Err(cannot_publish(error, self.hub)),
        }
        Ok(outcome)
    }

    /// Publishes one event, under another name if the topic has its id for another event.
    async fn store_one(&self, event: &Event, outcome: &mut Outcome) -> Result<(), CliError> {
        let id = event.id.as_ref().map_or("", EventId::as_str);
        let mut answer = self.publisher.publish(self.topic, event).await;
        let mut others = names::other_names(event, self.prefix);
        while let Err(PublishError::Refused(problem)) = &answer
            && problem.code == ID_REUSED
            && let Some(other) = others.next()
        {
            let renamed = Event { id: Some(other), ..event.clone() };
            answer = self.publisher.publish(self.topic, &renamed).await;
            outcome.reused.get_or_insert_with(|| id.to_owned());
        }
        match answer {
            Ok(published) if published.duplicate => outcome.duplicates += 1,
            Ok(_) => outcome.published += 1,
            Err(PublishError::Refused(problem)) if is_about_the_id(&problem) => {
                let message = format!("the hub rejects the id {id:?}");
                return Err(CliError::new(ExitCode::Refused, message)
                    .because(*problem)
                    .hint("give the ids of this upstream a prefix with --id-prefix"));
            }
            Err(PublishError::Refused(problem)) if is_about_an_event(&problem) => {
                outcome.left_out.push(format!("the event {id:?} is left out: {problem}"));
            }
            Err(error) => return Err(cannot_publish(error, self.hub)),
        }
        Ok(())
    }
}

/// The problem of an id that the topic has for another event.
const ID_REUSED: &str = "id_reused";

/// Whether the hub would take another event.
fn is_about_an_event(problem: &Problem) -> bool {
    matches!(
        problem.code.as_str(),
        "invalid_field" | "invalid_line" | "event_too_large" | ID_REUSED
    )
}

fn is_about_the_id(problem: &Problem) -> bool {
    problem.code == ID_REUSED
        || problem.code == "invalid_field"
            && problem.members.get("field").is_some_and(|f| f == "id")
}

/// How often a batch is tried before the relay gives up: about a day. Meanwhile the upstream waits.
const RETRIES: u32 = 20_000;

/// How often a hub that does not answer is asked whether a run can begin: a few seconds.
const RETRIES_OF_A_RUN: u32 = 5;

/// How much is published at once: about what a hub stores whole or not at all. More gains nothing,
/// for the next batch grows while this one is stored. At the edge: the upstream waits.
const BATCH_EVENTS_MAX: usize = 1000;
const BATCH_BYTES_MAX: usize = 512 << 10;

/// How often the counters are looked at.
const TICK: Duration = Duration::from_millis(500);
