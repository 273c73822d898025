//! Why events could not be published.

use std::error::Error;
use std::fmt;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::response::content_coding;
use crate::{Cause, Refusal, ShownUrl};

/// Why events could not be published.
#[derive(Debug)]
#[non_exhaustive]
pub enum PublishError {
    /// The hub rejected the request. A single event is then not published; of several, those before
    /// the rejected one may be.
    Refused(Box<Problem>),
    /// The hub could not be reached. Nothing is published.
    Unreached {
        /// Why the last try failed.
        cause: Cause,
        /// How often it was tried again.
        retries: u32,
    },
    /// The hub was reached, but the fate of the events is unknown: they may or may not be
    /// published. Publishing them again with the same ids is safe.
    Unanswered {
        /// Why the last try failed.
        cause: Cause,
        /// How often it was tried again.
        retries: u32,
    },
    /// A server that does not speak the hub's API answered with success.
    NotAHub(Box<Refusal>),
    /// This [stream](crate::PublishStream) has failed before, and publishes nothing more. The first
    /// error says what happened to its events.
    AlreadyFailed,
}

impl PublishError {
    /// The hub's problem, if it rejected the request.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(_) => f.write_str("the hub rejected the request"),
            Self::Unreached { retries, .. } => {
                f.write_str("the hub cannot be reached")?;
                tries(f, *retries)
            }
            Self::Unanswered { retries, .. } => {
                f.write_str("the hub did not say whether it published")?;
                tries(f, *retries)
            }
            Self::NotAHub(refusal) => not_a_hub(f, refusal),
            Self::AlreadyFailed => f.write_str("this stream of events has failed before"),
        }
    }
}

/// How often it was tried in vain, at the end of a message.
pub(super) fn tries(f: &mut fmt::Formatter<'_>, retries: u32) -> fmt::Result {
    match retries {
        0 => Ok(()),
        1 => f.write_str(", even with a second try"),
        n => write!(f, ", even with {n} more tries"),
    }
}

pub(super) fn not_a_hub(f: &mut fmt::Formatter<'_>, refusal: &Refusal) -> fmt::Result {
    let url = ShownUrl(&refusal.url);
    write!(f, "what answered at {url} does not speak the hub's api")?;
    match content_coding(&refusal.headers) {
        Some(coding) => write!(f, " (Content-Encoding: {coding})"),
        None => Ok(()),
    }
}

impl Error for PublishError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(problem) => Some(&**problem),
            Self::Unreached { cause, .. } | Self::Unanswered { cause, .. } => Some(cause),
            Self::NotAHub(_) | Self::AlreadyFailed => None,
        }
    }
}

/// The hub's reason for a rejection: problem details (RFC 9457), or as much of them as the answer
/// has.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// The status of the answer.
    #[serde(skip)]
    pub status: StatusCode,
    /// The URL that answered, after redirects.
    #[serde(skip)]
    pub url: String,
    /// Code for programs; empty if the answer has none.
    #[serde(default)]
    pub code: String,
    /// The problem in a sentence.
    #[serde(default)]
    pub title: String,
    /// The problem in this case, and what to do.
    #[serde(default)]
    pub detail: String,
    /// All other members of the answer.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

impl Problem {
    /// Reads the body of an answer, whatever it is.
    pub(super) fn from_answer(status: StatusCode, url: &str, body: &[u8]) -> Self {
        let problem = serde_json::from_slice(body).ok();
        let mut problem: Self = problem.unwrap_or_else(|| Self {
            status,
            url: String::new(),
            code: String::new(),
            title: String::new(),
            detail: String::from_utf8_lossy(body).trim().to_owned(),
            members: Map::new(),
        });
        problem.status = status;
        url.clone_into(&mut problem.url);
        problem
    }

    /// Describes a redirect that was not followed; the body that comes with it says less.
    pub(super) fn redirect(&mut self, location: Option<&str>) {
        self.title = "a redirect that a publish does not follow".to_owned();
        self.detail = match location {
            None => "it names no place that can be requested".to_owned(),
            Some(location) => format!(
                "it leads to {}; publish there, or have the server answer 307 or 308",
                ShownUrl(location)
            ),
        };
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        for part in [&self.title, &self.detail] {
            if !part.is_empty() {
                write!(f, ": {part}")?;
            }
        }
        Ok(())
    }
}

impl Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problem_details_are_read_and_the_rest_is_kept() {
        let problem = Problem::from_answer(
            StatusCode::BAD_REQUEST,
            "http://h/",
            br#"{"code":"bad-line","title":"A line is wrong","detail":"no data","line":3}"#,
        );
        assert_eq!(problem.code, "bad-line");
        assert_eq!(problem.members["line"], 3);
        assert_eq!(problem.to_string(), "400 Bad Request: A line is wrong: no data");
    }

    #[test]
    fn an_answer_that_is_no_problem_document_is_shown_as_it_is() {
        let problem =
            Problem::from_answer(StatusCode::BAD_GATEWAY, "http://h/", b"<h1>Bad Gateway</h1>\n");
        assert_eq!(problem.detail, "<h1>Bad Gateway</h1>");
        assert_eq!(problem.code, "");
    }
}
