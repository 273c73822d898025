//! `HubClient`: the hub that a command speaks to, by its API.

use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;
use tidings_client::{Body, HttpTransport, Publisher, PublisherBuilder, ShownUrl, Transport as _};
use tokio::time::timeout;
use url::Url;

use crate::args::HubUrl;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_url;

/// A hub by its URL, with the token for it.
#[derive(Clone, Debug)]
pub(crate) struct HubClient {
    url: Url,
    token: Option<String>,
    transport: HttpTransport,
}

impl HubClient {
    /// The hub that the arguments name.
    ///
    /// # Errors
    ///
    /// They name none.
    pub(crate) fn new(args: &HubUrl) -> Result<Self, CliError> {
        Ok(Self {
            url: hub_url::parse(&args.url)?,
            token: args.token.clone(),
            transport: args.trust.transport()?,
        })
    }

    /// The URL, without a slash at its end.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The URL without secrets.
    pub(crate) fn shown(&self) -> ShownUrl<'_> {
        ShownUrl(self.url())
    }

    pub(crate) fn transport(&self) -> HttpTransport {
        self.transport.clone()
    }

    /// Whether a URL is of the hub's own origin: there, and nowhere else, goes its token.
    pub(crate) fn is_origin_of(&self, url: &str) -> bool {
        Url::parse(url).is_ok_and(|url| {
            let origin = url.origin();
            origin.is_tuple() && origin == self.url.origin()
        })
    }

    /// The URL of a path at the hub.
    pub(crate) fn at<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> Url {
        let mut url = self.url.clone();
        // Only a URL without a host has no segments.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// A publisher to the hub.
    pub(crate) fn publisher(&self) -> PublisherBuilder {
        let builder = Publisher::builder(self.url()).transport(self.transport());
        match &self.token {
            Some(token) => builder.bearer_token(token),
            None => builder,
        }
    }

    /// Asks the hub for JSON, and reads at most `bytes_max` of it. Null if there is no body.
    ///
    /// # Errors
    ///
    /// The hub cannot be reached, or refuses.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: &Url,
        body: Body,
        bytes_max: usize,
    ) -> Result<Value, CliError> {
        let mut request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header("accept", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(body).map_err(|error| {
            let message = format!("{:?} and the token make no request", self.shown());
            CliError::new(ExitCode::Usage, message).because(error)
        })?;
        let exchange = async {
            let (head, body) = self.transport.send(request).await?.into_parts();
            let body = Limited::new(body, bytes_max).collect().await?.to_bytes();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((head.status, body))
        };
        let answered = timeout(PATIENCE, exchange).await;
        let answered = answered.unwrap_or_else(|late| Err(late.into()));
        let (status, body) = answered.map_err(|error| self.unreached(error))?;
        let json = serde_json::from_slice::<Value>(&body);
        if !status.is_success() {
            return Err(refused(status, &json.unwrap_or_default()));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        json.map_err(|error| {
            let message = format!("what answers at {} is no hub", self.shown());
            CliError::new(ExitCode::Failure, message).because(error)
        })
    }

    /// The hub cannot be reached.
    pub(crate) fn unreached(
        &self,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> CliError {
        CliError::new(ExitCode::Unreached, format!("cannot ask {}", self.shown()))
            .because(error)
            .hint("is a hub running there? start one with `tidings serve`, or give its --url")
    }
}

/// The hub's problem (RFC 9457) as an error.
fn refused(status: StatusCode, problem: &Value) -> CliError {
    let text = |name: &str| problem[name].as_str().unwrap_or_default();
    let said = match (text("detail"), text("title")) {
        ("", title) => title,
        (detail, _) => detail,
    };
    let message = match said {
        "" => format!("the hub refused ({status})"),
        said => format!("the hub refused ({status}): {said}"),
    };
    let error = CliError::new(ExitCode::Refused, message);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => error.hint(TOKEN_HINT),
        _ => error,
    }
}

/// What to do about 401 and 403.
pub(crate) const TOKEN_HINT: &str =
    "give a token with --token or TIDINGS_TOKEN; see `tidings token`";

/// A healthy hub answers at once.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn client(url: &str) -> HubClient {
        let args = HubUrl { url: url.to_owned(), token: None, trust: Default::default() };
        HubClient::new(&args).unwrap()
    }

    #[test]
    fn a_token_stays_with_its_origin() {
        let is_origin = |hub: &str, url: &str| client(hub).is_origin_of(url);
        assert!(is_origin("http://h", "http://h:80/a?topic=a"));
        assert!(!is_origin("http://h/", "https://h/"));
        assert!(!is_origin("http://h/", "http://h.example/"));
        assert!(!is_origin("http://h/", "nonsense"));
    }

    #[test]
    fn a_topic_is_one_segment_of_the_path_whatever_is_in_it() {
        let url = client("http://h/below/").at(["events", "a/b?c #d"]);
        assert_eq!(url.as_str(), "http://h/below/events/a%2Fb%3Fc%20%23d");
    }
}
