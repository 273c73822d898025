//! `tidings health`: whether a hub is ready, for supervisors that can only run a program and check
//! its exit code.

use std::net::SocketAddr;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use tidings_client::{Body, HttpTransport, ShownUrl, Transport};
use url::Url;

use crate::args::HealthArgs;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::foreign_text::harmless;
use crate::runtime::client_runtime;
use crate::settings::{Settings, read_file};
use crate::{env, hub_url, output};

pub(super) fn run(args: &HealthArgs) -> Result<ExitCode, CliError> {
    let hub = match &args.url {
        Some(url) => url.clone(),
        None => served_here(args)?,
    };
    let url = ready_url(hub_url::parse(&hub)?);
    let transport = args.trust.transport()?;
    let state = client_runtime()?.block_on(async {
        let asked = tokio::time::timeout(PATIENCE, ask(&transport, &hub, &url)).await;
        asked.unwrap_or_else(|late| Err(unreached(&hub, late)))
    })?;
    output::print(format!("{state}\n").as_bytes())?;
    Ok(if state == READY { ExitCode::Success } else { ExitCode::Failure })
}

/// A healthy hub answers at once; one whose workers do not respond takes two seconds for each.
const PATIENCE: Duration = Duration::from_secs(5);

/// The answer of a hub that is ready, and the line that is printed for it.
const READY: &str = "ready";

/// The hub that `tidings serve` is, or would be, with this configuration and environment.
fn served_here(args: &HealthArgs) -> Result<String, CliError> {
    let file = args.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
    let settings = Settings::resolve(vec![file, env::layer()]).map_err(CliError::settings)?;
    let first = settings.hub.server.http.listen.first().ok_or_else(|| {
        CliError::new(ExitCode::Usage, "the configuration has no address to listen on")
            .hint("name the hub with --url or TIDINGS_URL")
    })?;
    let scheme = if settings.hub.certificate.certificate.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{}", reached_at(*first)))
}

/// The address by which this machine reaches a hub that listens at `address`.
fn reached_at(address: SocketAddr) -> String {
    let port = address.port();
    match address {
        _ if !address.ip().is_unspecified() => address.to_string(),
        SocketAddr::V4(_) => format!("127.0.0.1:{port}"),
        // It takes IPv4 too, and a container may have nothing else.
        SocketAddr::V6(_) => format!("localhost:{port}"),
    }
}

/// `{hub}/readyz`.
fn ready_url(mut hub: Url) -> Url {
    // Only a URL without a host has no segments.
    if let Ok(mut path) = hub.path_segments_mut() {
        path.pop_if_empty().push("readyz");
    }
    hub
}

/// The hub's answer: that it is ready, or why it is not.
async fn ask(transport: &HttpTransport, hub: &str, url: &Url) -> Result<String, CliError> {
    let request = Request::get(url.as_str()).body(Body::empty()).map_err(|error| {
        CliError::new(ExitCode::Usage, format!("{:?} is not a valid URL", ShownUrl(hub)))
            .because(error)
    })?;
    let answer = transport.send(request).await;
    let (head, body) = answer.map_err(|error| unreached(hub, error))?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| unreached(hub, error))?.to_bytes();
    let told = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let reasons: Vec<_> = told["reasons"].as_array().into_iter().flatten().collect();
    match told["status"].as_str() {
        Some(READY) if head.status.is_success() => Ok(READY.to_owned()),
        Some(state) if !reasons.is_empty() => {
            let reasons: Vec<_> = reasons.iter().filter_map(|reason| reason.as_str()).collect();
            Ok(harmless(&format!("{state}: {}", reasons.join(", "))))
        }
        _ => {
            let message = format!("the server at {} ({}) is not a hub", ShownUrl(hub), head.status);
            Err(CliError::new(ExitCode::Failure, message))
        }
    }
}

/// The answer of a hub is a line.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A hub that cannot be reached counts as not ready, so the exit code is the same.
fn unreached(hub: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CliError {
    CliError::new(ExitCode::Failure, format!("cannot ask {}", ShownUrl(hub)))
        .because(error)
        .hint("is a hub running there? name it with --url or TIDINGS_URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_on_every_address_is_asked_on_loopback() {
        let at = |text: &str| reached_at(text.parse().expect("an address"));
        assert_eq!(at("0.0.0.0:3000"), "127.0.0.1:3000");
        assert_eq!(at("[::]:80"), "localhost:80");
        assert_eq!(at("192.0.2.7:3000"), "192.0.2.7:3000");
        assert_eq!(at("[2001:db8::7]:80"), "[2001:db8::7]:80");
    }

    #[test]
    fn a_hub_below_a_path_is_asked_below_that_path() {
        let url = |hub: &str| ready_url(Url::parse(hub).expect("a URL")).to_string();
        assert_eq!(url("http://h:1"), "http://h:1/readyz");
        assert_eq!(url("https://h/a/"), "https://h/a/readyz");
    }
}
