/// The readers that may have an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Readers that may read one of its topics.
    #[default]
    ByTopic,
    /// All readers, whatever its topics, because its publisher said so. A reader [held to its
    /// grant](crate::Interest::within_grant) needs the grant all the same.
    Public,
    /// Readers with a grant for one of its topics, even where its topics are open to others.
    Private,
}
