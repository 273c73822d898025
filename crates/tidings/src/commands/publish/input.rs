//! Standard input, line by line, and what a line of JSON says.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tidings_client::{Event, EventId, EventType, Keyed, limits};
use tokio::sync::mpsc;

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::output;
use crate::settings::parse_duration;

/// A line of standard input, or a part of one that is too long for one event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// The number of the line, counted from 1.
    pub(super) line: u64,
    pub(super) text: String,
    /// What of the line is not published as it was read.
    pub(super) change: Option<Change>,
}

/// Why a line is not published as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    /// Bytes that are not UTF-8, or NUL, became U+FFFD.
    Replaced,
    /// It is longer than an event.
    Split,
}

/// What is done with lines, besides publishing them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// Whether a line that cannot be published as it is ends the input with an error.
    pub(super) strict: bool,
    /// Whether lines are printed as they are read.
    pub(super) tee: bool,
}

/// The lines of standard input. They are read by a thread of their own, for it blocks.
pub(super) struct Lines {
    receiver: mpsc::Receiver<Result<Text, CliError>>,
    thread: JoinHandle<()>,
}

impl Lines {
    pub(super) fn start(reading: Reading) -> Self {
        let (sender, receiver) = mpsc::channel(LINES_WAITING_MAX);
        let thread = thread::spawn(move || {
            let mut tee = Tee::new(reading.tee);
            let mut stdin = io::stdin().lock();
            let give = |text| sender.blocking_send(text).is_ok();
            read(&mut stdin, reading.strict, &mut tee, give);
            drop(sender);
            // Whatever became of the publishing: the program before the pipe is not killed.
            tee.copy(&mut stdin);
        });
        Self { receiver, thread }
    }

    /// The next line. `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Text, CliError>> {
        self.receiver.recv().await
    }

    /// Publishes no more lines, and waits until those that are printed are printed to the end.
    pub(super) fn pass_the_rest(self) {
        drop(self.receiver);
        // It cannot panic; and if it did, there would be nothing more to pass.
        let _ = self.thread.join();
    }
}

/// Prints what is read, byte for byte, until nobody wants it any more.
struct Tee(Option<io::Stdout>);

impl Tee {
    fn new(is_wanted: bool) -> Self {
        Self(is_wanted.then(io::stdout))
    }

    fn print(&mut self, bytes: &[u8]) {
        let Some(stdout) = &mut self.0 else { return };
        let printed = stdout.write_all(bytes).and_then(|()| stdout.flush());
        let Err(error) = printed else { return };
        // A closed pipe is no error: somebody has seen enough.
        if error.kind() != ErrorKind::BrokenPipe {
            output::remark(&format!("standard output cannot be written: {error}"));
        }
        self.0 = None;
    }

