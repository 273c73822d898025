//! Standard input, line by line, and what a line of JSON says.

use std::io::{self, BufRead, Read};

use serde::Deserialize;
use serde_json::value::RawValue;
use tidings_client::{Event, EventId, EventType, limits};
use tokio::sync::mpsc;

use crate::error::CliError;
use crate::exit_code::ExitCode;

/// The lines of standard input. They are read by a thread of their own, for it blocks.
pub(super) struct Lines(mpsc::Receiver<Result<(u64, String), CliError>>);

impl Lines {
    pub(super) fn start() -> Self {
        let (sender, receiver) = mpsc::channel(LINES_WAITING_MAX);
        std::thread::spawn(move || {
            read(&mut io::stdin().lock(), |line| sender.blocking_send(line).is_ok())
        });
        Self(receiver)
    }

    /// The next line with its number, counted from 1. `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<(u64, String), CliError>> {
        self.0.recv().await
    }
}

/// Gives the lines of `input` to `give`, until there are no more, one is wrong, or `give` wants no
/// more.
fn read(input: &mut impl BufRead, mut give: impl FnMut(Result<(u64, String), CliError>) -> bool) {
    for number in 1.. {
        let mut line = Vec::new();
        let read = input.take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
        let result = match read {
            Ok(0) => return,
            Ok(length) if length as u64 > LINE_BYTES_MAX => {
                let message = format!("line {number} has more than {LINE_BYTES_MAX} bytes");
                Err(CliError::new(ExitCode::Failure, message))
            }
            Ok(_) => text(line).map(|text| (number, text)).map_err(|()| {
                let message = format!("line {number} is not UTF-8");
                CliError::new(ExitCode::Failure, message)
                    .hint("event streams are; convert the input, with iconv for instance")
            }),
            Err(error) => {
                let message = "standard input cannot be read";
                Err(CliError::new(ExitCode::Failure, message).because(error))
            }
        };
        let is_last = result.is_err();
        if !give(result) || is_last {
            return;
        }
    }
}

fn text(mut line: Vec<u8>) -> Result<String, ()> {
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    String::from_utf8(line).map_err(|_| ())
}

/// One event as a line of JSON, in the words of the hub's API.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    topic: Option<String>,
    event: Option<String>,
    id: Option<String>,
    retry: Option<u64>,
    data: Box<RawValue>,
}

impl Line {
    /// The event, and its topic: its own, or else `topic`.
    pub(super) fn into_event(self, topic: &str) -> Result<(String, Event), String> {
        // A string means its text; any other value is sent as the JSON it is.
        let data = match serde_json::from_str::<String>(self.data.get()) {
            Ok(text) => text,
            Err(_) => self.data.get().to_owned(),
        };
        let mut event = Event::new(data);
        event.event_type = self
            .event
            .map(EventType::new)
            .transpose()
            .map_err(|error| format!("the event type {error}"))?;
        event.id =
            self.id.map(EventId::new).transpose().map_err(|error| format!("the id {error}"))?;
        event.retry_ms = self.retry;
        Ok((self.topic.unwrap_or_else(|| topic.to_owned()), event))
    }
}

/// Lines that were read and not yet sent. At the edge: reading waits, and so does whoever writes.
const LINES_WAITING_MAX: usize = 1024;

/// The longest line: more would not be taken by any hub, nor by our own client. At the edge: an
/// error.
const LINE_BYTES_MAX: u64 = limits::EVENT_BYTES_MAX as u64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn lines(input: &[u8]) -> Vec<Result<(u64, String), String>> {
        let mut lines = Vec::new();
        read(&mut &*input, |line| {
            lines.push(line.map_err(|error| error.to_string()));
            true
        });
        lines
    }

    #[test]
    fn lines_end_with_or_without_a_carriage_return_and_the_last_one_with_nothing() {
        let texts: Vec<_> = lines(b"a\r\n\nb").into_iter().map(|line| line.unwrap().1).collect();
        assert_eq!(texts, ["a", "", "b"]);
    }

    #[test]
    fn a_line_that_is_no_text_is_named_and_ends_the_input() {
        let lines = lines(b"a\n\xff\nb\n");
        assert_eq!(lines.len(), 2);
        assert!(lines[1].as_ref().unwrap_err().contains("line 2 is not UTF-8"));
    }

    #[test]
    fn a_json_line_is_an_event_and_a_misspelt_key_is_an_error() {
        let event = |text: &str| {
            let line: Result<Line, _> = serde_json::from_str(text);
            line.map_err(|error| error.to_string())?.into_event("t")
        };
        let (topic, read) = event(r#"{"data":"a\nb","id":"1","event":"x","retry":5}"#).unwrap();
        assert_eq!((topic.as_str(), read.data.as_str(), read.retry_ms), ("t", "a\nb", Some(5)));
        let (topic, read) = event(r#"{"topic":"u","data":{"n": 1}}"#).unwrap();
        assert_eq!((topic.as_str(), read.data.as_str()), ("u", r#"{"n": 1}"#));
        assert!(event(r#"{"dta":1}"#).unwrap_err().contains("unknown field `dta`"));
        assert!(event(r#"{"data":1,"id":"a\nb"}"#).is_err());
    }
}
