//! How an event is printed.

use std::io::{self, IsTerminal};

use serde::Serialize;
use tidings_client::MessageEvent;

use crate::foreign_text::{harmless, harmless_json, harmless_lines};
use crate::output::Palette;
use crate::upstream::RESET;

/// One of the ways to print.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    /// For people: id, type, data.
    Human { palette: Palette, is_terminal: bool },
    /// One JSON object a line.
    Json { is_terminal: bool },
    /// The event stream itself.
    Raw { is_terminal: bool },
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    event: &'a str,
    data: &'a str,
}

impl Format {
    pub(super) fn new(raw: bool, json: bool) -> Self {
        let is_terminal = io::stdout().is_terminal();
        match (raw, json) {
            (true, _) => Self::Raw { is_terminal },
            (_, true) => Self::Json { is_terminal },
            _ => Self::Human { palette: Palette::for_stdout(), is_terminal },
        }
    }

    /// Appends `event` to `out`.
    pub(super) fn write(self, out: &mut Vec<u8>, event: MessageEvent) {
        match self {
            Self::Human { palette, is_terminal } => {
                out.extend_from_slice(human(&event, palette, is_terminal).as_bytes());
            }
            Self::Json { is_terminal } => {
                let id = event.last_event_id().map(AsRef::as_ref);
                let line = Line { id, event: event.event_type(), data: event.data() };
                let json = serde_json::to_string(&line).expect("texts only, into a String");
                let shown = if is_terminal { harmless_json(&json) } else { json.as_str().into() };
                out.extend_from_slice(shown.as_bytes());
                out.push(b'\n');
            }
            Self::Raw { is_terminal } => {
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

/// `id  type  data`; no type if it is the usual one; further lines of data stand below the first.
fn human(event: &MessageEvent, palette: Palette, is_terminal: bool) -> String {
    let shown = |text: &str| if is_terminal { harmless(text) } else { text.to_owned() };
    let Palette { dim, accent, warning, plain } = palette;
    let mut head = String::new();
    let mut indent = 0;
    if let Some(id) = event.last_event_id() {
        let id = shown(id.as_str());
        indent += id.chars().count() + 2;
        head = format!("{dim}{id}{plain}  ");
    }
    if event.event_type() != USUAL {
        let event_type = shown(event.event_type());
        indent += event_type.chars().count() + 2;
        let colour = if event.event_type() == RESET { warning } else { accent };
        head.push_str(&format!("{colour}{event_type}{plain}  "));
    }
    let mut text = head;
    for (number, line) in event.data().split('\n').enumerate() {
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
