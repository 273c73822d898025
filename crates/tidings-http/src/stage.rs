//! How far the life of a server has come.

/// How far the server's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Connections and requests are taken.
    Serving,
    /// What has begun is finished; nothing new is begun.
    Leaving,
    /// Connections end now.
    Gone,
}
