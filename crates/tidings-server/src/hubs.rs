//! What the hubs of a shared log ask and tell each other, and what each does with it.
//!
//! A hub without others pays for none of this: [`State::hubs`](tidings_http::state::State::hubs) is
//! `None`, and nothing is asked.

pub(crate) mod answer;
pub(crate) mod question;
mod sessions;
