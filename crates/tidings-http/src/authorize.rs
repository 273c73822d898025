//! Asking a backend of the operator what a client may do.
//!
//! Where a client has no credential of the hub's own, a [rule](AuthorizeRule) has the hub ask: a
//! `GET` with those cookies and headers of the client that the rule names, and nothing else of it.
//! The answer is a grant, within the topics of the rule.
//!
//! # What keeps the backend alive
//!
//! What is sent is the key of the answer, so an answer can be kept without mixing users; and while
//! a question is under way, further requests with the same key wait for its answer. A rule has a
//! number of questions at once, a bounded queue of questions before them, and a [breaker]:
//! after some failures in a row only one question in a while is asked. Whatever is not asked is
//! refused softly, with the time to come back.

mod answer;
mod authorizer;
mod backend;
mod breaker;
mod cache;
mod counts;
mod kept;
mod outcome;
mod question;
mod rule;

pub(crate) use authorizer::Authorizer;
pub(crate) use outcome::Outcome;

pub use counts::RuleCounts;
pub use kept::Authorized;
pub(crate) use kept::Kept;
pub use question::{Asked, AskedTopic};
pub use rule::{Action, AuthorizeRule, OnFailure};
