//! `tidings publish`: one event, or each line of standard input as one.

mod input;
mod progress;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::time::Duration;

use http::HeaderMap;
use tidings_client::{
    Event, EventId, EventType, Keyed, OpenError, Problem, PublishError, PublishStream, Publisher,
    ShownUrl, limits,
};
use tokio::time::timeout;

use self::input::{Addressed, Line, Lines, Reading, keyed};
use self::progress::Progress;
use super::end::{LastEvent, end};
use crate::args::PublishArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_client::{HubClient, TOKEN_HINT};
use crate::output;
use crate::runtime::client_runtime;
use crate::settings::parse_duration;
use crate::signals::Signals;
use crate::upstream::given_headers;

pub(super) fn run(mut args: PublishArgs) -> Result<ExitCode, CliError> {
    if let Some(file) = &args.file {
        args.data = Some(read_file(file)?);
        return client_runtime()?.block_on(publish_one(&Form::new(args)?));
    }
    let wants_lines = match args.data.as_deref() {
        Some(data) => data == "-",
        None if io::stdin().is_terminal() => {
            let message = "there is nothing to publish";
            return Err(CliError::new(ExitCode::Usage, message)
                .hint("give the data after the topic, a pipe, or - to type lines"));
        }
        None => true,
    };
    if wants_lines && args.id.is_some() {
        let message = "--id is for one event, not for many lines";
        return Err(CliError::new(ExitCode::Usage, message)
            .hint("with --json each line can have its own id"));
    }
    if !wants_lines && (args.tee || args.strict) {
        let flag = if args.tee { "--tee" } else { "--strict" };
        let message = format!("{flag} is for lines of standard input, and there is one event");
        return Err(CliError::new(ExitCode::Usage, message).hint("leave it out, or leave DATA out"));
    }
    let reading = Reading { strict: args.strict || args.json, tee: args.tee };
    let form = Form::new(args)?;
    let runtime = client_runtime()?;
    if !wants_lines {
        return runtime.block_on(publish_one(&form));
    }
    let mut lines = Lines::start(reading);
    let done = runtime.block_on(publish_lines(&form, &mut lines));
    if done.is_err() && reading.tee {
        output::remark("publishing has failed; the input is printed to its end");
        lines.pass_the_rest();
    }
    // A thread may still wait for standard input: nobody needs it.
    runtime.shutdown_background();
    done
}

