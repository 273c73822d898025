use http::HeaderMap;
use tidings_http::body;

/// The form of a write's body, by its `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyForm {
    /// One event.
    One,
    /// A JSON object per line, each an event.
    Lines,
    /// An event stream.
    Events,
}

impl BodyForm {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match body::media_type(headers).as_str() {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::Lines,
            "text/event-stream" => Self::Events,
            _ => Self::One,
        }
    }
}
