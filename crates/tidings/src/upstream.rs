//! Where events come from: a topic of the hub, or any event stream. What `tidings subscribe` and
//! `tidings relay` have in common.

mod headers;
mod since_file;
mod token_command;

use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use tidings_client::{
    Backoff, Cause, EventId, EventSource, Item, Lost, MessageEvent, ReadError, Reconnecting,
    Refusal, RetryPolicy, ShownUrl,
};
use tidings_hub::limits::END_RETRY_MS;

pub(crate) use self::headers::given as given_headers;
pub(crate) use self::headers::take_last_event_id;
pub(crate) use self::since_file::SinceFile;
use self::token_command::token_of;
use crate::args::UpstreamArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_client::{HubClient, TOKEN_HINT};
use crate::output;
use crate::settings::never_or_duration;
use crate::tls_hint;

/// One place to get events from.
pub(crate) struct Upstream<'a> {
    pub(crate) url: String,
    pub(crate) args: &'a UpstreamArgs,
    /// The hub of the command; its token goes to its own origin and to no other.
    pub(crate) hub: &'a HubClient,
    /// Whether the response is asked for once and never again.
    pub(crate) once: bool,
    /// A command that prints a token for the hub, instead of the command's own.
    pub(crate) token_command: Option<String>,
    headers: HeaderMap,
    /// Where to begin, by `--after` or a `Last-Event-ID` among the headers.
    after: Option<EventId>,
}

impl<'a> Upstream<'a> {
    /// An upstream as the arguments say.
    ///
    /// # Errors
    ///
    /// A header or `--after` is invalid.
    pub(crate) fn new(
        url: String,
        args: &'a UpstreamArgs,
        hub: &'a HubClient,
        once: bool,
    ) -> Result<Self, CliError> {
        let mut headers = given_headers(&args.header)?;
        let by_header = take_last_event_id(&mut headers)?;
        let after = args.after.as_ref().map(EventId::new).transpose().map_err(|error| {
            CliError::new(ExitCode::Usage, "--after is not an event id").because(error)
        })?;
        if by_header.is_some() && after.is_some() {
            let message = "there are both --after and a header Last-Event-ID";
            return Err(CliError::new(ExitCode::Usage, message).hint("they mean the same"));
        }
        let after = after.or(by_header);
        Ok(Self { url, args, hub, once, token_command: None, headers, after })
    }

    /// The source, which will begin after `start`.
    ///
    /// # Errors
    ///
    /// An argument is invalid.
    pub(crate) fn open(&self, start: Option<EventId>) -> Result<EventSource, CliError> {
        // Answers of a hub that restarts, or of a proxy before it.
        let mut backoff = Backoff::new().temporary_gateways();
        if let Some(retries) = self.args.retries {
            backoff = backoff.retries_max(retries);
        }
        let mut builder = EventSource::builder(&self.url)
            .transport(self.hub.transport())
            .retry_policy(TrustedFirst(backoff));
        let is_hub = self.hub.is_origin_of(&self.url);
        match (&self.token_command, self.hub.token()) {
            (Some(command), _) if is_hub => {
                let command = command.clone();
                builder = builder.token_provider(move |_| token_of(command.clone()));
            }
            (Some(_), _) => {
                let message = "--token-command is for the hub, and the URL is another server's";
                return Err(CliError::new(ExitCode::Usage, message).hint("give a --header"));
            }
            (None, Some(token)) if is_hub => builder = builder.bearer_token(token),
            (None, _) => {}
        }
        if let Some(data) = &self.args.data {
            let body = read_body(data)?;
            // The usual two; a header below says otherwise.
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
            let media_type = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
            builder = builder.method(Method::POST).header("content-type", media_type).body(body);
        }
        if let Some(method) = &self.args.method {
            let method = Method::from_bytes(method.as_bytes()).map_err(|error| {
                CliError::new(ExitCode::Usage, format!("{method:?} is not a method")).because(error)
            })?;
            builder = builder.method(method);
        }
        builder = builder.headers(self.headers.clone());
        if let Some(id) = start {
            builder = builder.last_event_id(id);
        }
        if let Some(idle_timeout) = self.idle_timeout()?.flatten() {
            builder = builder.idle_timeout(idle_timeout);
        }
        if self.once {
            builder = builder.one_shot();
        }
        builder.open().map_err(|error| {
            let message =
                format!("{:?} and the headers are not a valid request", ShownUrl(&self.url));
            CliError::new(ExitCode::Usage, message).because(error)
        })
    }

