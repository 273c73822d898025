//! Spans: how long a request took, and what it waited for.
//!
//! A request has one span, which joins the trace of whoever sent it (W3C Trace Context), and one
//! below it for each thing it waits for: that its token is verified, that its events are in the
//! log. They are spans of the `tracing` library, of the target `tidings_server::trace`; where they
//! go is the program's business. Without the feature `otel` nothing of this is compiled.

#[cfg(feature = "otel")]
mod spans;

#[cfg(feature = "otel")]
pub use spans::{refused, rejected, request, step};

#[cfg(not(feature = "otel"))]
pub use nothing::{refused, rejected, request, step};

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Who is asking, and what that one may do.
    Authenticate,
    /// That events are in the log, as firmly as they must be.
    Commit {
        /// The number of events.
        events: usize,
    },
}

#[cfg(not(feature = "otel"))]
mod nothing {
    use http::request::Parts;

    use super::Step;
    use crate::answer::Answer;

    /// Answers a request.
    #[inline(always)]
    pub fn request<F>(_: &Parts, _: &'static str, _: bool, answer: F) -> F
    where
        F: Future<Output = Answer>,
    {
        answer
    }

    /// Waits.
    #[inline(always)]
    pub fn step<F: Future>(_: Step, waiting: F) -> F {
        waiting
    }

    /// The request was refused, in a word.
    #[inline(always)]
    pub fn refused(_: &str) {}

    /// The subscriber was asked to come back later.
    #[inline(always)]
    pub fn rejected(_: &str) {}
}
