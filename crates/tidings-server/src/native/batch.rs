//! `POST` of `application/x-ndjson`: a batch or an endless stream of events, one JSON object per
//! line.

use std::borrow::Cow;

use memchr::memchr;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tidings_http::answer::Answer;
use tidings_http::auth::Caller;
use tidings_http::body::{self, RequestBody};
use tidings_http::problem::{Code, Problem};
use tidings_hub::{Draft, Topic};

use super::fields::{Drafter, ttl_of_line};
use super::ingest::{Place, Publication, Source, ingest};
use super::publish_request::PublishRequest;
use super::publish_topic::publish_topic;
use super::remove;
use super::run_terms::RunTerms;
use super::state_key::{KeyFields, StateKey};

pub(super) async fn publish(
    mut request: PublishRequest<'_>,
    body: RequestBody,
) -> Result<Answer, Problem> {
    let (terms, drafter) = RunTerms::take_for_several(&mut request.context)?;
    let state = request.context.state;
    match &request.topic {
        Some(topic) => terms.check_begins(state, topic).await?,
        None => terms.check_unused()?,
    }
    let mut lines = Lines {
        caller: &request.context.caller,
        drafter,
        topic: request.topic.clone(),
        one_topic: terms.begins,
        last_topic: None,
        data_bytes_max: state.config().event_bytes_max,
        number: 0,
        begun: Vec::new(),
    };
    let will = match &request.topic {
        Some(topic) => terms.leave_will(&request, topic).await?,
        None => None,
    };
    ingest(Publication { request: &request, terms, will }, body, &mut lines).await
}

/// One line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(default, borrow)]
    topic: Option<Text<'a>>,
    #[serde(default, borrow)]
    event: Option<Text<'a>>,
    #[serde(default, borrow)]
    id: Option<Text<'a>>,
    #[serde(default)]
    retry: Option<u64>,
    #[serde(default, borrow)]
    ttl: Option<Text<'a>>,
    #[serde(default, borrow)]
    key: Option<Text<'a>>,
    #[serde(default, borrow)]
    append: Option<Text<'a>>,
    #[serde(default, borrow)]
    at: Option<Text<'a>>,
    #[serde(default, borrow)]
    if_version: Option<Text<'a>>,
    #[serde(default)]
    remove: bool,
    #[serde(default, borrow, deserialize_with = "present")]
    data: Option<&'a RawValue>,
}

const EXPECTED: &str = "a line is a JSON object with topic, event, id, retry, ttl, key, \
                        append, at, if_version, remove, data";

/// A string, borrowed from the line if it has no escapes. (In an `Option`, a `Cow` alone is never
/// borrowed.)
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A field that is there: `null` is a value like any other.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// Turns lines into drafts.
struct Lines<'a> {
    caller: &'a Caller,
    drafter: Drafter,
    /// The topic of lines that name none.
    topic: Option<Topic>,
    /// Whether lines may name only that topic.
    one_topic: bool,
    /// The topic that a line named last; the caller may publish to it.
    last_topic: Option<Topic>,
    data_bytes_max: usize,
    /// Number of the last complete line, from 1.
    number: u64,
    /// The part of an incomplete line that has arrived.
    begun: Vec<u8>,
}

impl Source for Lines<'_> {
    fn next(&mut self, chunk: &mut &[u8]) -> Result<Option<Draft>, Problem> {
        while let Some(end) = memchr(b'\n', chunk) {
            let line = &chunk[..end];
            *chunk = &chunk[end + 1..];
            let draft = if self.begun.is_empty() {
                self.line(line)?
            } else {
                self.keep(line)?;
                self.begun_line()?
            };
            if draft.is_some() {
                return Ok(draft);
            }
        }
        self.keep(chunk)?;
        *chunk = &[];
        Ok(None)
    }

    fn finish(&mut self) -> Result<Option<Draft>, Problem> {
        self.begun_line()
    }

    fn place(&self) -> Place {
        Place { kind: "line", number: self.number }
    }

    fn bytes_held(&self) -> usize {
        self.begun.len()
    }

    fn release(&mut self) {
        if self.begun.is_empty() {
            self.begun = Vec::new();
        }
    }
}