    /// Where to begin, by the arguments.
    pub(crate) fn after(&self) -> Option<EventId> {
        self.after.clone()
    }

    /// Heeds what a Tidings hub does beyond what the standard asks of a server. Returns whether the
    /// item says that every topic has ended.
    pub(crate) fn adapt(&self, source: &mut EventSource, item: &Item) -> bool {
        match item {
            // It gives a sign of life every so often; whether it is one, its answer says.
            Item::Open(opened)
                if self.args.idle_timeout.is_none()
                    && opened.headers.contains_key("tidings-resume") =>
            {
                source.set_idle_timeout(Some(HUB_IDLE_TIMEOUT));
            }
            // With the end of the last topic it asks for a day of patience, for the sake of clients
            // that would reconnect for ever. It answers 204 at once as well.
            Item::Reconnecting(next) if matches!(next.cause, Cause::Ended) => {
                let handle = source.handle();
                if handle.reconnection_time() == Some(Duration::from_millis(END_RETRY_MS)) {
                    handle.restart();
                    return true;
                }
            }
            _ => {}
        }
        false
    }

    fn idle_timeout(&self) -> Result<Option<Option<Duration>>, CliError> {
        let given = self.args.idle_timeout.as_deref().map(never_or_duration).transpose();
        given.map_err(|why| CliError::new(ExitCode::Usage, format!("--idle-timeout: {why}")))
    }

    /// How the program ends when the source has ended for good. `None`: in good order.
    pub(crate) fn end(&self, error: ReadError) -> Result<(), CliError> {
        if error.is_no_content() {
            return Ok(());
        }
        let code = match &error {
            ReadError::GaveUp { cause, .. } if cause.status().is_none() => ExitCode::Unreached,
            ReadError::Broken(Cause::Network(error)) if error.is_connect() => ExitCode::Unreached,
            ReadError::Broken(_) => ExitCode::Failure,
            ReadError::Malformed(_) => ExitCode::Refused,
            _ => ExitCode::Refused,
        };
        let place = ShownUrl(self.url.split('?').next().unwrap_or_default());
        let message = match error.refusal().and_then(problem_sentence) {
            Some(detail) => format!("{place} rejected the request: {detail}"),
            None if code == ExitCode::Unreached => format!("{place} cannot be reached"),
            None if code == ExitCode::Failure => format!("the stream of {place} broke off"),
            None => format!("there is no event stream at {place}"),
        };
        let status = error.status();
        let cli = CliError::new(code, message).because(error);
        Err(match status {
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                if self.hub.is_origin_of(&self.url) {
                    cli.hint(TOKEN_HINT)
                } else if self.hub.token().is_some() {
                    cli.hint("the token is the hub's and was not sent there; give a --header")
                } else {
                    cli.hint("give a token with --header 'Authorization: Bearer …'")
                }
            }
            Some(StatusCode::NOT_FOUND) => cli.hint("is the address right?"),
            _ if code == ExitCode::Refused => {
                cli.hint("`tidings doctor URL` diagnoses an event stream")
            }
            _ => cli,
        })
    }
}

/// Whether the text is an address, and not the name of a topic.
pub(crate) fn is_url(text: &str) -> bool {
    let begins =
        |scheme: &str| text.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme));
    begins("http://") || begins("https://")
}

/// The body for `--data`: its text, or the content of a file.
pub(crate) fn read_body(data: &str) -> Result<Vec<u8>, CliError> {
    match data.strip_prefix('@') {
        None => Ok(data.as_bytes().to_vec()),
        Some(path) => fs::read(path).map_err(|error| {
            CliError::new(ExitCode::Usage, format!("{path} cannot be read")).because(error)
        }),
    }
}

/// Reports on standard error what happens to the connection.
pub(crate) struct ConnectionReport {
    pub(crate) is_quiet: bool,
    was_lost: bool,
    /// How often the connection was lost and made again.
    pub(crate) reconnections: u64,
}

