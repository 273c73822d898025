/// Which store keeps the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    /// Files in a folder.
    Disk,
    /// The memory of the process.
    Memory,
}
