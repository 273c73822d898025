//! Bounds of the Mercure face: each with its reason, its cost, and what happens at the edge. (What
//! the protocol itself bounds stands in [`dialect`](super::dialect).)

/// Maximum program of one part of a URL pattern, in bytes. A pattern has eight parts, nearly all of
/// them without a program. At the edge: the pattern is rejected.
pub(crate) const PATTERN_PROGRAM_BYTES_MAX: usize = 128 << 10;

/// Maximum subscription events that are kept for subscribers that resume. At the edge: the oldest
/// are dropped, and the answer to a subscriber that resumes before them says that events may be
/// lost.
pub(crate) const NOTICES_KEPT_MAX: usize = 4096;

/// Maximum bytes of these events. At the edge: the same.
pub(crate) const NOTICES_KEPT_BYTES_MAX: usize = 2 << 20;

/// Maximum compiled URL patterns that are kept for reuse. Each costs a few KiB. At the edge: all
/// are dropped; those in use stay with their subscribers.
pub(crate) const PATTERNS_KEPT_MAX: usize = 1024;

/// Maximum changes of the list of subscribers that wait to be told to other hubs, a quarter of a
/// second each. At the edge: they are dropped, and the others ask for the whole list.
pub(crate) const UNSAID_CHANGES_MAX: usize = 16_384;

/// Maximum subscribers of one other hub that are listed here: more than a hub serves. At the edge:
/// the others of that hub are not listed.
pub(crate) const OTHER_SESSIONS_MAX: usize = 1 << 20;
