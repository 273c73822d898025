//! The words of `tidings health`.

use std::path::PathBuf;

use clap::Args;

use crate::trust::TrustArgs;

/// `tidings health`.
#[derive(Args, Debug)]
pub(crate) struct HealthArgs {
    /// The hub [the one that `tidings serve` is with this configuration and environment]
    #[arg(long, env = "TIDINGS_URL", hide_env_values = true)]
    pub(crate) url: Option<String>,
    /// The configuration of the hub, to take its address from
    #[arg(long, value_name = "FILE", env = "TIDINGS_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

pub(super) const HEALTH_ABOUT: &str = "\
Check whether a hub is ready, for health checks

Ready is a hub that takes events and subscribers, as `GET /readyz` tells; it needs no token. One \
line says `ready`, or `not ready` and why. The exit code is 0 if it is ready, and 1 if it is not, \
cannot be reached, or has not answered within 5 seconds: what the health check of a container \
wants.

Without --url it asks the first address of `listen`, as `tidings serve` would find it in the \
environment and the configuration. A hub with TLS must be asked by the name on its certificate.";

pub(super) const HEALTH_EXAMPLES: &str = "\
Examples:
  tidings health
  tidings health --url https://hub.example
  HEALTHCHECK CMD [\"/tidings\", \"health\"]         in a Dockerfile: the image has it";
