use http::request::Parts;

use super::memory::Mercure;
use super::site::Site;
use crate::state::State;

/// One request, and what answering it takes.
pub(super) struct Context<'a> {
    pub(super) mercure: &'a Mercure,
    pub(super) state: &'a State,
    pub(super) parts: &'a Parts,
    /// What the hub is called by whoever sent it.
    pub(super) site: Site,
}

impl<'a> Context<'a> {
    pub(super) fn new(mercure: &'a Mercure, state: &'a State, parts: &'a Parts) -> Self {
        let site = Site::of(mercure.config(), parts);
        Self { mercure, state, parts, site }
    }
}
