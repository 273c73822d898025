//! Headers as lines of a request, each with its line end.

use crate::error::PlanError;

/// The generator's name.
pub(crate) const USER_AGENT: &str = concat!("tidings/", env!("CARGO_PKG_VERSION"));

/// The header lines of the given headers, `Name: value` each.
pub(crate) fn read(headers: &[String]) -> Result<String, PlanError> {
    let mut lines = String::new();
    for header in headers {
        let fine = header.split_once(':').is_some_and(|(name, _)| !name.trim().is_empty());
        if !fine || header.contains(['\r', '\n']) {
            return Err(PlanError::Header(header.clone()));
        }
        lines.push_str(header);
        lines.push_str("\r\n");
    }
    Ok(lines)
}

/// Appends the line of a default header, unless `given` has one of that name.
pub(crate) fn push_unless_given(request: &mut Vec<u8>, given: &str, name: &str, value: &str) {
    let names = given.lines().filter_map(|line| line.split_once(':'));
    if names.into_iter().any(|(found, _)| found.trim().eq_ignore_ascii_case(name)) {
        return;
    }
    for part in [name, ": ", value, "\r\n"] {
        request.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_header_replaces_a_default_one() {
        let given = read(&["accept: a/b".to_owned(), "X: y".to_owned()]).expect("headers");
        let mut request = Vec::new();
        push_unless_given(&mut request, &given, "Accept", "text/event-stream");
        push_unless_given(&mut request, &given, "User-Agent", "tidings");
        assert_eq!(request, b"User-Agent: tidings\r\n");
    }
}
