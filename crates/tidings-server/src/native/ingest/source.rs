use tidings_http::problem::Problem;
use tidings_hub::Draft;

use super::place::Place;

/// A format that events are read from.
pub(in crate::native) trait Source {
    /// Takes bytes from the front of `chunk` until an event is complete. `None` means that all of
    /// it has been taken.
    ///
    /// # Errors
    ///
    /// What is wrong, and where. The source is not asked again.
    fn next(&mut self, chunk: &mut &[u8]) -> Result<Option<Draft>, Problem>;

    /// The body has ended; what was left may be an event.
    ///
    /// # Errors
    ///
    /// As with [`next`](Self::next).
    fn finish(&mut self) -> Result<Option<Draft>, Problem>;

    /// Where the event is that was complete last.
    fn place(&self) -> Place;

    /// Bytes held of an event that is not complete.
    fn bytes_held(&self) -> usize;

    /// Frees the memory that large events have left. Called when there is nothing to be read.
    fn release(&mut self);
}
