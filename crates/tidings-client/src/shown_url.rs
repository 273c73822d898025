//! `ShownUrl`: a URL for display, without secrets.

use std::borrow::Cow;
use std::fmt;

use url::Url;

/// A URL for display, to people or in a log, without its secrets.
///
/// The user and password are replaced by `***`, as is the value of every parameter of the query
/// whose name speaks of a secret (`token`, `authorization`, `api_key`, …); a fragment is left out.
/// A text that is not a URL, for example because of a typing error, loses everything before its
/// last `@`.
///
/// ```
/// use tidings_client::ShownUrl;
///
/// let shown = ShownUrl("https://me:secret@hub.example/events?topic=a&token=x").to_string();
/// assert_eq!(shown, "https://***@hub.example/events?topic=a&token=***");
/// ```
#[derive(Clone, Copy)]
pub struct ShownUrl<'a>(pub &'a str);

impl fmt::Display for ShownUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(self.0) {
            Ok(url) if url.has_host() => f.write_str(&shown(self.0, url)),
            _ => f.write_str(&without_credentials(self.0)),
        }
    }
}

impl fmt::Debug for ShownUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

/// As it was given, unless there is something to hide.
fn shown(given: &str, mut url: Url) -> String {
    let before = url.clone();
    url.set_fragment(None);
    if !url.username().is_empty() || url.password().is_some() {
        // Neither can fail: only URLs without a host refuse.
        let _ = url.set_password(None);
        let _ = url.set_username("***");
    }
    if let Some(query) = url.query() {
        let pairs = query.split('&').map(shown_pair).collect::<Vec<_>>().join("&");
        url.set_query(Some(&pairs));
    }
    if url == before { given.to_owned() } else { url.into() }
}

/// A parameter of a query, which keeps its name.
fn shown_pair(pair: &str) -> Cow<'_, str> {
    let Some((name, _)) = pair.split_once('=') else { return pair.into() };
    // As the server will read it: `%74oken` is `token`.
    let mut read = url::form_urlencoded::parse(name.as_bytes());
    let read = read.next().map(|(name, _)| name.to_ascii_lowercase()).unwrap_or_default();
    if SECRET_NAMES.iter().any(|secret| read.contains(secret)) {
        return format!("{name}=***").into();
    }
    pair.into()
}

/// For text that cannot be parsed: shows too little rather than too much.
fn without_credentials(text: &str) -> Cow<'_, str> {
    let Some((before, rest)) = text.rsplit_once('@') else { return text.into() };
    let scheme = before.find("://").map_or("", |end| &before[..end + 3]);
    format!("{scheme}***@{rest}").into()
}

/// Parts of the names of parameters whose values are secrets.
const SECRET_NAMES: [&str; 12] = [
    "token", "auth", "secret", "passw", "pwd", "key", "jwt", "sig", "cred", "session", "code",
    "bearer",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown_however_the_url_is_written() {
        for url in [
            "http://user:secret@h/x",
            "http://secret@h/x",
            "http:user:secret@h/x",
            "http:/user:secret@h/x",
            "http:\\\\user:secret@h/x",
            "HTTP://user:se@cret@h/x",
            "http://user:se cret@h/x",
            "http://user:%73ecret@h/x",
        ] {
            assert_eq!(ShownUrl(url).to_string(), "http://***@h/x", "{url}");
        }
    }

    #[test]
    fn a_password_in_a_url_with_a_mistake_is_not_shown_either() {
        for url in
            ["http://user:secret@", "http://user:secret@h:port/", "user:secret@h", "//u:secret@h"]
        {
            assert!(!ShownUrl(url).to_string().contains("secret"), "{url}");
        }
    }

    #[test]
    fn secrets_in_a_query_are_not_shown_and_the_rest_is() {
        let shown = |url| ShownUrl(url).to_string();
        assert_eq!(
            shown("http://h/e?topic=a%20b&token=x&Authorization=y&%74oken=z&last=5#t"),
            "http://h/e?topic=a%20b&token=***&Authorization=***&%74oken=***&last=5"
        );
        assert_eq!(shown("http://h/e?x-api-key=x"), "http://h/e?x-api-key=***");
    }

    #[test]
    fn a_url_without_secrets_is_shown_as_it_is() {
        for url in
            ["http://h:3000/events/a@b?topic=x", "https://h", "HTTP://H", "/events", "no url"]
        {
            assert_eq!(ShownUrl(url).to_string(), url);
        }
    }
}
