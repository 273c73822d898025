/// Which store keeps the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// Files in a folder.
    Disk,
    /// The memory of the process.
    Memory,
    /// A stream of NATS JetStream, shared with other hubs; the folder holds a copy of it.
    Nats,
}
