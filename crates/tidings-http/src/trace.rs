//! Spans: how long a request took, and what it waited for.
//!
//! A request has one span, which joins the trace of its sender (W3C Trace Context), and a child
//! span for each thing that it waits for: the verification of its token, the storing of its events.
//! They are spans of the `tracing` library with the target `tidings_server::trace`; the program
//! decides where they go. Without the feature `otel` none of this is compiled.

#[cfg(feature = "otel")]
mod spans;

#[cfg(feature = "otel")]
pub use spans::{refused, rejected, request, step};

#[cfg(not(feature = "otel"))]
pub use nothing::{refused, rejected, request, step};

/// A thing that a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Authentication of the caller.
    Authenticate,
    /// Storing events, as durably as configured.
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

    /// Records that the request was rejected, with a word for the reason.
    #[inline(always)]
    pub fn refused(_: &str) {}

    /// Records that the subscriber was asked to come back later.
    #[inline(always)]
    pub fn rejected(_: &str) {}
}
