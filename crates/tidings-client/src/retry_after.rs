//! `Retry-After`: the wait that a server asks for.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{AsHeaderName, DATE, RETRY_AFTER};

use crate::limits::RECONNECTION_TIME_MAX;

/// The wait that an answer asks for, in either of the two forms (RFC 9110 §10.2.3): a number of
/// seconds, or a date.
///
/// A date is compared with the server's own clock, its `Date` header, so that a wrong clock does no
/// harm; without that header it is compared with `wall_clock`. A date in the past means now. Any
/// other form is ignored.
pub(crate) fn retry_after(headers: &HeaderMap, wall_clock: SystemTime) -> Option<Duration> {
    let text = text(headers, RETRY_AFTER)?;
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number too large to parse is longer than the longest wait.
        text.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        let at = httpdate::parse_http_date(text).ok()?;
        let now = self::text(headers, DATE).and_then(|date| httpdate::parse_http_date(date).ok());
        at.duration_since(now.unwrap_or(wall_clock)).unwrap_or_default()
    };
    Some(wait.min(RECONNECTION_TIME_MAX))
}

/// The date, for answers that name one.
#[allow(clippy::disallowed_methods)] // nothing else here depends on it
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::HeaderValue;

    use super::*;

    fn wait(retry_after_text: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after_text).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        let wall_clock = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:00 GMT").unwrap();
        retry_after(&headers, wall_clock).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wait_is_a_number_of_seconds_and_at_most_the_longest() {
        assert_eq!(wait("120", None), Some(120));
        assert_eq!(wait(" 0 ", None), Some(0));
        for long in ["99999999", "99999999999999999999999"] {
            assert_eq!(wait(long, None), Some(RECONNECTION_TIME_MAX.as_secs()));
        }
    }

    #[test]
    fn a_wait_is_a_date_in_any_of_the_three_forms() {
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(wait(date, None), Some(37), "{date}");
        }
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT", None), Some(0));
    }

    #[test]
    fn a_date_is_read_by_the_clock_of_the_server_that_wrote_it() {
        let date = Some("Sun, 06 Nov 1994 08:49:30 GMT");
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT", date), Some(7));
    }

    #[test]
    fn what_is_neither_form_says_nothing() {
        for text in ["", "soon", "-1", "+5", "1.5"] {
            assert_eq!(wait(text, None), None, "{text}");
        }
    }
}
