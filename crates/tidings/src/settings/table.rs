//! Every setting of a hub, in the order of the default file: a file for each of its sections.
//!
//! The keys of a file, the environment variables, the flags with their help, the default file and
//! the reference are made of this table. What a text means is said where it is read:
//! [`Settings::resolve`](super::Settings::resolve).

mod access;
mod history;
mod limits;
mod log;
mod machine;
mod mercure;
mod network;
mod subscribers;

use super::setting::{Section, Setting};

/// Every setting.
pub(crate) fn settings() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}

/// The setting called `name`.
pub(super) fn named(name: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.name == name)
}

/// The sections of the default file.
pub(super) const SECTIONS: &[Section] = &[
    network::SECTION,
    history::SECTION,
    access::SECTION,
    mercure::SECTION,
    subscribers::SECTION,
    limits::SECTION,
    machine::SECTION,
    log::SECTION,
];