    fn copy(&mut self, input: &mut impl BufRead) {
        // Not wanted any more, the input is still read: its writer would be killed otherwise.
        while self.0.is_some() {
            match input.fill_buf() {
                Ok([]) => return,
                Ok(bytes) => {
                    let length = bytes.len();
                    self.print(bytes);
                    input.consume(length);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

/// Gives the lines of `input` to `give`, until there are no more, one is wrong, or `give` wants no
/// more.
fn read(
    input: &mut impl BufRead,
    strict: bool,
    tee: &mut Tee,
    mut give: impl FnMut(Result<Text, CliError>) -> bool,
) {
    let bytes_max = if strict { STRICT_BYTES_MAX } else { PART_BYTES_MAX };
    let mut line = 1;
    // What is left of a character that was cut in two.
    let mut bytes = Vec::new();
    let mut is_part = false;
    loop {
        let left = bytes.len();
        let room = (bytes_max + 1).saturating_sub(left) as u64;
        let read = input.by_ref().take(room).read_until(b'\n', &mut bytes);
        let result = match read {
            Ok(0) if bytes.is_empty() => return,
            Ok(_) => {
                tee.print(&bytes[left..]);
                text(&mut bytes, line, strict, is_part)
            }
            Err(error) => {
                let message = "standard input cannot be read";
                Err(CliError::new(ExitCode::Failure, message).because(error))
            }
        };
        if let Ok((_, ended)) = &result {
            is_part = !ended;
            line += u64::from(*ended);
        }
        let is_last = result.is_err();
        if !give(result.map(|(text, _)| text)) || is_last {
            return;
        }
    }
}

/// Takes a line from `bytes`, or as much of it as an event holds: then the line has not ended. A
/// character that is cut in two stays in `bytes`.
fn text(
    bytes: &mut Vec<u8>,
    line: u64,
    strict: bool,
    is_part: bool,
) -> Result<(Text, bool), CliError> {
    let wrong = |what: String| {
        CliError::new(ExitCode::Failure, format!("line {line} {what}"))
            .hint("without --strict and --json, such a line is published with U+FFFD, or in parts")
    };
    let bytes_max = if strict { STRICT_BYTES_MAX } else { PART_BYTES_MAX };
    let ended = bytes.ends_with(b"\n") || bytes.len() <= bytes_max;
    if strict && !ended {
        return Err(wrong(format!("has more than {bytes_max} bytes")));
    }
    let rest = if ended { 0 } else { cut_character(bytes) };
    let rest = bytes.split_off(bytes.len() - rest);
    let mut taken = std::mem::replace(bytes, rest);
    if taken.ends_with(b"\n") {
        taken.pop();
        if taken.ends_with(b"\r") {
            taken.pop();
        }
    }
    let mut change = (is_part || !ended).then_some(Change::Split);
    let text = match String::from_utf8(taken) {
        Ok(text) => text,
        Err(_) if strict => return Err(wrong("is not UTF-8".to_owned())),
        Err(error) => {
            change = Some(Change::Replaced);
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }
    };
    // In strict reading the hub rejects it.
    let text = if !strict && text.contains('\0') {
        change = Some(Change::Replaced);
        text.replace('\0', "\u{fffd}")
    } else {
        text
    };
    Ok((Text { line, text, change }, ended))
}

/// Number of bytes at the end that are the beginning of a character.
fn cut_character(bytes: &[u8]) -> usize {
    let is_start = |byte: &u8| *byte >= 0xc0;
    let tail = bytes.iter().rev().take(4).position(is_start).map_or(0, |at| at + 1);
    let tail_bytes = &bytes[bytes.len() - tail..];
    match std::str::from_utf8(tail_bytes) {
        // `None` is more than a cut: such bytes are replaced.
        Err(error) if error.error_len().is_none() => tail,
        _ => 0,
    }
}

/// One event as a line of JSON, in the words of the hub's API.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    topic: Option<String>,
    event: Option<String>,
    id: Option<String>,
    retry: Option<u64>,
    ttl: Option<String>,
    key: Option<String>,
    append: Option<String>,
    at: Option<String>,
    data: Box<RawValue>,
}

/// An event, its topic, how long history has it, and the key that it belongs to.
#[derive(Debug)]
pub(super) struct Addressed {
    pub(super) topic: String,
    pub(super) event: Event,
    pub(super) ttl: Option<Duration>,
    pub(super) keyed: Option<Keyed>,
}

/// The key that an event belongs to, by these parameters, or these members of a line, together.
pub(super) fn keyed(
    key: Option<String>,
    append: Option<String>,
    at: Option<String>,
) -> Result<Option<Keyed>, &'static str> {
    match (key, append, at) {
        (Some(_), Some(_), _) => {
            Err("`key` and `append` are there both: an event is all of a value, or a piece")
        }
        (_, None, Some(_)) => Err("`at` is for `append`, which is not there"),
        (Some(key), None, None) => Ok(Some(Keyed::Whole { key })),
        (None, Some(key), at) => Ok(Some(Keyed::Piece { key, at })),
        (None, None, None) => Ok(None),
    }
}

impl Line {
    /// The event, with `topic`, `ttl` and the key `of_all` unless it has its own.
    pub(super) fn into_event(
        self,
        topic: &str,
        ttl: Option<Duration>,
        of_all: Option<&Keyed>,
    ) -> Result<Addressed, String> {
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
        let own = self.ttl.as_deref().map(parse_duration).transpose();
        let ttl = own.map_err(|error| format!("ttl: {error}"))?.or(ttl);
        let own = keyed(self.key, self.append, self.at)?;
        let keyed = own.or_else(|| of_all.cloned());
        let topic = self.topic.unwrap_or_else(|| topic.to_owned());
        Ok(Addressed { topic, event, ttl, keyed })
    }
}

/// Lines that were read and not yet sent. At the edge: reading waits, and so does the program that
/// writes to the pipe.
const LINES_WAITING_MAX: usize = 1024;

/// The longest line in strict reading: more would not be taken by any hub, nor by our own client.
/// At the edge: an error.
const STRICT_BYTES_MAX: usize = limits::EVENT_BYTES_MAX;

/// The longest event that is made of a line otherwise: a hub takes 1 MiB by default, and some of it
/// is type and id. At the edge: the rest of the line is the next event.
const PART_BYTES_MAX: usize = (1 << 20) - (8 << 10);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn lines(input: &[u8], strict: bool) -> Vec<Result<Text, String>> {
        let mut lines = Vec::new();
        read(&mut &*input, strict, &mut Tee::new(false), |line| {
            lines.push(line.map_err(|error| error.to_string()));
            true
        });
        lines
    }

    fn texts(input: &[u8]) -> Vec<String> {
        lines(input, false).into_iter().map(|line| line.unwrap().text).collect()
    }

    #[test]
    fn lines_end_with_or_without_a_carriage_return_and_the_last_one_with_nothing() {
        assert_eq!(texts(b"a\r\n\nb"), ["a", "", "b"]);
        assert_eq!(texts(b"a\n"), ["a"]);
        assert_eq!(texts(b""), [""; 0]);
    }

    #[test]
    fn what_is_no_text_is_replaced_and_in_strict_reading_ends_the_input() {
        let input = b"a\n\xff\n\0b\nc\n";
        let read: Vec<_> = lines(input, false).into_iter().map(Result::unwrap).collect();
        let changes: Vec<_> = read.iter().map(|text| text.change).collect();
        assert_eq!(changes, [None, Some(Change::Replaced), Some(Change::Replaced), None]);
        assert_eq!((read[1].text.as_str(), read[2].text.as_str()), ("\u{fffd}", "\u{fffd}b"));
        let strict = lines(input, true);
        assert_eq!(strict.len(), 2);
        assert!(strict[1].as_ref().unwrap_err().contains("line 2 is not UTF-8"));
    }

    #[test]
    fn a_line_that_is_too_long_becomes_several_events_without_losing_a_character() {
        for before in 0..4 {
            let long = format!("{}{}", "x".repeat(before), "é€😀".repeat(PART_BYTES_MAX / 4));
            let parts = lines(format!("{long}\nnext\n").as_bytes(), false);
            let parts: Vec<_> = parts.into_iter().map(Result::unwrap).collect();
            let (next, parts) = parts.split_last().unwrap();
            assert_eq!((next.text.as_str(), next.line, next.change), ("next", 2, None));
            assert!(
                parts.len() > 1 && parts.iter().all(|part| part.text.len() <= PART_BYTES_MAX + 1)
            );
            assert!(parts.iter().all(|part| part.change == Some(Change::Split) && part.line == 1));
            assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<String>(), long);
        }
        let long = vec![b'x'; STRICT_BYTES_MAX + 2];
        assert!(lines(&long, true)[0].as_ref().unwrap_err().contains("line 1 has more than"));
    }

    #[test]
    fn a_json_line_is_an_event_and_a_misspelt_key_is_an_error() {
        let event = |text: &str| {
            let line: Result<Line, _> = serde_json::from_str(text);
            let ttl = Some(Duration::from_secs(60));
            line.map_err(|error| error.to_string())?.into_event("t", ttl, None)
        };
        let read = event(r#"{"data":"a\nb","id":"1","event":"x","retry":5,"ttl":"5m"}"#).unwrap();
        assert_eq!((read.topic.as_str(), read.ttl), ("t", Some(Duration::from_secs(300))));
        assert_eq!((read.event.data.as_str(), read.event.retry_ms), ("a\nb", Some(5)));
        let read = event(r#"{"topic":"u","data":{"n": 1}}"#).unwrap();
        assert_eq!((read.topic.as_str(), read.ttl), ("u", Some(Duration::from_secs(60))));
        assert_eq!(read.event.data, r#"{"n": 1}"#);
        assert!(event(r#"{"data":1,"ttl":"soon"}"#).unwrap_err().starts_with("ttl: "));
        assert!(event(r#"{"dta":1}"#).unwrap_err().contains("unknown field `dta`"));
        assert!(event(r#"{"data":1,"id":"a\nb"}"#).is_err());
    }
}
