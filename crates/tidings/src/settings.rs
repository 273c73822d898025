//! The settings of a hub: where each value comes from, and what it means.
//!
//! Every layer (the defaults, a file, the environment, the command line) gives *texts*; a setting
//! is the text of the highest layer that has one, parsed once, by its row of the [`table`], which
//! writes it into the [`HubConfig`]. So a value means the same wherever it stands, and an error can
//! say where the text came from.

mod default_file;
mod drop_in;
mod file;
mod given;
mod invalid_value;
mod keys;
mod layer;
mod origin;
mod setting;
mod table;
mod value;

use crate::hub_config::{HubConfig, StoreConfig};
use crate::store_kind::StoreKind;
use tidings_store_disk::limits::RULES_MAX;

pub(crate) use default_file::{DEFAULT_FILE, written as written_default_file};
pub(crate) use drop_in::{DROP_IN_VARIABLES, drop_in};
pub(crate) use file::read_file;
pub(crate) use given::Given;
pub(crate) use layer::{
    AuthorizeTable, JwtKeyTable, KeyTable, Layer, LinkKeyTable, NotifyTable, RetentionTable, Role,
    SettingProblem,
};
pub(crate) use origin::Origin;
pub(crate) use setting::{Setting, Value, without_logins};
pub(crate) use table::{SETTINGS, Table, settings};
pub(crate) use value::{
    bytes as format_bytes, duration as format_duration, never_or_duration, parse_duration,
};

/// A hub's settings, parsed. Whether they fit together is checked where they are used.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) hub: HubConfig,
    pub(crate) keys: Vec<KeyTable>,
    pub(crate) jwt_keys: Vec<JwtKeyTable>,
    pub(crate) link_keys: Vec<LinkKeyTable>,
    pub(crate) authorize: Vec<AuthorizeTable>,
    pub(crate) notify: Vec<NotifyTable>,
    pub(crate) retention: Vec<RetentionTable>,
    /// Settings that the next version will not understand, each with the way to write it then.
    pub(crate) outdated: Vec<String>,
    /// Every setting as text, in the order of the default file, with its origin.
    pub(crate) effective: Vec<Effective>,
}

/// A setting as it stands, for people.
#[derive(Debug)]
pub(crate) struct Effective {
    pub(crate) key: &'static str,
    /// As TOML; secrets are not shown.
    pub(crate) shown: String,
    pub(crate) origin: Origin,
}

impl Settings {
    /// The settings that `layers` make on top of the defaults, the last one winning.
    ///
    /// # Errors
    ///
    /// All texts that cannot be understood.
    pub(crate) fn resolve(layers: Vec<Layer>) -> Result<Self, Vec<SettingProblem>> {
        Self::resolve_in(SETTINGS, layers)
    }

    /// The same, with the settings of `table`.
    fn resolve_in(table: Table, layers: Vec<Layer>) -> Result<Self, Vec<SettingProblem>> {
        let mut stack = vec![file::defaults(table)];
        stack.extend(layers);
        let of_layers = stack.iter_mut().flat_map(|layer| std::mem::take(&mut layer.problems));
        let mut problems: Vec<_> = of_layers.collect();
        let mut hub = HubConfig::default();
        let mut effective = Vec::new();
        for setting in table.settings() {
            let key = setting.name;
            let Some(given) = given(&stack, key) else { continue };
            let origin = given.origin.clone();
            match (setting.set)(&mut hub, given) {
                Ok(()) => effective.push(Effective { key, shown: setting.shown(given), origin }),
                Err(invalid) => {
                    let problem = |reason| SettingProblem::new(origin.clone(), key, reason);
                    problems.extend(invalid.reasons.into_iter().map(problem));
                }
            }
        }
        let mut outdated = Vec::new();
        match settle_store(&stack, &mut hub.store) {
            Ok(advice) => outdated.extend(advice),
            Err(problem) => problems.push(problem),
        }
        let keys = tables(&mut stack, |layer| &mut layer.keys);
        let jwt_keys = tables(&mut stack, |layer| &mut layer.jwt_keys);
        let link_keys = tables(&mut stack, |layer| &mut layer.link_keys);
        let authorize = tables(&mut stack, |layer| &mut layer.authorize);
        let notify = tables(&mut stack, |layer| &mut layer.notify);
        let retention = tables(&mut stack, |layer| &mut layer.retention);
        problems.extend(check_rules(&retention));
        hub.store.disk.rules = retention.iter().map(|table| table.rule.clone()).collect();
        let settings = Self {
            hub,
            keys,
            jwt_keys,
            link_keys,
            authorize,
            notify,
            retention,
            outdated,
            effective,
        };
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// Where the value of `key` comes from.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        let found = self.effective.iter().find(|effective| effective.key == key);
        found.map_or(Origin::Default, |effective| effective.origin.clone())
    }
}

/// The value of `key` in the highest layer that has one. The defaults are the first layer.
fn given<'a>(stack: &'a [Layer], key: &str) -> Option<&'a Given> {
    stack.iter().rev().find_map(|layer| layer.values.get(key))
}

/// Which store it is depends on more than its own setting. Returns what is outdated, and how to say
/// it now.
///
/// # Errors
///
/// Two settings contradict each other.
fn settle_store(
    stack: &[Layer],
    store: &mut StoreConfig,
) -> Result<Option<String>, SettingProblem> {
    let origin_of = |key| given(stack, key).map_or(Origin::Default, |given| given.origin.clone());
    let says = |key, text| given(stack, key).is_some_and(|given| given.text() == text);
    let [store_origin, durability_origin] = ["store", "durability"].map(origin_of);
    // It was a durability before it was a store of its own; the row has seen to it.
    if says("durability", "memory") {
        if says("store", "disk") && store_origin != Origin::Default {
            let message = "it cannot be \"memory\" where the store is \"disk\"";
            return Err(SettingProblem::new(durability_origin, "durability", message));
        }
        return Ok(Some(format!("{durability_origin}: say store = \"memory\" instead")));
    }
    // An operator who says where or how durably a demo keeps its history wants it kept.
    let origins = [durability_origin, origin_of("data")];
    if store_origin == Origin::Demo && origins.iter().any(|origin| *origin != Origin::Default) {
        store.kind = StoreKind::Disk;
    }
    Ok(None)
}

/// What is wrong with rules that are each right.
fn check_rules(tables: &[RetentionTable]) -> Vec<SettingProblem> {
    let mut problems = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        let mut before = tables[..number].iter();
        if before.any(|other| other.rule.name == table.rule.name) {
            let message = format!("another rule of `retention` is named {:?} too", table.rule.name);
            problems.push(SettingProblem::at(table.origin.clone(), message));
        }
        if number == RULES_MAX {
            let message = format!("there can be at most {RULES_MAX} rules of `retention`");
            problems.push(SettingProblem::at(table.origin.clone(), message));
        }
    }
    problems
}

/// Tables of one kind: those of the highest layer that has any.
fn tables<T>(stack: &mut [Layer], of: impl Fn(&mut Layer) -> &mut Vec<T>) -> Vec<T> {
    let mut layers = stack.iter_mut().rev().map(of);
    layers.find(|tables| !tables.is_empty()).map(std::mem::take).unwrap_or_default()
}

#[cfg(test)]
mod tests;
