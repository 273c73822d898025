/// What an acknowledged event survives, if its store is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// A power cut.
    Fsync,
    /// The end of the process.
    Os,
}
