//! The command line as it is typed. Doc comments are the help; the meaning of the arguments of
//! `serve` is in [`settings`](crate::settings).

mod client;
mod doctor;
mod health;
mod hub;
mod relay;
mod sign;
mod upstream;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tidings_bench::BenchArgs;

use crate::exit_code;
use crate::trust::TrustArgs;

pub(crate) use client::{
    EndArgs, EraseArgs, HubUrl, PublishArgs, RemoveArgs, StatsArgs, SubscribeArgs, TopicsArgs,
    TraceArgs,
};
pub(crate) use doctor::DoctorArgs;
pub(crate) use health::HealthArgs;
pub(crate) use hub::{HubArgs, StoreArgs};
#[cfg(test)]
pub(crate) use hub::{flags, typed};
pub(crate) use relay::RelayArgs;
pub(crate) use sign::SignArgs;
pub(crate) use upstream::UpstreamArgs;

/// A Server-Sent Events hub: publish with a POST, listen with an EventSource, miss nothing.
#[derive(Debug, Parser)]
#[command(
    name = "tidings",
    version,
    propagate_version = false,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "`tidings COMMAND --help` says more, with examples.",
    after_long_help = exit_code::TABLE
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Name every cause of an error
    #[arg(long, short, global = true, hide_short_help = true)]
    pub(crate) verbose: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a hub
    #[command(long_about = SERVE_ABOUT, after_long_help = SERVE_EXAMPLES)]
    Serve(HubArgs),
    /// Run a hub with demo pages and their publishers, to try things with
    #[command(long_about = DEMO_ABOUT, after_long_help = DEMO_EXAMPLES)]
    #[command(mut_args(hub::of_a_demo))]
    Demo(HubArgs),
    /// Publish one event, or each line of standard input as an event
    #[command(long_about = client::PUBLISH_ABOUT, after_long_help = client::PUBLISH_EXAMPLES)]
    Publish(PublishArgs),
    /// Print events as they arrive
    #[command(long_about = client::SUBSCRIBE_ABOUT, after_long_help = client::SUBSCRIBE_EXAMPLES)]
    Subscribe(SubscribeArgs),
    /// Publish the events of another event stream to a topic
    #[command(long_about = relay::RELAY_ABOUT, after_long_help = relay::RELAY_EXAMPLES)]
    Relay(RelayArgs),
    /// Diagnose an event stream from the subscriber's side
    #[command(long_about = doctor::DOCTOR_ABOUT, after_long_help = doctor::DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// List the topics that have events
    #[command(long_about = client::TOPICS_ABOUT, after_long_help = client::TOPICS_EXAMPLES)]
    Topics(TopicsArgs),
    /// Show the counters of a hub
    #[command(long_about = client::STATS_ABOUT, after_long_help = client::STATS_EXAMPLES)]
    Stats(StatsArgs),
    /// End a topic: its subscribers get a last event, and stay away
    #[command(long_about = client::END_ABOUT, after_long_help = client::END_EXAMPLES)]
    End(EndArgs),
    /// Remove a key from the state of a topic
    #[command(long_about = client::REMOVE_ABOUT, after_long_help = client::REMOVE_EXAMPLES)]
    Remove(RemoveArgs),
    /// Erase events of a topic from the log, before retention drops them
    #[command(long_about = client::ERASE_ABOUT, after_long_help = client::ERASE_EXAMPLES)]
    Erase(EraseArgs),
    /// Show the state of a subscriber, why it was closed, and whether it got an event
    #[command(long_about = client::TRACE_ABOUT, after_long_help = client::TRACE_EXAMPLES)]
    Trace(TraceArgs),
    /// Check whether a hub is ready, for health checks
    #[command(long_about = health::HEALTH_ABOUT, after_long_help = health::HEALTH_EXAMPLES)]
    Health(HealthArgs),
    /// Copy the log of a hub, which may be in use
    #[command(long_about = BACKUP_ABOUT, after_long_help = BACKUP_EXAMPLES)]
    Backup(BackupArgs),
    /// Restore a log from a backup
    #[command(long_about = RESTORE_ABOUT, after_long_help = RESTORE_EXAMPLES)]
    Restore(RestoreArgs),
    /// Measure any hub: deliveries, latency, losses, CPU, memory
    Bench(BenchArgs),
    /// Mint a token for publishing and subscribing
    #[command(after_long_help = TOKEN_EXAMPLES)]
    Token(TokenArgs),
    /// Sign a link: a URL that reads topics for a while, without a token
    #[command(after_long_help = sign::SIGN_EXAMPLES)]
    Sign(SignArgs),
    /// Check whether any hub speaks the Mercure protocol
    #[command(after_long_help = CONFORMANCE_EXAMPLES)]
    Conformance(ConformanceArgs),
    /// Check a configuration file, and show what it means
    #[command(after_long_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Print completions for a shell
    #[command(after_long_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Print a manual page
    #[command(after_long_help = MAN_EXAMPLES)]
    Man(ManArgs),
    /// Print help about a command, or about commands, environment or exit-codes
    #[command(after_long_help = HELP_EXAMPLES)]
    Help(HelpArgs),
}

