//! `tidings erase`: erase an event, the events of a key, or all events of a topic.

use std::pin::pin;
use std::time::Duration;

use serde_json::json;
use tidings_client::{EraseError, EraseTarget, Erased, EventId};
use tokio::time::timeout;

use super::publish::{cannot_open, rejected};
use crate::args::EraseArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_client::HubClient;
use crate::output;
use crate::runtime::client_runtime;

pub(super) fn run(args: &EraseArgs) -> Result<ExitCode, CliError> {
    let id = args.id.as_deref().map(EventId::new).transpose().map_err(|error| {
        CliError::new(ExitCode::Usage, "--id is not the id of an event").because(error)
    })?;
    let target = match (&id, &args.key) {
        (Some(id), _) => EraseTarget::Event(id),
        (None, Some(key)) => EraseTarget::Key(key),
        // The arguments say `--all`, or there would be an error.
        (None, None) => EraseTarget::Topic,
    };
    let hub = HubClient::new(&args.hub)?;
    let Erased { events, repeated, note, .. } =
        client_runtime()?.block_on(erase(&hub, &args.topic, target))?;
    // Otherwise a 0 would look as if the events had been erased before this command.
    if repeated {
        output::remark(
            "the request was sent more than once: an answer was lost, or erasing took long; events \
             that an earlier one erased are not counted",
        );
    }
    if events == 0 {
        output::remark("nothing was left to erase");
    }
    if args.json {
        let mut said = json!({ "erased": events });
        if repeated {
            said["repeated"] = true.into();
        }
        if let Some(note) = note {
            said["note"] = note.into();
        }
        output::print_json(&format!("{said}\n"))?;
    } else {
        if let Some(note) = note {
            output::remark(&format!("note: {note}"));
        }
        output::print_text(&format!("{events}\n"))?;
    }
    Ok(ExitCode::Success)
}

async fn erase(hub: &HubClient, topic: &str, target: EraseTarget<'_>) -> Result<Erased, CliError> {
    let publisher = hub.publisher().build().map_err(|error| cannot_open(error, hub))?;
    let mut erasure = pin!(publisher.erase(topic, target));
    let erased = match timeout(QUIET_MAX, &mut erasure).await {
        Ok(erased) => erased,
        Err(_) => {
            output::remark("not erased yet; a backup may come first, and large files take longer");
            erasure.await
        }
    };
    erased.map_err(|error| match error {
        EraseError::Refused(problem) => rejected(*problem, hub),
        error => CliError::new(ExitCode::Unreached, format!("cannot erase at {}", hub.shown()))
            .because(error)
            .hint("is a hub running there? start one with `tidings serve`, or give its --url"),
    })
}

/// Time after which a terminal shows that the command still waits.
const QUIET_MAX: Duration = Duration::from_secs(5);
