//! `Setting`: a row of the [table](super::table) of settings.

use super::given::Given;
use super::invalid_value::InvalidValue;
use super::value;
use crate::hub_config::HubConfig;

/// Settings that stand together in the default file.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) settings: &'static [Setting],
}

/// One setting of a hub.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The key in a file, the flag without its dashes, and, in capitals, the environment variable.
    pub(crate) name: &'static str,
    /// The heading of its flag in the help; without one it is among the options of the command.
    pub(crate) heading: Option<&'static str>,
    pub(crate) value: Value,
    pub(crate) default: Default,
    /// Whether `-h` shows its flag. `--help` shows every one.
    pub(crate) is_common: bool,
    /// The help of its flag: one line.
    pub(crate) help: &'static str,
    /// The comment above it in the default file. Empty if the note of the setting before it covers
    /// this one, too.
    pub(crate) note: &'static str,
    /// Writes a given value into the configuration; nothing else knows this setting.
    pub(super) set: fn(&mut HubConfig, &Given) -> Result<(), InvalidValue>,
}

/// The kind of a setting's values.
#[derive(Debug)]
pub(crate) enum Value {
    /// One text, called so in the help.
    One(&'static str),
    /// The path of a file or a folder, called so in the help. A relative one in a configuration
    /// file begins in the folder of that file.
    Path(&'static str),
    /// Any number of texts, each called so in the help.
    List(&'static str),
    /// Addresses of servers, called so in the help. They are shown without what logs in.
    Servers(&'static str),
    /// `true` or `false`. The flag alone is `true`.
    Switch,
    /// A text that is not shown. It has no flag: other programs can see the command line.
    Secret,
}

/// The default, as it stands in the default file.
#[derive(Debug)]
pub(crate) enum Default {
    /// A value, as TOML.
    Is(&'static str),
    /// Nothing. The default file shows an example, commented out.
    Example(&'static str),
}

impl Setting {
    /// `retention-age` is `TIDINGS_RETENTION_AGE`.
    pub(crate) fn variable(&self) -> String {
        format!("TIDINGS_{}", self.name.replace('-', "_").to_ascii_uppercase())
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }

    /// A given value as TOML, for people; a path as it is found, a secret not at all.
    pub(super) fn shown(&self, given: &Given) -> String {
        match self.value {
            Value::Secret => "(not shown)".to_owned(),
            Value::One(_) | Value::Switch => value::quote(given.text()),
            Value::Servers(_) => value::quote(&without_logins(given.text())),
            Value::Path(_) => {
                let path = given.origin.folder().join(given.text());
                value::quote(&path.display().to_string())
            }
            Value::List(_) => {
                let texts: Vec<_> = given.texts.iter().map(|text| value::quote(text)).collect();
                format!("[{}]", texts.join(", "))
            }
        }
    }

    pub(crate) fn has_flag(&self) -> bool {
        !matches!(self.value, Value::Secret)
    }
}

/// Addresses, separated by commas, without users and passwords.
pub(crate) fn without_logins(servers: &str) -> String {
    let shown = servers.split(',').map(|server| match server.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}://{host}")
        }
        None => server.rsplit('@').next().unwrap_or_default().to_owned(),
    });
    shown.collect::<Vec<_>>().join(",")
}
