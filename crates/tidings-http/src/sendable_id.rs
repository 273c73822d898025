//! Ids that clients can send back.
//!
//! A subscriber that resumes sends the id of its last event in a header, `Last-Event-ID`. No header
//! carries control characters (RFC 9110 §5.5), and clients trim spaces from both ends of a value. A
//! subscriber could not resume after an event with such an id: its reconnection would be rejected,
//! or answered with the whole history.

/// Why clients could not send `id` back, if they could not.
pub fn problem(id: &str) -> Option<&'static str> {
    if id.chars().any(char::is_control) {
        return Some("an id cannot hold control characters: no client could send it back");
    }
    let is_trimmed = id.trim_matches(' ') == id;
    (!is_trimmed).then_some("an id cannot begin or end with a space: clients send it back without")
}
