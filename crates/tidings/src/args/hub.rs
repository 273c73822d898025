//! The flags of `tidings serve` and `tidings demo`: one for each setting, by the same name.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::settings::{Given, Layer, Origin, SETTINGS, Setting, Table, Value};

/// `tidings serve`, `tidings demo`. What is not given has its default elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct HubArgs {
    /// The settings that were given.
    layer: Layer,
    pub(crate) config: Option<PathBuf>,
    pub(crate) print_default_config: bool,
}

/// The flags that are no settings.
#[derive(Args, Debug)]
struct FileArgs {
    /// A configuration file
    #[arg(long, value_name = "FILE", env = "TIDINGS_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Print the default configuration, and do nothing else
    #[arg(long, hide_short_help = true)]
    print_default_config: bool,
}

impl HubArgs {
    /// The typed flags, as a layer of settings.
    pub(crate) fn layer(&self) -> Layer {
        self.layer.clone()
    }
}

impl Args for HubArgs {
    fn augment_args(command: Command) -> Command {
        FileArgs::augment_args(command.args(flags(SETTINGS)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for HubArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let file = FileArgs::from_arg_matches(matches)?;
        let layer = typed(SETTINGS, matches);
        let FileArgs { config, print_default_config } = file;
        Ok(Self { layer, config, print_default_config })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flags that say where a log is kept.
const STORE_FLAGS: [&str; 9] = [
    "store",
    "store-url",
    "store-stream",
    "store-creds",
    "store-tls-ca",
    "store-tls-cert",
    "store-tls-key",
    "cluster-create",
    "store-unsafe",
];

/// Where a log is kept, for a command that is no hub.
#[derive(Clone, Debug)]
pub(crate) struct StoreArgs(Layer);

impl StoreArgs {
    /// The typed flags, as a layer of settings.
    pub(crate) fn layer(&self) -> Layer {
        self.0.clone()
    }
}

impl Args for StoreArgs {
    fn augment_args(command: Command) -> Command {
        let is_of_store = |flag: &Arg| STORE_FLAGS.contains(&flag.get_id().as_str());
        // Few, and all in the short help's place for what is rare.
        let flags = flags(SETTINGS).filter(is_of_store);
        command.args(flags.map(|flag| flag.hide_short_help(true).help_heading("Into a stream")))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for StoreArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let settings = SETTINGS.settings();
        let of_store = settings.filter(|setting| STORE_FLAGS.contains(&setting.name));
        Ok(Self(typed_of(of_store, matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The flags of the settings of `table`.
pub(crate) fn flags(table: Table) -> impl Iterator<Item = Arg> {
    table.settings().filter(|setting| setting.has_flag()).map(flag)
}

/// The flags whose defaults are others for `tidings demo`, with what is true there.
pub(crate) fn of_a_demo(flag: Arg) -> Arg {
    match flag.get_id().as_str() {
        "store" => flag.help("Where history is kept: memory (lost at the end) or disk [memory]"),
        "data" => flag.help("The folder for history on disk; with it history is kept there"),
        "durability" => {
            flag.help("What history on disk survives: fsync (a power cut) or os (a crash)")
        }
        "retention-bytes" => flag.help("How much history is kept, in memory too [1GiB]"),
        "cors-origin" => {
            flag.help("An origin whose web pages may use the hub, or *; may be repeated [*]")
        }
        _ => flag,
    }
}

/// The typed flags among the settings of `table`.
pub(crate) fn typed(table: Table, matches: &ArgMatches) -> Layer {
    typed_of(table.settings().filter(|setting| setting.has_flag()), matches)
}

fn typed_of(settings: impl Iterator<Item = &'static Setting>, matches: &ArgMatches) -> Layer {
    let mut layer = Layer::default();
    for setting in settings {
        if let Some(texts) = matches.get_many::<String>(setting.name) {
            let origin = Origin::Flag(format!("--{}", setting.name));
            layer.values.insert(setting.name, Given { texts: texts.cloned().collect(), origin });
        }
    }
    layer
}

fn flag(setting: &'static Setting) -> Arg {
    let flag = Arg::new(setting.name)
        .long(setting.name)
        .help(setting.help)
        .help_heading(setting.heading)
        .hide_short_help(!setting.is_common);
    // What other servers call it.
    let flag = if setting.name == "listen" { flag.alias("port") } else { flag };
    match setting.value {
        Value::One(name) | Value::Path(name) | Value::Servers(name) => {
            flag.value_name(name).action(ArgAction::Set)
        }
        Value::List(name) => flag.value_name(name).action(ArgAction::Append),
        Value::Switch | Value::Secret => flag
            .value_name("BOOL")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .action(ArgAction::Set),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use clap::Parser as _;

    use crate::args::{Cli, Command};
    use crate::settings::{Origin, settings};

    #[test]
    fn every_setting_but_the_secret_itself_has_a_flag_that_arrives() {
        let mut words = vec!["tidings".to_owned(), "serve".to_owned()];
        words.extend(
            settings()
                .filter(|setting| setting.name != "jwt-secret")
                .map(|setting| format!("--{}=x", setting.name)),
        );
        let Command::Serve(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("another command");
        };
        let layer = args.layer();
        let arrived: BTreeSet<_> = layer.values.keys().copied().collect();
        let names = settings().map(|setting| setting.name).filter(|name| *name != "jwt-secret");
        assert_eq!(arrived, names.collect());
        assert_eq!(layer.values["retry"].origin, Origin::Flag("--retry".to_owned()));
    }
}
