//! The characters that text may contain in the 1.0 dialect.

/// The first character of `text` that is a control character (C0, DEL, C1) or of Unicode's category
/// Cf (format): an invisible character.
pub(crate) fn unseen(text: &str) -> Option<char> {
    text.chars().find(|c| c.is_control() || is_format(*c))
}

/// Whether a character is of the category Cf of Unicode 16.
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_found() {
        for bad in ["a\n", "\u{7f}", "\u{85}", "a\u{200b}b", "\u{feff}", "\u{202e}"] {
            assert!(unseen(bad).is_some(), "{bad:?}");
        }
        for good in ["", "https://x/{id}", "grüße 🦀", "\u{2028}"] {
            assert_eq!(unseen(good), None);
        }
    }
}
