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
    let hub = HubClient::new(&args.hub)?;
    let id = client_runtime()?.block_on(remove(&hub, args))?;
    match args.json {
        true => output::print_json(&format!("{}\n", json!({ "id": id.as_str() })))?,
        false => output::print_text(&format!("{id}\n"))?,
    };
    Ok(ExitCode::Success)
}

async fn remove(hub: &HubClient, args: &RemoveArgs) -> Result<EventId, CliError> {
    let publisher = hub.publisher().build().map_err(|error| cannot_open(error, hub))?;
    publisher.remove(&args.topic, &args.key).await.map_err(|error| match error {
        PublishError::Refused(problem) => rejected(*problem, hub),
        error => {
            let message = format!("cannot remove the key at {}", hub.shown());
            CliError::new(ExitCode::Unreached, message)
                .because(error)
                .hint("is a hub running there? start one with `tidings serve`, or give its --url")
        }
    })
}
