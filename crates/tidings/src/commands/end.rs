//! `tidings end`: end a topic, with a last event or without.

use http::Method;
use serde_json::Value;
use tidings_client::Body;

use crate::args::EndArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_client::HubClient;
use crate::output;
use crate::runtime::client_runtime;

pub(super) fn run(args: &EndArgs) -> Result<ExitCode, CliError> {
    if args.data.as_deref() == Some("") {
        let message = "the last event has no data";
        return Err(CliError::new(ExitCode::Usage, message)
            .hint("without DATA, the topic ends with an event of the type `end`"));
    }
    let hub = HubClient::new(&args.hub)?;
    let last = LastEvent {
        data: args.data.clone().unwrap_or_default(),
        event_type: args.event.as_deref(),
        id: args.id.as_deref(),
    };
    let answer = client_runtime()?.block_on(end(&hub, &args.topic, last))?;
    if answer["duplicate"] == true {
        output::remark("the topic had ended already");
    }
    match args.json {
        true => output::print_json(&format!("{answer}\n"))?,
        false => output::print_text(&format!("{}\n", answer["id"].as_str().unwrap_or("?")))?,
    };
    Ok(ExitCode::Success)
}

/// What a topic ends with. Without data: the hub's own event of type `end`.
#[derive(Default)]
pub(super) struct LastEvent<'a> {
    pub(super) data: String,
    pub(super) event_type: Option<&'a str>,
    pub(super) id: Option<&'a str>,
}

/// Ends a topic; what the hub says. To end it once more changes nothing.
pub(super) async fn end(
    hub: &HubClient,
    topic: &str,
    last: LastEvent<'_>,
) -> Result<Value, CliError> {
    let mut url = hub.at(["events", topic]);
    for (name, value) in [("event", last.event_type), ("id", last.id)] {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    let body = Body::from(bytes::Bytes::from(last.data));
    hub.ask(Method::DELETE, &url, body, ANSWER_BYTES_MAX).await
}

const ANSWER_BYTES_MAX: usize = 64 << 10;
