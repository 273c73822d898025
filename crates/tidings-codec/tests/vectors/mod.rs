//! Reads the cases in this folder. `README.md` says how they are written.

use crate::oracle::{Heard, Outcome};

const FILES: [(&str, &str); 3] = [
    ("lines.txt", include_str!("lines.txt")),
    ("fields.txt", include_str!("fields.txt")),
    ("dispatch.txt", include_str!("dispatch.txt")),
];

/// A stream and the items it should decode to.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) rules: Vec<u32>,
    pub(crate) wire: Vec<u8>,
    pub(crate) seed: Option<String>,
    pub(crate) expected: Outcome,
}

/// All cases.
pub(crate) fn all() -> Vec<Case> {
    FILES
        .iter()
        .flat_map(|(file, text)| {
            let blocks = text.split("\n\n").filter(|block| block.contains("case:"));
            blocks.map(move |block| read(file, block))
        })
        .collect()
}

/// The vectors say nothing about the block's own fields.
pub(crate) fn without_block_fields(mut outcome: Outcome) -> Outcome {
    for heard in &mut outcome.heard {
        if let Heard::Event { id, retry_ms, .. } = heard {
            (*id, *retry_ms) = (None, None);
        }
    }
    outcome
}

fn read(file: &str, block: &str) -> Case {
    let mut source = None;
    let mut case = Case {
        name: String::new(),
        rules: Vec::new(),
        wire: Vec::new(),
        seed: None,
        expected: Outcome { heard: Vec::new(), last_event_id: String::new(), retry_ms: None },
    };
    for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{file}: {line}"));
        let value = value.strip_prefix(' ').unwrap_or(value);
        let (key, times) = match key.split_once('*') {
            Some((key, times)) => (key, times.parse().unwrap()),
            None => (key, 1),
        };
        match key {
            "case" => case.name = format!("{file}: {value}"),
            "checklist" => case.rules = value.split(", ").map(|n| n.parse().unwrap()).collect(),
            "source" => source = Some(value),
            "wire" => case.wire.extend(unescaped(value).repeat(times)),
            "seed" => case.seed = Some(quoted(value, 1).remove(0)),
            "event" => {
                let [event_type, last_event_id, data] = quoted(value, 3).try_into().unwrap();
                case.expected.heard.push(Heard::Event {
                    event_type,
                    last_event_id,
                    data: data.repeat(times),
                    id: None,
                    retry_ms: None,
                });
            }
            "comment" => {
                let text = quoted(value, 1).remove(0).repeat(times);
                case.expected.heard.push(Heard::Comment(text));
            }
            "last-event-id" => case.expected.last_event_id = quoted(value, 1).remove(0),
            "retry" => case.expected.retry_ms = Some(value.parse().unwrap()),
            other => panic!("{file}: unknown line {other}"),
        }
    }
    assert!(source.is_some() && !case.rules.is_empty(), "{}: source and rules", case.name);
    case
}

/// The `count` strings in quotes in `text`.
fn quoted(text: &str, count: usize) -> Vec<String> {
    let parts: Vec<&str> = text.split('"').collect();
    assert_eq!(parts.len(), 2 * count + 1, "{text}");
    let inside = parts.iter().skip(1).step_by(2);
    inside.map(|part| String::from_utf8(unescaped(part)).unwrap()).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let kind = after.chars().next().unwrap();
        rest = &after[1..];
        match kind {
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            's' => bytes.push(b' '),
            '0' => bytes.push(b'\0'),
            '\\' => bytes.push(b'\\'),
            'x' => {
                bytes.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                rest = &rest[2..];
            }
            'u' => {
                let (digits, after) = rest[1..].split_once('}').unwrap();
                let scalar = char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap();
                bytes.extend_from_slice(scalar.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
            other => panic!("no escape for {other}"),
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