const SERVE_ABOUT: &str = "\
Run a hub

`tidings check --defaults` prints every setting with its default, as a commented file. Values come \
from there, from --config FILE, from the environment (--retention-age is TIDINGS_RETENTION_AGE) \
and from the command line; later sources override earlier ones.

On an address that other machines can reach, the hub starts only with keys (--jwt-secret-file, \
TIDINGS_JWT_SECRET, or [[keys]] in the configuration) or with --open.";

const SERVE_EXAMPLES: &str = "\
Examples:
  tidings serve
  tidings serve --listen 127.0.0.1:8080 --data /var/lib/tidings
  tidings serve --listen 0.0.0.0:3000 --config /etc/tidings/hub.toml
  tidings serve --store memory --cors-origin https://app.example

  curl -N http://127.0.0.1:3000/events/hello           listen
  curl -d world http://127.0.0.1:3000/events/hello     publish";

const DEMO_ABOUT: &str = "\
Run a hub with demo pages and their publishers, to try things with

The pages are at /demo/: news, prices, scores, a chat, a job, an assistant, this machine. To \
listen without a page, there are two more topics: `counter` gets `Message N` every two seconds, \
and `clock` the date every second. Each new subscriber also gets `Connected to server` from \
`counter`, and an event of the type `connecttime` from `clock`.

It is `tidings serve` with two other defaults. History is kept in memory, and is lost when the \
demo stops, unless --data, --store or --durability say otherwise. Web pages of any origin may use \
the hub. All options of `serve` work.";

const DEMO_EXAMPLES: &str = "\
Examples:
  tidings demo        then open http://localhost:3000/demo/
  curl -N http://localhost:3000/events/counter
  curl -N http://localhost:3000/events/clock?last=5

  In a web page:
  const events = new EventSource('http://localhost:3000/events/counter');
  events.onmessage = (event) => console.log(event.data);";

const BACKUP_ABOUT: &str = "\
Copy the log of a hub, which may be in use

The copy holds every event that was acknowledged before the backup began. It is called \
`COPY.partial` until it is complete, so COPY itself is never partial. `tidings restore` turns it \
into a log again.

Of one of several hubs on a shared log, the copy is what another hub on that log can start with: \
put it in the place of its data folder.";

const BACKUP_EXAMPLES: &str = "\
Examples:
  tidings backup --data /var/lib/tidings /backup/tidings-$(date +%F)
  tidings restore --data /var/lib/tidings /backup/tidings-2026-11-21";

const RESTORE_ABOUT: &str = "\
Restore a log from a backup

Every byte of the copy is checked, and errors name the damaged file. The restored log gets a new \
name: a subscriber whose last event is in the copy resumes after it, and any other gets a reset \
that says events are lost. The folder must be empty or absent; its owner will own the files.

With `--store nats`, the log is restored into a stream that several hubs share. The stream must be \
empty; `--cluster-create` creates it. Events keep their times and ids. The folder is used \
meanwhile, and is empty afterwards. A subscriber of the former hub resumes at any of the new ones.";

