use http::request::Parts;
use tidings_http::state::State;

use crate::mercure::Mercure;
use crate::site::Site;

/// One request, and what answering it takes.
pub(crate) struct Context<'a> {
    pub(crate) mercure: &'a Mercure,
    pub(crate) state: &'a State,
    pub(crate) parts: &'a Parts,
    /// The URL of the hub, as the sender of the request knows it.
    pub(crate) site: Site,
}

impl<'a> Context<'a> {
    pub(crate) fn new(mercure: &'a Mercure, state: &'a State, parts: &'a Parts) -> Self {
        let site = Site::of(mercure.config(), parts);
        Self { mercure, state, parts, site }
    }
}
