/// How far the server's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Serving,
    /// What has begun is finished; nothing new is begun.
    Leaving,
    /// Connections end now.
    Gone,
}
