//! `Retry-After`: the wait that another server asks for. The client library, which depends on no
//! part of the hub, has a reader of its own.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{AsHeaderName, DATE, RETRY_AFTER};

/// The wait that an answer asks for, in either of the two forms (RFC 9110 §10.2.3): a number of
/// seconds, or a date. A date in the past means now. Any other form is ignored.
///
/// A date is compared with the server's own clock, its `Date` header, or else with `now`. The
/// caller bounds the wait: it can be [`Duration::MAX`].
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = text(headers, RETRY_AFTER)?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number too large to parse is longer than any wait.
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let date = self::text(headers, DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    Some(at.duration_since(date.unwrap_or(now)).unwrap_or_default())
}

fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const MOMENT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn wait(asked: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, asked.parse().unwrap());
        headers.extend(date.map(|date| (DATE, date.parse().unwrap())));
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:00 GMT").unwrap();
        retry_after(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wait_is_in_seconds_or_until_a_date_by_the_clock_of_the_server() {
        assert_eq!(wait("120", None), Some(120));
        assert_eq!(wait("99999999999999999999999", None), Some(u64::MAX));
        for date in [MOMENT, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(wait(date, None), Some(37), "{date}");
        }
        assert_eq!(wait(MOMENT, Some("Sun, 06 Nov 1994 08:49:30 GMT")), Some(7));
        assert_eq!(wait(MOMENT, Some("Sun, 06 Nov 1994 08:49:38 GMT")), Some(0));
    }

    #[test]
    fn what_is_neither_form_says_nothing() {
        for asked in ["", "soon", "-1", "+5", "1.5"] {
            assert_eq!(wait(asked, None), None, "{asked}");
        }
    }
}
