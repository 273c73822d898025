//! `tidings remove`: remove a key from the state of a topic.

use serde_json::json;

use super::publish::{cannot_open, rejected};
use crate::args::RemoveArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_client::HubClient;
use crate::output;
use crate::runtime::client_runtime;
use tidings_client::{EventId, PublishError};

pub(super) fn run(args: &RemoveArgs) -> Result<ExitCode, CliError> {
    let version = args.if_version.as_deref().map(EventId::new).transpose().map_err(|error| {
        CliError::new(ExitCode::Usage, "--if-version is not the id of an event").because(error)
    })?;
    let hub = HubClient::new(&args.hub)?;
    let id = client_runtime()?.block_on(remove(&hub, args, version.as_ref()))?;
    match args.json {
        true => output::print_json(&format!("{}\n", json!({ "id": id.as_str() })))?,
        false => output::print_text(&format!("{id}\n"))?,
    };
    Ok(ExitCode::Success)
}

async fn remove(
    hub: &HubClient,
    args: &RemoveArgs,
    version: Option<&EventId>,
) -> Result<EventId, CliError> {
    let publisher = hub.publisher().build().map_err(|error| cannot_open(error, hub))?;
    let removed = match version {
        Some(version) => publisher.remove_if_version(&args.topic, &args.key, version).await,
        None => publisher.remove(&args.topic, &args.key).await,
    };
    removed.map_err(|error| match error {
        PublishError::Refused(problem) => rejected(*problem, hub),
        error => {
            let message = format!("cannot remove the key at {}", hub.shown());
            CliError::new(ExitCode::Unreached, message)
                .because(error)
                .hint("is a hub running there? start one with `tidings serve`, or give its --url")
        }
    })
}
