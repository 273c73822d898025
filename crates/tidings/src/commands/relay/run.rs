//! `tidings relay --end`: a response that happens once, published as a run.
//!
//! It is one request to each side. The hub is asked first whether the topic is new, for asking the
//! upstream may cost money; its own request begins when the upstream has answered, so that a
//! rejected question leaves neither a topic nor a will behind.

use std::time::Duration;

use tidings_client::{Event, EventType, Item, MessageEvent, PublishError, PublishRun, RunBuilder};

use super::report::Report;
use super::{RETRIES_OF_A_RUN, names, publisher};
use crate::args::RelayArgs;
use crate::commands::publish::cannot_publish;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_client::HubClient;
use crate::settings::parse_duration;
use crate::signals::Signals;
use crate::upstream::Upstream;

pub(super) async fn relay(
    args: &RelayArgs,
    hub: &HubClient,
    upstream: &Upstream<'_>,
    report_every: Option<Duration>,
) -> Result<ExitCode, CliError> {
    let run = builder(args, hub)?;
    let signal = Signals::new()?.first();
    let mut report = Report::new(args.quiet, report_every);
    let done = tokio::select! {
        biased;
        done = relay_once(hub, upstream, run, &mut report) => done,
        () = signal => {
            let message = "interrupted before the response had ended; its topic was not ended";
            Err(CliError::new(ExitCode::Failure, message))
        }
    };
    report.finish();
    done.map(|()| ExitCode::Success)
}

fn builder(args: &RelayArgs, hub: &HubClient) -> Result<RunBuilder, CliError> {
    let usage = |flag: &str| CliError::new(ExitCode::Usage, format!("{flag} is invalid"));
    let mut run = publisher(hub, RETRIES_OF_A_RUN)?.run(&args.topic);
    if let Some(data) = &args.will {
        let mut will = Event::new(data.clone());
        let event_type = args.will_event.clone().map(EventType::new).transpose();
        will.event_type = event_type.map_err(|error| usage("--will-event").because(error))?;
        run = run.will(will);
    }
    if let Some(lost) = &args.lost {
        let lost = parse_duration(lost);
        let lost = lost.map_err(|why| CliError::new(ExitCode::Usage, format!("--lost: {why}")))?;
        run = run.lost(lost);
    }
    Ok(run)
}

async fn relay_once(
    hub: &HubClient,
    upstream: &Upstream<'_>,
    run: RunBuilder,
    report: &mut Report,
) -> Result<(), CliError> {
    run.check().await.map_err(|error| refused(error, hub))?;
    let mut source = upstream.open(None)?;
    let mut builder = Some(run);
    let mut run: Option<PublishRun> = None;
    loop {
        let item = tokio::select! {
            biased;
            error = stopped(&mut run) => return Err(refused(error, hub)),
            item = source.next() => item,
            () = report.tick(None) => continue,
        };
        match item {
            Some(Ok(Item::Event(event))) if report.tell_expiring(&event) => {}
            Some(Ok(Item::Event(event))) => {
                report.received += 1;
                report.tell_reset(&event);
                if let Some(run) = &mut run {
                    run.send(&ours(event)).await.map_err(|error| refused(error, hub))?;
                }
            }
            Some(Ok(item)) => {
                if let Item::Open(_) = &item {
                    run = builder.take().map(RunBuilder::begin);
                }
                if let Item::Skipped(_) = &item {
                    report.left_out += 1;
                }
                report.tell(&item);
            }
            Some(Err(error)) => {
                upstream.end(error)?;
                report.say("the upstream has nothing to say (204), and the topic was not begun");
                return Ok(());
            }
            None => break,
        }
    }
    if let Some(run) = run {
        let summary = run.finish().await.map_err(|error| refused(error, hub))?;
        report.published = summary.published;
    }
    Ok(())
}

/// When the hub takes no more; before there is a run, never.
async fn stopped(run: &mut Option<PublishRun>) -> PublishError {
    match run {
        Some(run) => run.stopped().await,
        None => std::future::pending().await,
    }
}

/// The event as it is published. Nothing is asked for again, so its id is the hub's to give.
fn ours(event: MessageEvent) -> Event {
    let mut event = event.into_sent();
    event.id = None;
    names::strip(&mut event);
    event
}

fn refused(error: PublishError, hub: &HubClient) -> CliError {
    let hint = match error.problem().map(|problem| problem.code.as_str()) {
        Some("topic_ended") => Some("somebody has ended the topic: nothing more is asked for"),
        Some("topic_exists") => Some("a run needs a topic of its own, or is being relayed already"),
        _ => None,
    };
    let error = cannot_publish(error, hub);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
