//! The URL of a hub, as people type it: perhaps without a scheme, perhaps with a path too many.

use tidings_client::ShownUrl;
use url::{Host, Url};

use crate::error::CliError;
use crate::exit_code::ExitCode;

/// The URL of a hub: `http` or `https`, a host, and perhaps the path that the hub is below.
///
/// # Errors
///
/// It is no such URL. A URL of something at the hub is rejected with the one of the hub.
pub(crate) fn parse(text: &str) -> Result<Url, CliError> {
    let text = completed(text);
    let wrong = || {
        let message = format!("{:?} is not the URL of a hub", ShownUrl(&text));
        CliError::new(ExitCode::Usage, message).hint("such as http://127.0.0.1:3000")
    };
    let url = Url::parse(&text).map_err(|error| wrong().because(error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong());
    }
    let segments: Vec<_> = url.path_segments().into_iter().flatten().collect();
    let route = segments.iter().position(|segment| ROUTES.contains(segment));
    if route.is_none() && url.query().is_none() && url.fragment().is_none() {
        return Ok(url);
    }
    let mut hub = url.clone();
    hub.set_path(&segments[..route.unwrap_or(segments.len())].join("/"));
    hub.set_query(None);
    hub.set_fragment(None);
    let hub = ShownUrl(hub.as_str()).to_string();
    let hub = hub.trim_end_matches('/');
    let message = match route {
        Some(at) => {
            let name = segments[at];
            format!("{:?} is the URL of /{name} at a hub, not of the hub", ShownUrl(&text))
        }
        None => format!("the URL of a hub has no query: {:?}", ShownUrl(&text)),
    };
    let hint = match url.query_pairs().any(|(name, _)| name == "token") {
        true => format!("give {hub}, and the token in TIDINGS_TOKEN"),
        false => format!("give {hub}"),
    };
    Err(CliError::new(ExitCode::Usage, message).hint(hint))
}

/// The text with a scheme: `http` for this machine, `https` for every other, since a token goes
/// there. A port alone is one of this machine.
pub(crate) fn completed(text: &str) -> String {
    let text = text.trim();
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_scheme = text.contains("://") && scheme.chars().all(|c| c.is_ascii_alphanumeric())
        || ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if is_scheme {
        return text.to_owned();
    }
    let rest = text.trim_start_matches('/');
    let after_colon = rest.strip_prefix(':').unwrap_or(rest);
    let port = after_colon.split('/').next().unwrap_or_default();
    if port.parse::<u16>().is_ok() {
        return format!("http://127.0.0.1:{after_colon}");
    }
    let plain = format!("http://{rest}");
    match Url::parse(&plain).is_ok_and(|url| is_here(&url)) {
        true => plain,
        false => format!("https://{rest}"),
    }
}

/// Whether the host of a URL is this machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// What a hub has directly below its URL: no proxy puts a hub there.
const ROUTES: [&str; 11] = [
    ".well-known",
    "connections",
    "demo",
    "docs",
    "events",
    "healthz",
    "metrics",
    "openapi.json",
    "readyz",
    "stats",
    "topics",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_missing_scheme_is_http_for_this_machine_and_https_for_every_other() {
        for (text, whole) in [
            ("127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("localhost:3000", "http://localhost:3000"),
            ("hub.localhost", "http://hub.localhost"),
            ("[::1]:3000", "http://[::1]:3000"),
            (":3000", "http://127.0.0.1:3000"),
            ("3000", "http://127.0.0.1:3000"),
            ("hub.example", "https://hub.example"),
            ("hub.example:3000/below", "https://hub.example:3000/below"),
            ("//hub.example", "https://hub.example"),
            ("10.0.0.7:3000", "https://10.0.0.7:3000"),
            ("http://hub.example", "http://hub.example"),
            ("HTTPS://hub.example", "HTTPS://hub.example"),
            ("ftp://hub.example", "ftp://hub.example"),
        ] {
            assert_eq!(completed(text), whole, "{text}");
        }
    }

    #[test]
    fn a_hub_may_be_below_a_path() {
        assert_eq!(parse("http://h/a/b/").unwrap().as_str(), "http://h/a/b/");
        assert_eq!(parse("h:1").unwrap().as_str(), "https://h:1/");
    }

    #[test]
    fn a_url_of_something_at_the_hub_is_rejected_with_the_one_of_the_hub() {
        for (text, hub) in [
            ("http://h/events", "give http://h"),
            ("http://h:3000/events/news/today?last=5", "give http://h:3000"),
            ("https://h/a/events/", "give https://h/a"),
            ("h.example/.well-known/x?topic=x", "give https://h.example"),
            ("http://h/demo/", "give http://h"),
            ("http://h/?token=secret", "give http://h, and the token in TIDINGS_TOKEN"),
            ("http://h/a?x=y", "give http://h/a"),
            ("http://h/#/topics", "give http://h"),
            ("ftp://h", "such as http://127.0.0.1:3000"),
            ("mailto:a", "such as"),
            ("", "such as"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.ends_with(hub) || hub == "such as" && error.contains(hub), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
