//! The little JSON that the hub writes.

use std::fmt::Write;

/// Appends `text` as a JSON string (RFC 8259 §7).
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c)); // a String takes every write
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
