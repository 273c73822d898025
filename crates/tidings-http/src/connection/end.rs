/// Why a connection is no longer served here.
pub(super) enum End {
    /// Both sides have closed it, or it broke.
    Done,
    /// A request head took too long.
    SlowHead,
    /// No request came for too long, or the shutdown has cut it.
    Closed,
    /// The engine takes over its socket for an event stream.
    Taken,
}
