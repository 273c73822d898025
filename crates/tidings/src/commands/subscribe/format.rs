//! How an event is printed.

use std::borrow::Cow;
use std::io::{self, IsTerminal};

use serde::{Deserialize, Serialize};
use tidings_client::MessageEvent;

use crate::foreign_text::{harmless, harmless_json, harmless_lines};
use crate::output::Palette;
use crate::upstream::RESET;

/// How events are printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    style: Style,
    /// Whether the hub was asked to wrap each event, so that its topic is known.
    is_wrapped: bool,
    is_terminal: bool,
}

#[derive(Clone, Copy, Debug)]
enum Style {
    /// For people: id, topic, type, data.
    Human(Palette),
    /// One JSON object a line.
    Json,
    /// The event stream itself.
    Raw,
}

/// What is printed of an event.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<Cow<'a, str>>,
    event: Cow<'a, str>,
    data: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Cow<'a, str>>,
}

/// The data of an event that the hub has wrapped (`?envelope=json`).
#[derive(Deserialize)]
struct Envelope {
    id: String,
    topic: String,
    event: String,
    data: String,
    time: String,
}

impl<'a> Line<'a> {
    fn new(event: &'a MessageEvent, is_wrapped: bool) -> Self {
        // The hub's own events have no envelope.
        if is_wrapped
            && event.event_type() == USUAL
            && let Ok(inner) = serde_json::from_str::<Envelope>(event.data())
        {
            return Self {
                id: Some(inner.id.into()),
                topic: Some(inner.topic.into()),
                event: inner.event.into(),
                data: inner.data.into(),
                time: Some(inner.time.into()),
            };
        }
        Self {
            id: event.last_event_id().map(|id| id.as_str().into()),
            topic: None,
            event: event.event_type().into(),
            data: event.data().into(),
            time: None,
        }
    }
}

impl Format {
    pub(super) fn new(raw: bool, json: bool, is_wrapped: bool) -> Self {
        let style = match (raw, json) {
            (true, _) => Style::Raw,
            (_, true) => Style::Json,
            _ => Style::Human(Palette::for_stdout()),
        };
        Self { style, is_wrapped, is_terminal: io::stdout().is_terminal() }
    }

    /// Appends `event` to `out`.
    pub(super) fn write(self, out: &mut Vec<u8>, event: MessageEvent) {
        let Self { style, is_wrapped, is_terminal } = self;
        match style {
            Style::Human(palette) => {
                let line = Line::new(&event, is_wrapped);
                out.extend_from_slice(human(&line, palette, is_terminal).as_bytes());
            }
            Style::Json => {
                let line = Line::new(&event, is_wrapped);
                let json = serde_json::to_string(&line).expect("texts only, into a String");
                let shown = if is_terminal { harmless_json(&json) } else { json.as_str().into() };
                out.extend_from_slice(shown.as_bytes());
                out.push(b'\n');
            }
            Style::Raw => {
                let begin = out.len();
                event.into_sent().encode(out);
                if is_terminal {
                    let text = String::from_utf8_lossy(&out[begin..]).into_owned();
                    out.truncate(begin);
                    out.extend_from_slice(harmless_lines(&text).as_bytes());
                }
            }
        }
    }
}

/// `id  topic  type  data`; no topic if it is not known, and no type if it is the usual one;
/// further lines of data are below the first.
fn human(line: &Line<'_>, palette: Palette, is_terminal: bool) -> String {
    let shown = |text: &str| if is_terminal { harmless(text) } else { text.to_owned() };
    let Palette { dim, accent, warning, plain } = palette;
    let mut text = String::new();
    let mut indent = 0;
    let colour = if line.event == RESET { warning } else { accent };
    let event_type = (line.event != USUAL).then_some(&line.event);
    for (column, colour) in
        [(line.id.as_ref(), dim), (line.topic.as_ref(), dim), (event_type, colour)]
    {
        let Some(column) = column else { continue };
        let column = shown(column);
        indent += column.chars().count() + 2;
        text.push_str(&format!("{colour}{column}{plain}  "));
    }
    for (number, line) in line.data.split('\n').enumerate() {
        if number > 0 {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
        }
        text.push_str(&shown(line));
    }
    text.push('\n');
    text
}

/// The type of an event that names none.
const USUAL: &str = "message";
