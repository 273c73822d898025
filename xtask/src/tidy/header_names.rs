//! The hub's own header names are defined in one table, which says of each whether pages of other
//! origins may read it. A name defined elsewhere would be missing there.

use crate::tree;

/// The file with the table.
const TABLE: &str = "crates/tidings-http/src/headers.rs";

pub(super) fn check(files: &[String]) -> Vec<String> {
    let sources = files.iter().filter(|path| {
        path.starts_with("crates/") && path.ends_with(".rs") && path.as_str() != TABLE
    });
    let found = sources.filter_map(|path| Some((path, line_of_name(&tree::read(path)?)?)));
    found.map(|(path, line)| format!("{path}:{line}: define it in the table of {TABLE}")).collect()
}

/// The line on which `text` defines one of the hub's own header names.
fn line_of_name(text: &str) -> Option<usize> {
    let calls = text.match_indices("HeaderName::from_static(").map(|(at, call)| at + call.len());
    let mut names = calls.filter(|at| text[*at..].trim_start().starts_with("\"tidings-"));
    names.next().map(|at| text[..at].lines().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_name_outside_the_table_is_found_however_it_is_written() {
        let short =
            "const A: u8 = 1;\nconst X: HeaderName = HeaderName::from_static(\"tidings-x\");";
        assert_eq!(line_of_name(short), Some(2));
        let long = "const X: HeaderName = HeaderName::from_static(\n    \"tidings-x\",\n);";
        assert_eq!(line_of_name(long), Some(1));
    }

    #[test]
    fn other_headers_and_other_texts_are_not_found() {
        for text in [
            "HeaderName::from_static(\"last-event-id\")",
            "HeaderValue::from_static(\"tidings-x\")",
            "headers.get(\"tidings-x\")",
        ] {
            assert_eq!(line_of_name(text), None, "{text}");
        }
    }
}
