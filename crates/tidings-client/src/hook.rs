//! `Hook`: a callback before each attempt.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use http::HeaderMap;

use crate::Attempt;

/// The caller's hook, called before each attempt.
pub(crate) type Hook = Box<dyn FnMut(Attempt) -> HookFuture + Send>;
pub(crate) type HookFuture =
    Pin<Box<dyn Future<Output = Result<HeaderMap, Box<dyn Error + Send + Sync>>> + Send>>;