const RESTORE_EXAMPLES: &str = "\
Examples:
  systemctl stop tidings.socket tidings.service
  mv /var/lib/tidings /var/lib/tidings.broken
  install -d -o tidings -g tidings -m 750 /var/lib/tidings
  tidings restore --data /var/lib/tidings /backup/tidings-2026-11-21
  systemctl start tidings.socket tidings.service

  tidings restore --data /var/lib/tidings --store nats --cluster-create \\
    --store-url nats://a.example:4222,nats://b.example:4222 /backup/tidings-2026-11-21";

const TOKEN_EXAMPLES: &str = "\
Only the token goes to standard output.

Examples:
  tidings token --secret-file jwt-secret --publish 'sensors/**' --expires 30d
  tidings token --config hub.toml --subscribe '**'
  export TIDINGS_TOKEN=$(tidings token --config hub.toml --publish '**' --subscribe '**')
  tidings token --config hub.toml --inspect \"$TIDINGS_TOKEN\"

  For a Mercure 1.0 client: `*` is every topic, `urlpattern:` begins a pattern:
  tidings token --config hub.toml --mercure-version 1.0 --issuer https://login.example \\
    --audience https://hub.example/.well-known/mercure --subscribe 'urlpattern:/books/:id'";

const CONFORMANCE_EXAMPLES: &str = "\
Each check is one sentence that clients may rely on, with its section of the specification. A \
check passes, fails, or is skipped; if any fails, the exit code is 1. The checks publish some \
events on topics below https://conformance.example/.

Examples:
  tidings conformance --url http://127.0.0.1:3000 --secret-file jwt-secret
  tidings conformance --url https://hub.example --secret \"$KEY\" --mercure-version 0.x
  tidings conformance --url http://127.0.0.1:3000 --secret \"$KEY\" \\
    --issuer https://login.example --audience https://hub.example/.well-known/mercure --json";

const CHECK_EXAMPLES: &str = "\
Examples:
  tidings check hub.toml
  tidings check                      show what `tidings serve` would do without a file
  tidings check --defaults > hub.toml";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  tidings completions bash > ~/.local/share/bash-completion/completions/tidings
  tidings completions fish > ~/.config/fish/completions/tidings.fish";

const MAN_EXAMPLES: &str = "\
Examples:
  tidings man > ~/.local/share/man/man1/tidings.1
  tidings man serve | man -l -";

const HELP_EXAMPLES: &str = "\
Examples:
  tidings help serve
  tidings help environment           every variable the program reads
  tidings help commands              the names of the commands, one per line";

/// The secret that signs tokens, as an argument of `tidings token` and `tidings conformance`;
/// [`keys::given`](crate::keys::given) reads it.
#[derive(Args, Debug)]
pub(crate) struct SecretArgs {
    /// The secret of the hub (visible to other users of this machine: prefer the file)
    #[arg(long, group = "secret_from", env = "TIDINGS_JWT_SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
    /// A file with the secret of the hub
    #[arg(
        long,
        value_name = "FILE",
        group = "secret_from",
        env = "TIDINGS_JWT_SECRET_FILE",
        hide_env_values = true
    )]
    pub(crate) secret_file: Option<PathBuf>,
}

