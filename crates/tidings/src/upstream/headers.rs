//! `--header`: as it is typed, or from a file. Every command that takes headers takes them here.

use std::error::Error;
use std::fs;

use http::{HeaderMap, HeaderName, HeaderValue};
use tidings_client::EventId;

use crate::error::CliError;
use crate::exit_code::ExitCode;

/// The headers, to be sent in the place of the program's own; of a name that was given several
/// times, every value, in their order.
///
/// # Errors
///
/// One has no colon, or cannot be sent; or a file cannot be read.
pub(crate) fn given(headers: &[String]) -> Result<HeaderMap, CliError> {
    let mut map = HeaderMap::new();
    for text in headers {
        let Some(path) = text.strip_prefix('@') else {
            append(&mut map, text, text)?;
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
            append(&mut map, line, &format!("line {} of {path}", number + 1))?;
        }
    }
    Ok(map)
}

/// Takes out of the headers where an event stream is to begin. From then on the source itself says
/// how far it has come.
///
/// # Errors
///
/// It is not an event id, or there are several.
pub(crate) fn take_last_event_id(headers: &mut HeaderMap) -> Result<Option<EventId>, CliError> {
    let http::header::Entry::Occupied(entry) = headers.entry("last-event-id") else {
        return Ok(None);
    };
    let (_, mut values) = entry.remove_entry_mult();
    let wrong = |why: &str| CliError::new(ExitCode::Usage, format!("Last-Event-ID: {why}"));
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(wrong("it is given more than once").hint("give one place to begin at"));
    };
    let text = String::from_utf8(value.as_bytes().to_vec());
    let text = text.map_err(|error| wrong("it is not UTF-8").because(error))?;
    let id = EventId::new(text).map_err(|error| wrong("it is not an event id").because(error))?;
    Ok(Some(id))
}

fn append(map: &mut HeaderMap, text: &str, what: &str) -> Result<(), CliError> {
    let Some((name, value)) = text.split_once(':') else {
        return Err(CliError::new(ExitCode::Usage, format!("{what} is not a header"))
            .hint("such as 'Authorization: Bearer abc', or @FILE with one on each line"));
    };
    let cannot_be_sent = |error: Box<dyn Error + Send + Sync>| {
        let message = format!("the header {:?} cannot be sent", name.trim());
        CliError::new(ExitCode::Usage, message).because(error)
    };
    let name = HeaderName::from_bytes(name.trim().as_bytes());
    let name = name.map_err(|error| cannot_be_sent(error.into()))?;
    let value = HeaderValue::from_bytes(value.trim().as_bytes());
    let value = value.map_err(|error| cannot_be_sent(error.into()))?;
    map.append(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn headers(texts: &[&str]) -> Result<HeaderMap, CliError> {
        given(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_header_has_a_name_and_a_value_that_may_have_colons_and_any_letters() {
        let map = headers(&["X-Time: 12:30", "Empty:", "X-Name: é"]).unwrap();
        assert_eq!(map["x-time"], "12:30");
        assert_eq!(map["empty"], "");
        assert_eq!(map["x-name"].as_bytes(), "é".as_bytes());
    }

    #[test]
    fn a_header_that_is_given_twice_is_there_twice() {
        let map = headers(&["X-Tag: a", "x-tag: b", "X-Tag: a"]).unwrap();
        assert_eq!(map.get_all("x-tag").iter().collect::<Vec<_>>(), ["a", "b", "a"]);
    }

    #[test]
    fn what_is_no_header_or_cannot_be_sent_is_an_error() {
        for text in ["nonsense", "a b: c", ": c", "a: b\nc: d", "a: b\0"] {
            assert!(headers(&[text]).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_beginning_of_a_stream_is_one_id_that_is_no_longer_among_the_headers() {
        let mut map = headers(&["Last-Event-ID: 5", "X: y"]).unwrap();
        assert_eq!(take_last_event_id(&mut map).unwrap().unwrap().as_str(), "5");
        assert_eq!(map.len(), 1);
        assert!(take_last_event_id(&mut map).unwrap().is_none());
        let mut twice = headers(&["Last-Event-ID: 5", "last-event-id: 6"]).unwrap();
        assert!(take_last_event_id(&mut twice).is_err());
    }
}
