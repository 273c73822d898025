//! Every environment variable that the program reads.
//!
//! Settings of a hub have one each, named after them (`retention-age`: `TIDINGS_RETENTION_AGE`);
//! lists have commas. The rest are below.

use std::env;

use crate::args::HubUrl;
use crate::settings::{
    DROP_IN_VARIABLES, Given, Layer, Origin, SETTINGS, Setting, SettingProblem, Table, drop_in,
};
use crate::trust::TrustArgs;

/// Variables that are not settings of a hub, each with what it does: for the reference.
pub(crate) const OTHERS: [(&str, &str); 6] = [
    ("TIDINGS_CONFIG", "the configuration file of `serve`, `demo`, `check`, `health` and `token`"),
    ("TIDINGS_URL", "the hub that every other command speaks to, such as http://127.0.0.1:3000"),
    ("TIDINGS_TOKEN", "the token or key that they send"),
    ("SSL_CERT_FILE", "the certificates that are trusted in place of the system's, in one file"),
    ("SSL_CERT_DIR", "the same, in folders; --ca-file adds to the system's instead"),
    ("NO_COLOR", "if it is set to anything, nothing is coloured (no-color.org)"),
];

/// The hub that the environment names, for commands without `--url`.
pub(crate) fn hub() -> HubUrl {
    HubUrl {
        url: text("TIDINGS_URL").unwrap_or_else(|| HUB.to_owned()),
        token: text("TIDINGS_TOKEN"),
        trust: TrustArgs::default(),
    }
}

/// Where `tidings serve` listens.
const HUB: &str = "http://127.0.0.1:3000";

/// The settings of the environment. An empty variable counts as absent, and one that is not UTF-8
/// is a problem.
pub(crate) fn layer() -> Layer {
    let mut layer = layer_of(SETTINGS, text);
    let variables = SETTINGS.settings().map(Setting::variable);
    let variables = variables.chain(DROP_IN_VARIABLES.iter().map(|(name, _)| (*name).to_owned()));
    let is_text =
        |variable: &String| env::var_os(variable).is_none_or(|value| value.to_str().is_some());
    layer.problems.extend(variables.filter(|variable| !is_text(variable)).map(|variable| {
        SettingProblem::at(Origin::Environment(variable), "the value is not UTF-8")
    }));
    layer
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

/// The value of a variable, if it is text.
fn text(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}