/// A file as the data of one event, byte for byte.
fn read_file(path: &Path) -> Result<String, CliError> {
    let name = path.display();
    let read = |mut input: &mut dyn Read| {
        let mut bytes = Vec::new();
        // One byte more shows that it is too long.
        let bytes_max = limits::EVENT_BYTES_MAX as u64;
        io::Read::take(&mut input, bytes_max + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = match path == Path::new("-") {
        true => read(&mut io::stdin().lock()),
        false => File::open(path).and_then(|mut file| read(&mut file)),
    };
    let bytes = bytes.map_err(|error| {
        CliError::new(ExitCode::Usage, format!("--file: {name} cannot be read")).because(error)
    })?;
    if bytes.len() > limits::EVENT_BYTES_MAX {
        let message = format!("--file: {name} has more than {} bytes", limits::EVENT_BYTES_MAX);
        return Err(CliError::new(ExitCode::Usage, message).hint("that is the most an event holds"));
    }
    String::from_utf8(bytes).map_err(|_| {
        CliError::new(ExitCode::Usage, format!("--file: {name} is not UTF-8"))
            .hint("event streams are; encode it, for instance with base64")
    })
}

/// The fields that the arguments give every event.
struct Form {
    topic: String,
    data: String,
    event_type: Option<EventType>,
    id: Option<EventId>,
    ttl: Option<Duration>,
    keyed: Option<Keyed>,
    json: bool,
    /// Whether the topic ends after the last event.
    end: bool,
    is_quiet: bool,
    headers: HeaderMap,
    hub: HubClient,
}

impl Form {
    fn new(args: PublishArgs) -> Result<Self, CliError> {
        let wrong = |flag: &str, error| {
            CliError::new(ExitCode::Usage, format!("{flag} is invalid")).because(error)
        };
        Ok(Self {
            topic: args.topic,
            data: args.data.unwrap_or_default(),
            event_type: args
                .event
                .map(EventType::new)
                .transpose()
                .map_err(|error| wrong("--event", error))?,
            id: args.id.map(EventId::new).transpose().map_err(|error| wrong("--id", error))?,
            ttl: args
                .ttl
                .as_deref()
                .map(parse_duration)
                .transpose()
                .map_err(|why| CliError::new(ExitCode::Usage, format!("--ttl: {why}")))?,
            keyed: keyed(args.key, args.append, args.at)
                .map_err(|why| CliError::new(ExitCode::Usage, why))?,
            json: args.json,
            end: args.end,
            is_quiet: args.quiet,
            headers: given_headers(&args.header)?,
            hub: HubClient::new(&args.hub)?,
        })
    }

    /// The event that `text` means.
    fn read(&self, text: String) -> Result<Addressed, String> {
        if self.json {
            let line: Line = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            return line.into_event(&self.topic, self.ttl, self.keyed.as_ref());
        }
        let mut event = Event::new(text);
        event.event_type.clone_from(&self.event_type);
        event.id.clone_from(&self.id);
        let (ttl, keyed) = (self.ttl, self.keyed.clone());
        Ok(Addressed { topic: self.topic.clone(), event, ttl, keyed })
    }

    fn publisher(&self, retries_max: u32) -> Result<Publisher, CliError> {
        let builder = self.hub.publisher().retries_max(retries_max);
        let built = builder.headers(self.headers.clone()).build();
        built.map_err(|error| cannot_open(error, &self.hub))
    }

    /// Ends the topic, if that is wanted.
    async fn end(&self) -> Result<(), CliError> {
        if self.end {
            end(&self.hub, &self.topic, LastEvent::default()).await?;
        }
        Ok(())
    }
}

async fn publish_one(form: &Form) -> Result<ExitCode, CliError> {
    let read = form.read(form.data.clone());
    let Addressed { topic, event, ttl, keyed } =
        read.map_err(|why| CliError::new(ExitCode::Usage, why))?;
    let mut publisher = form.publisher(RETRIES_AT_FIRST)?;
    if let Some(ttl) = ttl {
        publisher = publisher.with_ttl(ttl);
    }
    if let Some(keyed) = keyed {
        publisher = publisher.with_keyed(keyed);
    }
    let published = publisher.publish(&topic, &event).await;
    let published = published.map_err(|error| cannot_publish(error, &form.hub))?;
    if published.duplicate {
        output::remark("the hub has an event with this id already");
    }
    output::print_text(&format!("{}\n", published.id))?;
    form.end().await?;
    Ok(ExitCode::Success)
}

async fn publish_lines(form: &Form, lines: &mut Lines) -> Result<ExitCode, CliError> {
    let mut progress = Progress::new(form.is_quiet);
    let signal = Signals::new()?.first();
    tokio::pin!(signal);
    let mut target = Target::new(form)?;
    let mut is_whole = true;
    loop {
        // The first lines are confirmed soon, to know that there is a hub; later ones when there is
        // time.
        let patience = if target.is_confirmed { FLUSH_AFTER } else { CONFIRM_AFTER };
        let next = tokio::select! {
            next = timeout(patience, lines.next()) => next,
            () = &mut signal => {
                is_whole = false;
                break;
            }
        };
        match next {
            Ok(Some(Ok(read))) => {
                if form.json && read.text.trim().is_empty() {
                    continue;
                }
                if let Some(change) = read.change {
                    progress.changed(read.line, change);
                }
                let event = match form.read(read.text) {
                    Ok(read) => read,
                    Err(why) => {
                        // The lines before are published as if the input had ended here.
                        progress.watch(target.flush()).await?;
                        let message = format!("line {}: {why}", read.line);
                        return Err(CliError::new(ExitCode::Failure, message));
                    }
                };
                progress.watch(target.send(&event)).await?;
                progress.sent();
            }
            Ok(Some(Err(error))) => {
                progress.watch(target.flush()).await?;
                return Err(error);
            }
            Ok(None) => break,
            Err(_) => {
                progress.show();
                progress.watch(target.flush()).await?;
            }
        }
    }
    progress.watch(target.flush()).await?;
    progress.finish();
    match is_whole {
        true => form.end().await?,
        false if form.end => output::remark("the topic was not ended: the input was interrupted"),
        false => {}
    }
    Ok(ExitCode::Success)
}

/// Where the lines go.
struct Target<'a> {
    form: &'a Form,
    stream: PublishStream,
    /// The hub has stored something: it is there, and worth waiting for when it is not.
    is_confirmed: bool,
    unflushed: u32,
}

impl<'a> Target<'a> {
    fn new(form: &'a Form) -> Result<Self, CliError> {
        let stream = form.publisher(RETRIES_AT_FIRST)?.stream();
        Ok(Self { form, stream, is_confirmed: false, unflushed: 0 })
    }

    async fn send(&mut self, addressed: &Addressed) -> Result<(), CliError> {
        let Addressed { topic, event, ttl, keyed } = addressed;
        self.stream.set_ttl(*ttl);
        self.stream.set_keyed(keyed.clone());
        let sent = self.stream.send(topic, event).await;
        sent.map_err(|error| cannot_publish(error, &self.form.hub))?;
        self.unflushed += 1;
        if !self.is_confirmed && self.unflushed >= CONFIRM_LINES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), CliError> {
        if self.unflushed == 0 {
            return Ok(());
        }
        self.unflushed = 0;
        if self.is_confirmed {
            let flushed = self.stream.flush().await;
            return flushed.map_err(|error| cannot_publish(error, &self.form.hub));
        }
        let next = self.form.publisher(RETRIES_LATER)?.stream();
        let first = std::mem::replace(&mut self.stream, next);
        first.finish().await.map_err(|error| cannot_publish(error, &self.form.hub))?;
        self.is_confirmed = true;
        Ok(())
    }
}

/// How often to try when nothing says that there is a hub: a few seconds.
const RETRIES_AT_FIRST: u32 = 5;

/// How often to try once it was there: about a day. Meanwhile the program that feeds the pipe
/// waits.
const RETRIES_LATER: u32 = 20_000;

/// Silence after which the first lines are confirmed.
const CONFIRM_AFTER: Duration = Duration::from_millis(200);
const CONFIRM_LINES: u32 = 1000;

/// Silence after which later lines are confirmed.
const FLUSH_AFTER: Duration = Duration::from_secs(3);

pub(super) fn cannot_open(error: OpenError, hub: &HubClient) -> CliError {
    let message = format!("{:?} and the token are not a valid request", hub.shown());
    CliError::new(ExitCode::Usage, message).because(error)
}

pub(super) fn cannot_publish(error: PublishError, hub: &HubClient) -> CliError {
    match error {
        PublishError::Refused(problem) => rejected(*problem, hub),
        error => CliError::new(ExitCode::Unreached, format!("cannot publish to {}", hub.shown()))
            .because(error)
            .hint("is a hub running there? start one with `tidings serve`, or give its --url"),
    }
}

/// The hub, or a server that it redirects to, rejected a request.
pub(super) fn rejected(problem: Problem, hub: &HubClient) -> CliError {
    let wants_token = matches!(problem.status.as_u16(), 401 | 403);
    let place = problem.url.split('?').next().unwrap_or_default();
    let message = match hub.is_origin_of(&problem.url) {
        true => "the hub rejected the request".to_owned(),
        false => {
            format!("{}, where the hub redirects to, rejected the request", ShownUrl(place))
        }
    };
    let error = CliError::new(ExitCode::Refused, message).because(problem);
    if wants_token { error.hint(TOKEN_HINT) } else { error }
}
