//! The stages of a server's life.

/// The stages of a server's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Connections and requests are accepted.
    Serving,
    /// Requests in progress are finished; no new ones are accepted.
    Leaving,
    /// Connections end now.
    Gone,
}
