//! Makes text from others safe to print: an id, a header, a server's error message.

use std::borrow::Cow;

use tidings_client::ShownUrl;

/// The text on one line, without any power over a terminal: control characters are shown, not
/// sent, and so are the characters that turn the direction of writing, by which a text can be made
/// to look like another.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(c),
            c if steers(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// The same for a text of several lines, which keeps them.
pub(crate) fn harmless_lines(text: &str) -> String {
    text.split('\n').map(harmless).collect::<Vec<_>>().join("\n")
}

/// The same for JSON, which has an escape of its own for every character.
pub(crate) fn harmless_json(json: &str) -> Cow<'_, str> {
    let is_outside_json = |c: char| steers(c) && c != '\n';
    if !json.contains(is_outside_json) {
        return json.into();
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            c if is_outside_json(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.into()
}

/// A sentence that is said on standard error: harmless, without the secrets of URLs in it, and with
/// further lines set in, so that none can be taken for another sentence of ours.
pub(crate) fn presentable(text: &str) -> String {
    let lines = text.trim_end_matches('\n').split('\n');
    lines.map(|line| without_secrets(harmless(line))).collect::<Vec<_>>().join("\n    ")
}

/// The text with the URLs in it as [`ShownUrl`] shows them.
fn without_secrets(text: String) -> String {
    if !text.contains("://") {
        return text;
    }
    let is_around = |c: char| c.is_whitespace() || "\"'<>()`".contains(c);
    let words = text.split_inclusive(is_around).map(|word| {
        let url = word.trim_end_matches(is_around);
        let begin = url.find("://").map(|end| {
            let scheme = url[..end].trim_end_matches(|c: char| c.is_ascii_alphanumeric());
            scheme.len()
        });
        // A URL is shown as it is unless there is a secret in it.
        let Some(begin) = begin.filter(|_| url.contains(['@', '?'])) else {
            return word.to_owned();
        };
        let end = url.trim_end_matches([':', ',', ';', '.']).len().max(begin);
        let (before, rest) = url.split_at(begin);
        let (url, after) = rest.split_at(end - begin);
        format!("{before}{}{after}{}", ShownUrl(url), &word[before.len() + rest.len()..])
    });
    words.collect()
}

/// Whether a terminal would do something else than show it.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_shown_control_characters_and_not_sent_them() {
        assert_eq!(harmless("a\tb\x1b[31mé\u{9b}\r"), "a\tb\\u{1b}[31mé\\u{9b}\\r");
        assert_eq!(harmless("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(harmless_lines("a\x07\nb"), "a\\u{7}\nb");
    }

    #[test]
    fn json_stays_the_same_json() {
        let json = "{\"a\":\"\u{9b}31m\u{7f}é\u{202e}\"}\n";
        let shown = harmless_json(json);
        assert_eq!(shown, "{\"a\":\"\\u009b31m\\u007fé\\u202e\"}\n");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        assert_eq!(read(&shown), read(json));
    }

    #[test]
    fn a_sentence_shows_no_secrets_and_cannot_be_made_to_look_like_two() {
        assert_eq!(
            presentable("cannot ask \"http://u:secret@h/x?token=y\": no\nhint: run this\n"),
            "cannot ask \"http://***@h/x?token=***\": no\n    hint: run this"
        );
        assert_eq!(
            presentable("see http://h/x, and http://u:p@h."),
            "see http://h/x, and http://***@h/."
        );
        assert_eq!(presentable("a@b c?d=e"), "a@b c?d=e");
    }
}