impl Lines<'_> {
    fn keep(&mut self, part: &[u8]) -> Result<(), Problem> {
        if self.begun.len() + part.len() > self.line_bytes_max() {
            return Err(body::too_large(self.data_bytes_max).at("line", self.number + 1));
        }
        self.begun.extend_from_slice(part);
        Ok(())
    }

    fn begun_line(&mut self) -> Result<Option<Draft>, Problem> {
        let mut line = std::mem::take(&mut self.begun);
        let draft = self.line(&line);
        line.clear();
        self.begun = line;
        draft
    }

    /// The event on a line; `None` if the line is blank.
    fn line(&mut self, line: &[u8]) -> Result<Option<Draft>, Problem> {
        self.number += 1;
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        self.draft(line).map(Some).map_err(|problem| problem.at("line", self.number))
    }

    fn draft(&mut self, line: &[u8]) -> Result<Draft, Problem> {
        // The JSON reader would also accept an array with the values of the fields in order.
        if !line.trim_ascii_start().starts_with(b"{") {
            return Err(Problem::new(Code::InvalidLine, EXPECTED));
        }
        let line: Line<'_> = serde_json::from_slice(line).map_err(|error| not_json(&error))?;
        let topic = self.topic(line.topic)?;
        let data = line.data.map_or(Ok(Cow::Borrowed("")), text_of)?;
        if data.len() > self.data_bytes_max {
            return Err(body::too_large(self.data_bytes_max));
        }
        let event_type = line.event.as_ref().map(|text| &*text.0);
        let id = line.id.as_ref().map(|text| &*text.0);
        let ttl_s = line.ttl.map(|text| ttl_of_line(&text.0)).transpose()?;
        let key = StateKey::of_line(KeyFields {
            key: line.key.as_ref().map(|text| &*text.0),
            append: line.append.as_ref().map(|text| &*text.0),
            at: line.at.as_ref().map(|text| &*text.0),
            version: line.if_version.as_ref().map(|text| &*text.0),
        })?;
        if line.remove {
            let others = [
                ("append", key.is_piece()),
                ("event", event_type.is_some()),
                ("id", id.is_some()),
                ("retry", line.retry.is_some()),
                ("ttl", ttl_s.is_some()),
                ("data", line.data.is_some()),
            ];
            let other = others.into_iter().find(|(_, is_given)| *is_given).map(|(name, _)| name);
            return remove::of_line(topic, key, other);
        }
        let draft = self.drafter.draft(topic, event_type, id, line.retry, data.into())?;
        key.of(Draft { ttl_s: ttl_s.or(draft.ttl_s), ..draft })
    }

    fn topic(&mut self, named: Option<Text<'_>>) -> Result<Topic, Problem> {
        match (named, &self.topic, &self.last_topic) {
            (None, Some(topic), _) => Ok(topic.clone()),
            (None, None, _) => {
                Err(Problem::new(Code::InvalidLine, "give a `topic`, or post to /events/{topic}"))
            }
            (Some(named), Some(topic), _) if self.one_topic => {
                if *named.0 == *topic.as_str() {
                    return Ok(topic.clone());
                }
                let detail = "with `If-None-Match: *` every line is on the topic in the path";
                Err(Problem::new(Code::InvalidLine, detail))
            }
            (Some(named), _, Some(last)) if *named.0 == *last.as_str() => Ok(last.clone()),
            (Some(named), ..) => {
                let topic = publish_topic(self.caller, &named.0)?;
                self.last_topic = Some(topic.clone());
                Ok(topic)
            }
        }
    }

    /// Maximum length of a line, in bytes: data of which every byte is escaped, and the other
    /// fields.
    fn line_bytes_max(&self) -> usize {
        2 * self.data_bytes_max + (16 << 10)
    }
}

/// The payload for a JSON value: the text of a string, the compact text of any other value.
fn text_of(value: &RawValue) -> Result<Cow<'_, str>, Problem> {
    let raw = value.get();
    if !raw.starts_with('"') {
        return Ok(compact(raw));
    }
    match memchr(b'\\', raw.as_bytes()) {
        None => Ok(Cow::Borrowed(&raw[1..raw.len() - 1])),
        Some(_) => {
            let text = serde_json::from_str(raw).map_err(|error| not_json(&error))?;
            Ok(Cow::Owned(text))
        }
    }
}

/// Removes the whitespace between the tokens of a valid JSON text.
fn compact(json: &str) -> Cow<'_, str> {
    if !json.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return Cow::Borrowed(json);
    }
    let mut compact = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_string = c == '"';
        }
        compact.push(c);
    }
    Cow::Owned(compact)
}

/// The message of the JSON reader with its column. It saw a single line, so its line number is
/// useless.
fn not_json(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    let detail = format!("{what} (column {})", error.column());
    Problem::new(Code::InvalidLine, detail).with("column", error.column())
}