/// `tidings token`.
#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    /// A topic, or a pattern of topics, to publish to; may be repeated
    #[arg(long, value_name = "TOPIC")]
    pub(crate) publish: Vec<String>,
    /// A topic, or a pattern of topics, to subscribe to; may be repeated
    #[arg(long, value_name = "TOPIC")]
    pub(crate) subscribe: Vec<String>,
    /// Topics whose events it may erase; may be repeated. The claim is then `tidings`
    #[arg(long, value_name = "TOPIC")]
    pub(crate) erase: Vec<String>,
    /// Topics whose readers it may list by name; may be repeated. The claim is then `tidings`
    #[arg(long, value_name = "TOPIC")]
    pub(crate) presence: Vec<String>,
    /// What it may do with the hub itself; may be repeated. The claim is then `tidings`
    #[arg(long, value_name = "WORD", value_parser = ["look", "kick"])]
    pub(crate) operate: Vec<String>,
    /// Lifetime of the token, such as 1h; without it, the token never expires
    #[arg(long, value_name = "DURATION")]
    pub(crate) expires: Option<String>,
    /// The version of Mercure that the token is for; /events accepts 0.x, too
    #[arg(long, value_name = "VERSION", default_value = "0.x", hide_short_help = true)]
    pub(crate) mercure_version: MercureVersion,
    /// The issuer of a 1.0 token, as in the hub's `mercure-issuer`
    #[arg(long, value_name = "ISSUER", hide_short_help = true)]
    pub(crate) issuer: Option<String>,
    /// The URL of the hub that a 1.0 token is for
    #[arg(long, value_name = "URL", hide_short_help = true)]
    pub(crate) audience: Option<String>,
    /// The subject: the name of its user, for operators
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) subject: Option<String>,
    /// A payload that presence shows with the token's subscriptions, as JSON
    #[arg(long, value_name = "JSON", hide_short_help = true)]
    pub(crate) payload: Option<String>,
    /// The algorithm; for RS…, ES… and EdDSA the secret is a private key in PEM
    #[arg(long, value_name = "NAME", default_value = "HS256", hide_short_help = true)]
    pub(crate) algorithm: String,
    /// Show what this token allows, or why it is invalid; `-` reads it from standard input
    #[arg(
        long,
        value_name = "TOKEN",
        conflicts_with_all = ["publish", "subscribe", "erase", "presence", "operate", "expires"]
    )]
    pub(crate) inspect: Option<String>,
    #[command(flatten)]
    pub(crate) secret: SecretArgs,
    /// The configuration of the hub, which has the secret
    #[arg(
        long,
        value_name = "FILE",
        group = "secret_from",
        env = "TIDINGS_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,
}

/// `tidings conformance`.
#[derive(Args, Debug)]
pub(crate) struct ConformanceArgs {
    /// The hub, with or without /.well-known/mercure
    #[arg(long, value_name = "URL", env = "TIDINGS_URL", hide_env_values = true)]
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) secret: SecretArgs,
    /// The secret of subscribers' tokens, if it is a different one
    #[arg(long, value_name = "SECRET")]
    pub(crate) subscriber_secret: Option<String>,
    /// An issuer whose 1.0 tokens the secret signs; without it, most checks of 1.0 are skipped
    #[arg(long, value_name = "ISSUER")]
    pub(crate) issuer: Option<String>,
    /// The URL by which 1.0 tokens name the hub [the value of --url]
    #[arg(long, value_name = "URL")]
    pub(crate) audience: Option<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Check only this version
    #[arg(long, value_name = "VERSION")]
    pub(crate) mercure_version: Option<MercureVersion>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A version of Mercure, by the shape of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum MercureVersion {
    /// Drafts up to 7
    #[value(name = "0.x")]
    Zero,
    /// Draft 8
    #[value(name = "1.0")]
    One,
}

/// `tidings backup`.
#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// The folder of the copy, which must not exist yet
    #[arg(value_name = "COPY")]
    pub(crate) to: PathBuf,
    /// The folder that holds the history
    #[arg(
        long,
        value_name = "DIR",
        default_value = "tidings-data",
        env = "TIDINGS_DATA",
        hide_env_values = true
    )]
    pub(crate) data: PathBuf,
}

/// `tidings restore`.
#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// The folder that `tidings backup` wrote
    #[arg(value_name = "COPY")]
    pub(crate) from: PathBuf,
    /// The folder that will hold the history
    #[arg(
        long,
        value_name = "DIR",
        default_value = "tidings-data",
        env = "TIDINGS_DATA",
        hide_env_values = true
    )]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `tidings check`.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The configuration file
    #[arg(value_name = "FILE", env = "TIDINGS_CONFIG", hide_env_values = true)]
    pub(crate) file: Option<PathBuf>,
    /// Print the default configuration as a file to copy
    #[arg(long, conflicts_with = "file")]
    pub(crate) defaults: bool,
    /// Show which retention rule applies to events on this topic; repeatable
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Vec<String>,
}

/// `tidings completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// `tidings help`.
#[derive(Args, Debug)]
pub(crate) struct HelpArgs {
    /// A command, `commands`, `environment`, or `exit-codes`
    pub(crate) about: Option<String>,
}

/// `tidings man`.
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// The command; without it, the page of the whole program
    pub(crate) command: Option<String>,
}