impl ConnectionReport {
    pub(crate) fn new(is_quiet: bool) -> Self {
        Self { is_quiet, was_lost: false, reconnections: 0 }
    }

    pub(crate) fn remark(&self, text: &str) {
        if !self.is_quiet {
            output::remark(text);
        }
    }

    /// Reports an item that is not an event.
    pub(crate) fn tell(&mut self, item: &Item) {
        match item {
            Item::Open(_) => {
                if self.was_lost {
                    self.reconnections += 1;
                    self.remark("connected again");
                } else if io::stderr().is_terminal() {
                    self.remark("connected");
                }
                self.was_lost = false;
            }
            // That was this program itself.
            Item::Reconnecting(lost) if matches!(lost.cause, Cause::Restarted) => {}
            Item::Reconnecting(lost) => {
                self.was_lost = true;
                self.remark(&lost_sentence(lost));
            }
            Item::Skipped(error) => self.remark(&format!("an event was left out: {error}")),
            _ => {}
        }
    }

    /// The hub's word that the token expires, in plain words. Says whether it was that: it is about
    /// this connection, with a handle for it, and not an event of any topic.
    pub(crate) fn tell_expiring(&self, event: &MessageEvent) -> bool {
        if event.event_type() != EXPIRING {
            return false;
        }
        self.remark("the token expires soon, and the connection ends with it");
        true
    }

    /// The hub's word that events may be missing, in plain words. Says whether it was that.
    pub(crate) fn tell_reset(&self, event: &MessageEvent) -> bool {
        if event.event_type() != RESET {
            return false;
        }
        #[derive(serde::Deserialize)]
        struct Reset {
            reason: String,
            requested: String,
        }
        if let Ok(Reset { reason, requested }) = event.json() {
            let why = match reason.as_str() {
                "expired" => "they are no longer kept",
                "replaced" => "the hub has another history now",
                "unknown" => "the hub does not know that id",
                other => other,
            };
            self.remark(&format!("events after {requested:?} may be missing: {why}"));
        }
        true
    }
}

/// The type of the hub's own event that says that others may be missing.
pub(crate) const RESET: &str = "tidings.reset";

/// The type of the hub's own event that says that the token is about to expire.
const EXPIRING: &str = "tidings.expiring";

/// Three heartbeats of a hub by default: two may be late.
const HUB_IDLE_TIMEOUT: Duration = Duration::from_secs(45);

fn lost_sentence(lost: &Reconnecting) -> String {
    let mut root: &dyn Error = &lost.cause;
    while let Some(cause) = root.source() {
        root = cause;
    }
    let why = match &lost.cause {
        Cause::Network(error) if !error.is_connect() => format!("{error}: {root}"),
        _ => root.to_string(),
    };
    format!("no connection ({why}); again in {:.1} s", lost.wait.as_secs_f64())
}

/// A server that is not trusted when it is asked for the first time is not asked again: nobody
/// would see why nothing comes. Later, its operator may be about to renew its certificate.
struct TrustedFirst(Backoff);

impl RetryPolicy for TrustedFirst {
    fn wait(&mut self, lost: &Lost<'_>) -> Option<Duration> {
        let is_untrusted = tls_hint::hint(lost.cause).is_some();
        if is_untrusted && lost.retries == 0 { None } else { self.0.wait(lost) }
    }

    fn is_temporary(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.0.is_temporary(status, headers)
    }
}

/// The sentence of problem details (RFC 9457).
fn problem_sentence(refusal: &Refusal) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(&refusal.body).ok()?;
    let part = |name| problem.get(name).and_then(serde_json::Value::as_str);
    match (part("title"), part("detail")) {
        (Some(title), Some(detail)) => Some(format!("{}: {detail}", title.trim_end_matches('.'))),
        (title, detail) => title.or(detail).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_from_a_topic() {
        assert!(is_url("http://h/events"));
        assert!(is_url("HTTPS://h"));
        assert!(!is_url("news/http://h"));
        assert!(!is_url("http"));
        assert!(!is_url("é"));
    }
}