/// All drafts of `body`, fed in pieces of `size` bytes.
#[cfg(any(test, fuzzing))]
fn drafts(body: &[u8], size: usize) -> Result<Vec<Draft>, Problem> {
    let caller = Caller::anonymous(std::sync::Arc::new(tidings_hub::Grant::everything()));
    let mut lines = Lines {
        caller: &caller,
        drafter: Drafter::new(tidings_hub::Epoch::parse("k7q2ma").expect("an epoch")),
        topic: Some(Topic::new("default").expect("a topic")),
        one_topic: false,
        last_topic: None,
        data_bytes_max: 1000,
        number: 0,
        begun: Vec::new(),
    };
    let mut drafts = Vec::new();
    for mut chunk in body.chunks(size) {
        while let Some(draft) = lines.next(&mut chunk)? {
            drafts.push(draft);
        }
    }
    drafts.extend(lines.finish()?);
    Ok(drafts)
}

/// Parses bytes as a batch, whole and in pieces: the result must be the same.
#[cfg(fuzzing)]
pub fn fuzz_ndjson(input: &[u8]) {
    let result = |size: usize| match drafts(input, size) {
        Ok(drafts) => format!("{drafts:?}"),
        // The pieces decide how much of a long line had arrived.
        Err(problem) if problem.code() == Code::EventTooLarge => "too large".to_owned(),
        Err(problem) => format!("{:?} {}", problem.code(), problem.detail()),
    };
    let whole = result(input.len().max(1));
    for size in [1, 7] {
        assert_eq!(result(size), whole, "pieces of {size}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn drafts(text: &str, size: usize) -> Result<Vec<Draft>, Problem> {
        super::drafts(text.as_bytes(), size)
    }

    fn data(line: &str) -> String {
        drafts(line, usize::MAX).unwrap().remove(0).data.into()
    }

    #[test]
    fn lines_are_events_wherever_the_body_is_cut() {
        let text = "{\"topic\":\"a\",\"data\":\"x\\ny\"}\r\n\n  \n{\"event\":\"e\",\"id\":\"1\",\
                    \"retry\":500,\"data\":{\"k\": [1, \"a b\"]}}";
        for size in 1..text.len() {
            let drafts = drafts(text, size).unwrap();
            assert_eq!(drafts.len(), 2, "pieces of {size}");
            assert_eq!((drafts[0].topic.as_str(), &*drafts[0].data), ("a", "x\ny"));
            assert_eq!(
                (drafts[1].topic.as_str(), &*drafts[1].data),
                ("default", r#"{"k":[1,"a b"]}"#)
            );
            assert_eq!(drafts[1].event_type.as_ref().unwrap().as_str(), "e");
            assert_eq!((drafts[1].once, drafts[1].retry_ms), (true, Some(500)));
        }
    }

    #[test]
    fn a_payload_is_the_text_of_a_string_or_the_compact_text_of_any_other_value() {
        assert_eq!(data(r#"{"data":"plain"}"#), "plain");
        assert_eq!(data(r#"{"data":"\u00fc \"q\" \\"}"#), "ü \"q\" \\");
        assert_eq!(
            data(r#"{"data": {"a" : "b \" c" , "d":[ 1 , null ]} }"#),
            r#"{"a":"b \" c","d":[1,null]}"#
        );
        assert_eq!(data(r#"{"data": null}"#), "null");
        assert_eq!(data(r#"{"data": 1.50}"#), "1.50");
        assert_eq!(data("{}"), "");
    }

    #[test]
    fn the_bad_line_is_named_with_its_number() {
        let bad = [
            (r#"{"data":1"#, Code::InvalidLine),
            (r#"{"dada":1}"#, Code::InvalidLine),
            (r#"["a"]"#, Code::InvalidLine),
            (r#"{"data":1}{"data":2}"#, Code::InvalidLine),
            (r#"{"topic":"a/*"}"#, Code::InvalidTopic),
            (r#"{"topic":""}"#, Code::InvalidTopic),
            (r#"{"event":"a\nb"}"#, Code::InvalidField),
            (r#"{"retry":-1}"#, Code::InvalidLine),
            (r#"{"ttl":5}"#, Code::InvalidLine),
            (r#"{"ttl":"5"}"#, Code::InvalidField),
            (r#"{"ttl":"0s"}"#, Code::InvalidField),
            (&format!("{{\"data\":\"{}\"}}", "x".repeat(1001)), Code::EventTooLarge),
            (&format!("{{\"data\":\"{}\"}}", "x".repeat(100_000)), Code::EventTooLarge),
        ];
        for (line, code) in bad {
            for size in [7, usize::MAX] {
                let text = format!("{{}}\n\n{line}\n{{}}\n");
                let problem = drafts(&text, size).unwrap_err();
                assert_eq!(problem.code(), code, "{line}");
                assert!(problem.detail().starts_with("line 3: "), "{}", problem.detail());
            }
        }
    }
}
