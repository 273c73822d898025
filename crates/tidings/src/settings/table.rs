//! Every setting of a hub, in the order of the default file: a file for each of its sections.
//!
//! The keys of a file, the environment variables, the flags with their help, the default file and
//! the reference are made of this table, and its rows write the configuration of the hub's parts.
//! So a new setting is a row here and a field in a library's config.

mod access;
mod acme;
mod cluster;
mod history;
mod limits;
mod log;
mod machine;
mod mercure;
mod network;
mod subscribers;

use super::setting::{Section, Setting};

/// Settings in sections. There is one table of them, [`SETTINGS`], and others in tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(super) sections: &'static [Section],
}

/// Every setting of a hub.
pub(crate) const SETTINGS: Table = Table {
    sections: &[
        network::SECTION,
        acme::SECTION,
        history::SECTION,
        cluster::SECTION,
        access::SECTION,
        mercure::SECTION,
        subscribers::SECTION,
        limits::SECTION,
        machine::SECTION,
        log::SECTION,
    ],
};

impl Table {
    pub(crate) fn settings(self) -> impl Iterator<Item = &'static Setting> {
        self.sections.iter().flat_map(|section| section.settings)
    }

    /// The setting called `name`.
    pub(super) fn named(self, name: &str) -> Option<&'static Setting> {
        self.settings().find(|setting| setting.name == name)
    }
}

/// Every setting of a hub.
pub(crate) fn settings() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.settings()
}
