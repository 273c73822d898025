//! Every environment variable that the program reads.
//!
//! Settings of a hub have one each, named after them (`retention-age`: `TIDINGS_RETENTION_AGE`);
//! lists have commas. The rest are below.

use std::env;

use crate::settings::{Given, Layer, Origin, SETTINGS, Table, drop_in};

/// Variables that are not settings of a hub, each with what it does: for the reference.
pub(crate) const OTHERS: [(&str, &str); 4] = [
    ("TIDINGS_CONFIG", "the configuration file of `serve`, `demo`, `check`, `health` and `token`"),
    ("TIDINGS_URL", "the hub that `publish`, `subscribe`, `relay`, `trace` and `health` speak to"),
    ("TIDINGS_TOKEN", "the token or key that they send"),
    ("NO_COLOR", "if it is set to anything, nothing is coloured (no-color.org)"),
];

/// The settings of the environment. A variable that is empty counts as not there.
pub(crate) fn layer() -> Layer {
    layer_of(SETTINGS, text)
}

/// The settings of `table` among the variables that `get` finds.
pub(crate) fn layer_of(table: Table, get: impl Fn(&str) -> Option<String>) -> Layer {
    let mut layer = drop_in(&get);
    for setting in table.settings() {
        let variable = setting.variable();
        let Some(value) = get(&variable) else { continue };
        let texts = match setting.is_list() {
            true => value.split(',').map(|text| text.trim().to_owned()).collect(),
            false => vec![value],
        };
        layer.values.insert(setting.name, Given { texts, origin: Origin::Environment(variable) });
    }
    layer
}

/// A value that is not text is not valid for any setting, and is rejected as such.
fn text(variable: &str) -> Option<String> {
    let value = env::var_os(variable)?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}
