use crate::pointer::Pointer;

/// What makes an event a piece of a growing value: its text is added to the end of what its key
/// stands for.
///
/// Live readers get the piece. The state has the value with all of its pieces, under the id and
/// with the type of the newest one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where in the data, which is JSON, the string is that grows; everything else is as in the
    /// newest piece. `None` if all of the data is the text.
    pub at: Option<Pointer>,
    /// Bytes of the text before the piece; zero if the value begins with it. The thread that
    /// appends sets it. So a value of which retention has dropped a part is not taken for whole.
    pub from: u64,
}

impl Piece {
    /// What it costs a queue or a cache, in bytes.
    pub(crate) fn cost(&self) -> usize {
        size_of::<Self>() + self.at.as_ref().map_or(0, |at| at.as_str().len())
    }
}
