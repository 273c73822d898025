//! The words of `tidings health`.

use std::path::PathBuf;

use clap::Args;

use crate::trust::TrustArgs;

/// `tidings health`.
#[derive(Args, Debug)]
pub(crate) struct HealthArgs {
    /// The hub [default: where `tidings serve` listens with this configuration and environment]
    #[arg(long, env = "TIDINGS_URL", hide_env_values = true)]
    pub(crate) url: Option<String>,
    /// The configuration file of the hub, for its address
    #[arg(long, value_name = "FILE", env = "TIDINGS_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

pub(super) const HEALTH_ABOUT: &str = "\
Check whether a hub is ready, for health checks

A hub is ready if it accepts events and subscribers, according to `GET /readyz`; no token is \
needed. One line says `ready`, or `not ready` with the reasons. As health checks of containers \
expect, the exit code is 0 if the hub is ready; it is 1 if the hub is not ready, cannot be \
reached, or does not answer within 5 seconds.

Without --url, the request goes to the first address of `listen` in the environment or the \
configuration. For a hub with TLS, give the --url with the name on its certificate.";

pub(super) const HEALTH_EXAMPLES: &str = "\
Examples:
  tidings health
  tidings health --url https://hub.example
  HEALTHCHECK CMD [\"/tidings\", \"health\"]         in a Dockerfile; the image has it";
