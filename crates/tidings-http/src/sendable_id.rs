//! Ids that come back.
//!
//! A subscriber that resumes sends the id of its last event in a header, `Last-Event-ID`. No header
//! carries control characters (RFC 9110 §5.5), and what fetches it trims spaces from both ends. An
//! event with such an id could not be resumed after: the reconnection would be refused, or be
//! answered with the whole history.

/// Why no client could send `id` back, if so.
pub fn problem(id: &str) -> Option<&'static str> {
    if id.chars().any(char::is_control) {
        return Some("an id cannot hold control characters: no client could send it back");
    }
    let is_trimmed = id.trim_matches(' ') == id;
    (!is_trimmed).then_some("an id cannot begin or end with a space: clients send it back without")
}
