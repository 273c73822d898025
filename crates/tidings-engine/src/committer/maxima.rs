/// The bounds that the committer keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maxima {
    pub(crate) topics: usize,
    pub(crate) keys: usize,
    pub(crate) value_bytes: usize,
}
