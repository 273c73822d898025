//! Content negotiation: the representation of events that the client wants (RFC 9110 §12.5.1).

use http::header::{self, HeaderMap};
use tidings_http::problem::{Code, Problem};

/// The representations of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Representation {
    EventStream,
    Json,
}

/// The one that the client prefers; the event stream if it has no preference.
///
/// # Errors
///
/// A 406 if it wants neither.
pub(super) fn representation(headers: &HeaderMap) -> Result<Representation, Problem> {
    if !headers.contains_key(header::ACCEPT) {
        return Ok(Representation::EventStream);
    }
    let mut stream = Quality::default();
    let mut json = Quality::default();
    for range in tidings_http::headers::joined(headers, header::ACCEPT, ", ").split(',') {
        let (media, quality) = media_range(range);
        stream.consider(&media, "text/event-stream", "text/*", quality);
        json.consider(&media, "application/json", "application/*", quality);
    }
    match (stream.value(), json.value()) {
        (0, 0) => Err(Problem::new(
            Code::NotAcceptable,
            "accept `text/event-stream` for a stream, or `application/json` for pages of history",
        )),
        (stream, json) if json > stream => Ok(Representation::Json),
        _ => Ok(Representation::EventStream),
    }
}

/// Quality of one representation, in thousandths: the most specific range that includes it counts.
#[derive(Default)]
struct Quality {
    closeness: u8,
    thousandths: u16,
}

impl Quality {
    fn consider(&mut self, media: &str, exact: &str, kind: &str, thousandths: u16) {
        let closeness = match media {
            _ if media == exact => 3,
            _ if media == kind => 2,
            "*/*" | "*" => 1,
            _ => return,
        };
        if closeness > self.closeness {
            *self = Self { closeness, thousandths };
        }
    }

    fn value(&self) -> u16 {
        self.thousandths
    }
}

/// A media range in lower case and its quality in thousandths.
fn media_range(range: &str) -> (String, u16) {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next().unwrap_or("").to_ascii_lowercase();
    let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    let quality = quality.and_then(|text| text.parse::<f32>().ok()).unwrap_or(1.0);
    (media, (quality.clamp(0.0, 1.0) * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn wants(accept: &str) -> Result<Representation, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        representation(&headers)
    }

    #[test]
    fn a_client_without_a_preference_gets_a_stream() {
        assert_eq!(representation(&HeaderMap::new()).unwrap(), Representation::EventStream);
        for accept in [
            "*/*",
            "text/event-stream",
            "Text/Event-Stream;charset=utf-8",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "application/json;q=0.5, text/event-stream",
            "text/*",
        ] {
            assert_eq!(wants(accept).unwrap(), Representation::EventStream, "{accept}");
        }
    }

    #[test]
    fn a_client_that_prefers_json_gets_json() {
        for accept in [
            "application/json",
            "application/json, */*;q=0.1",
            "application/json, text/plain, */*;q=0.9",
            "application/*",
        ] {
            assert_eq!(wants(accept).unwrap(), Representation::Json, "{accept}");
        }
        // The most specific range decides, not the first.
        assert_eq!(wants("*/*, text/event-stream;q=0.2").unwrap(), Representation::Json);
    }

    #[test]
    fn a_client_that_accepts_neither_is_rejected() {
        for accept in ["text/html", "image/*", "text/event-stream;q=0"] {
            assert_eq!(wants(accept).unwrap_err().code(), Code::NotAcceptable, "{accept}");
        }
    }
}
