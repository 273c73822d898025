//! `--header`: as it is typed, or from a file.

use std::fs;

use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Names and values, in the order they were given.
///
/// # Errors
///
/// One has no colon, or a file cannot be read.
pub(in crate::commands) fn given(headers: &[String]) -> Result<Vec<(String, String)>, CliError> {
    let mut given = Vec::new();
    for text in headers {
        let Some(path) = text.strip_prefix('@') else {
            given.push(split(text).ok_or_else(|| no_header(text))?);
            continue;
        };
        let lines = fs::read_to_string(path).map_err(|error| {
            CliError::new(ExitCode::Usage, format!("{path} cannot be read")).because(error)
        })?;
        for (number, line) in lines.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // Not the line itself: it may well be a secret.
            let what = format!("line {} of {path}", number + 1);
            given.push(split(line).ok_or_else(|| no_header(&what))?);
        }
    }
    Ok(given)
}

fn split(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

fn no_header(what: &str) -> CliError {
    CliError::new(ExitCode::Usage, format!("{what} is no header"))
        .hint("such as 'Authorization: Bearer abc', or @FILE with one on each line")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_header_has_a_name_and_a_value_that_may_have_colons() {
        let given = given(&["X-Time: 12:30".to_owned(), "Empty:".to_owned()]).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(given, [pair("X-Time", "12:30"), pair("Empty", "")]);
    }

    #[test]
    fn what_has_no_colon_is_no_header() {
        assert!(given(&["nonsense".to_owned()]).is_err());
    }
}
