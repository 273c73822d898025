//! The words of `tidings sign`.

use std::path::PathBuf;

use clap::Args;

/// `tidings sign`.
#[derive(Args, Debug)]
pub(crate) struct SignArgs {
    /// A topic, or a pattern of topics, that the link reads; may be repeated
    #[arg(long, value_name = "TOPIC", required = true)]
    pub(crate) topic: Vec<String>,
    /// How long the link is good for, such as 10m
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) lifetime: String,
    /// The hub
    #[arg(long, env = "TIDINGS_URL", hide_env_values = true)]
    pub(crate) url: String,
    /// The subject: the name of the user that the link is for
    #[arg(long = "sub", value_name = "NAME", default_value = "")]
    pub(crate) subject: String,
    /// The `id` of the key [the first in the configuration]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// A file with the secret of the key; needs --id
    #[arg(long, value_name = "FILE", requires = "id", conflicts_with = "config")]
    pub(crate) key_file: Option<PathBuf>,
    /// The configuration of the hub, to take the key from its [[link-keys]]
    #[arg(long, value_name = "FILE", env = "TIDINGS_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
}

pub(super) const SIGN_EXAMPLES: &str = "\
Nothing but the URL goes to standard output. Any backend makes such links in five lines, without
asking the hub: see the guide on access.

Examples:
  tidings sign --topic orders/7 --for 10m --config hub.toml --url https://hub.example
  tidings sign --topic 'orders/*' --for 1h --id a --key-file link.key --url http://localhost:3000";
