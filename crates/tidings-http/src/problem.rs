//! Errors as clients see them (RFC 9457): status, stable code, public sentence, and what to do. The
//! private cause goes to the log and nowhere else.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::answer;
use crate::response_body::Response;

/// An error as a client sees it. Boxed to one pointer, so that success stays fast.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: Code,
    detail: Cow<'static, str>,
    members: Map<String, Value>,
    headers: HeaderMap,
    linger: Option<Linger>,
}

/// Set on a response that leaves before its request has come whole: its connection ends, and what
/// still comes is read for this time, not for [`LINGER_MAX`](crate::limits::LINGER_MAX).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linger(pub(crate) Duration);

impl Problem {
    /// A problem with this code, and what to do about it.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            code,
            detail: detail.into(),
            members: Map::new(),
            headers: HeaderMap::new(),
            linger: None,
        }))
    }

    /// Adds a member for programs to read.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header that goes with the status.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Ends the connection of a publisher that is still sending, after this time.
    #[must_use]
    pub fn reading_on_for(mut self, time: Duration) -> Self {
        self.0.linger = Some(Linger(time));
        self
    }

    /// Names the item that is wrong, such as line 17 or event 17.
    #[must_use]
    pub fn at(mut self, kind: &str, number: u64) -> Self {
        self.0.detail = format!("{kind} {number}: {}", self.0.detail).into();
        self.with(kind, number)
    }

    /// The kind of problem.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What to do about it.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The value of a header that goes with the status.
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.0.headers.get(name)
    }

    pub(crate) fn to_json(&self) -> String {
        let mut json = Map::new();
        json.insert("type".into(), format!("urn:tidings:{}", self.0.code.name()).into());
        json.insert("title".into(), self.0.code.title().into());
        json.insert("status".into(), self.0.code.status().as_u16().into());
        json.insert("detail".into(), self.detail().into());
        json.insert("code".into(), self.0.code.name().into());
        json.extend(self.0.members.clone());
        Value::Object(json).to_string()
    }

    /// The response that says so.
    pub fn into_response(self) -> Response {
        let status = self.0.code.status();
        let mut response = answer::whole(status, PROBLEM_JSON, self.to_json());
        if let Some(linger) = self.0.linger {
            response.extensions_mut().insert(linger);
        }
        let headers = response.headers_mut();
        headers.extend(self.0.headers);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static("10"));
        }
        response
    }
}

/// The media type of problem details.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// Every kind of problem. The names are part of the interface and are never changed.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $status:ident $name:literal $title:literal;)*) => {
        /// The kind of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The public sentence.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                }
            }

            /// The status of its response.
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)*
                }
            }
        }
    };
}

codes! {
    /// The path or a `topic` is not a topic that one can publish to.
    InvalidTopic BAD_REQUEST "invalid_topic" "This is not a valid topic.";
    /// The path or `?topic=` is not a topic or pattern that one can subscribe to.
    InvalidMatcher BAD_REQUEST "invalid_matcher" "This is not a valid topic or topic pattern.";
    /// An event type or id is empty, too long, reserved, or holds a character that would break the
    /// stream.
    InvalidField BAD_REQUEST "invalid_field" "An event cannot have this type or id.";
    /// The query has a parameter that is unknown, repeated, or in conflict with another.
    InvalidQuery BAD_REQUEST "invalid_query" "The query is not understood.";
    /// A parameter of the query has an invalid value.
    InvalidParameter BAD_REQUEST "invalid_parameter" "A parameter has an invalid value.";
    /// A header or a cookie with a credential is there twice, or too long to be passed on to a
    /// backend.
    InvalidCredential BAD_REQUEST "invalid_credential" "The credential is not understood.";
    /// Text that must be UTF-8 is not.
    InvalidUtf8 BAD_REQUEST "invalid_utf8" "The text is not UTF-8.";
    /// A line of a batch is not a valid event; `line` says which.
    InvalidLine BAD_REQUEST "invalid_line" "A line of the batch is not a valid event.";
    /// A piece has no text that could be added to the value of its key.
    InvalidPiece UNPROCESSABLE_ENTITY "invalid_piece" "The event has nothing to append.";
    /// The request was not sent over TLS.
    TlsRequired BAD_REQUEST "tls_required" "Only TLS is accepted here.";
    /// The request names no host, more than one, or an invalid one.
    InvalidHost BAD_REQUEST "invalid_host" "The request does not name one valid host.";
    /// An open hub was requested under a foreign name.
    HostNotAllowed MISDIRECTED_REQUEST "host_not_allowed" "The hub does not answer for this host.";
    /// The body ended before its announced end, or violates the framing of HTTP.
    TruncatedBody BAD_REQUEST "truncated_body" "The body is incomplete.";
    /// There is no token, and one is required.
    TokenRequired UNAUTHORIZED "token_required" "A token is required.";
    /// The token is not valid; the detail says why.
    TokenInvalid UNAUTHORIZED "token_invalid" "The token is not accepted.";
    /// The signature of a link is not valid; the detail says which check failed.
    LinkInvalid UNAUTHORIZED "link_invalid" "The link is not accepted.";
    /// The link has ended.
    LinkExpired UNAUTHORIZED "link_expired" "The link has expired.";
    /// The link ends later than the hub allows.
    LinkTooLong UNAUTHORIZED "link_too_long" "The link is good for too long.";
    /// The cookie of a session is good no more, and what is not public needs one.
    SessionExpired UNAUTHORIZED "session_expired" "The session has ended.";
    /// The grant does not fit into a cookie.
    SessionTooLarge BAD_REQUEST "session_too_large" "The grant is too long for a session.";
    /// The session was started by a page of another origin.
    SessionOrigin FORBIDDEN "session_origin" "The session belongs to another page.";
    /// The handle is not that of the stream.
    HandleInvalid FORBIDDEN "handle_invalid" "The handle is not that of the stream.";
    /// The token is of another user than the stream.
    SubjectDiffers CONFLICT "subject_differs" "The token is of another user.";
    /// The stream was not opened with a token that ends, or the credential is none.
    NotRenewable CONFLICT "not_renewable" "The stream is not renewed with a token.";
    /// A session or a stream is renewed too often.
    TooManyRenewals TOO_MANY_REQUESTS "too_many_renewals" "The limit for renewals is reached.";
    /// The token is valid, but not for this topic.
    NotGranted FORBIDDEN "not_granted" "The token does not allow this.";
    /// The operator's backend does not allow this.
    NotAuthorized FORBIDDEN "not_authorized" "The backend does not allow this.";
    /// An operator keeps the sender away for a while.
    Denied FORBIDDEN "denied" "Access is denied for a while.";
    /// A web page of another origin tried to use the hub.
    OriginNotAllowed FORBIDDEN "origin_not_allowed" "Pages of this origin may not use the hub.";
    /// There is nothing at this path.
    NotFound NOT_FOUND "not_found" "There is nothing here.";
    /// The topic has no events.
    TopicUnknown NOT_FOUND "topic_unknown" "The topic has no events.";
    /// There is no event to be erased.
    EventUnknown NOT_FOUND "event_unknown" "There is no such event.";
    /// The key is not in the state of the topic.
    KeyUnknown NOT_FOUND "key_unknown" "The key is not in the state of the topic.";
    /// No current or recent subscriber has this name.
    ConnectionUnknown NOT_FOUND "connection_unknown" "There is no such connection.";
    /// The path does not support this method; `Allow` lists those that it does.
    MethodNotAllowed METHOD_NOT_ALLOWED "method_not_allowed"
        "This path does not support the method.";
    /// The client accepts neither an event stream nor JSON.
    NotAcceptable NOT_ACCEPTABLE "not_acceptable" "No representation is acceptable to the client.";
    /// The id of the event is that of another event on its topic.
    IdReused CONFLICT "id_reused" "Another event on the topic has this id.";
    /// The event with this id was erased, and is not published again.
    EventErased CONFLICT "event_erased" "The event with this id was erased.";
    /// The value of the key grows at another place, has no string there, or is not whole.
    AppendMismatch CONFLICT "append_mismatch" "The event cannot be appended to the value.";
    /// Another client ended the topic of the body while the body was being sent.
    TopicEnded CONFLICT "topic_ended" "The topic was ended.";
    /// The request may only begin a topic, and the topic has events or has ended.
    TopicExists PRECONDITION_FAILED "topic_exists" "The topic has events or has ended.";
    /// The newest event of the key is not the one that the publisher expected.
    VersionDiffers PRECONDITION_FAILED "version_differs" "The key has another version.";
    /// The client took too long to send its request.
    RequestTimeout REQUEST_TIMEOUT "request_timeout" "The request took too long to arrive.";
    /// Events after the id may be missing, and the form of the stream has no word for that.
    CursorLost GONE "cursor_lost" "Events after this id may be lost.";
    /// The event is larger than the hub accepts.
    EventTooLarge PAYLOAD_TOO_LARGE "event_too_large" "The event is too large.";
    /// With the piece, the value of its key would be larger than the hub accepts.
    ValueFull PAYLOAD_TOO_LARGE "value_full" "The value of the key is too large.";
    /// The body is of a type that cannot be published here.
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported_media_type"
        "This type of body is not supported.";
    /// The address of the client, or its key, has too many connections.
    TooManyConnections TOO_MANY_REQUESTS "too_many_connections"
        "There are too many connections.";
    /// The token, its key, or the address of a client without one has published more than it may.
    TooManyPublishes TOO_MANY_REQUESTS "too_many_publishes" "The limit for publishing is reached.";
    /// The event is on a new topic, and the maximum number of topics is reached: in total, or begun
    /// with the key.
    TooManyTopics INSUFFICIENT_STORAGE "too_many_topics" "There is no room for another topic.";
    /// The event is on a new topic, and what its rule of retention promises to keep takes all the
    /// bytes that it may.
    RuleFull INSUFFICIENT_STORAGE "rule_full" "There is no room for another topic of this rule.";
    /// The event has a new key, and the maximum number of keys is reached.
    TooManyKeys INSUFFICIENT_STORAGE "too_many_keys" "There is no room for another key.";
    /// The maximum number of denials is in force.
    DenialsFull INSUFFICIENT_STORAGE "denials_full" "There is no room for another denial.";
    /// The operator's backend, which knows what the client may do, gives no answer.
    AuthorizeUnavailable SERVICE_UNAVAILABLE "authorize_unavailable"
        "It is not known at the moment what the client may do.";
    /// The room that all request bodies share is full.
    TooManyBodies SERVICE_UNAVAILABLE "too_many_bodies"
        "The hub is receiving too much at the moment.";
    /// The maximum number of erasures is under way.
    TooManyErasures SERVICE_UNAVAILABLE "too_many_erasures"
        "There are too many erasures at the moment.";
    /// The log cannot erase events: hubs share it.
    EraseUnsupported NOT_IMPLEMENTED "erase_unsupported" "This log cannot erase events.";
    /// The maximum number of last wills waits.
    TooManyWills SERVICE_UNAVAILABLE "too_many_wills" "There is no room for another last will.";
    /// The hub has reached its maximum of connections; only probes are answered on another.
    HubFull SERVICE_UNAVAILABLE "hub_full" "The hub has reached its maximum of connections.";
    /// The hub that has the connection has not answered in time.
    HubSilent GATEWAY_TIMEOUT "hub_silent" "The hub that has the connection does not answer.";
    /// The hub is shutting down.
    Draining SERVICE_UNAVAILABLE "draining" "The hub is shutting down.";
    /// There is no room for another event. Publishing resumes by itself when there is.
    StoreFull INSUFFICIENT_STORAGE "store_full" "The hub has no room for another event.";
    /// Events cannot be stored or read at the moment. The next request tries again.
    StoreUnavailable SERVICE_UNAVAILABLE "store_unavailable"
        "The hub cannot reach its events at the moment.";
    /// The store did not say whether it has the event. It is safe to repeat an event that has an
    /// id of its own.
    StoreUndecided SERVICE_UNAVAILABLE "store_undecided"
        "It is not known whether the event is stored.";
    /// The store failed. The operator has to act.
    StoreFailed SERVICE_UNAVAILABLE "store_failed" "The hub cannot reach its events.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own_and_an_error_status() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            let status = code.status();
            assert!(status.is_client_error() || status.is_server_error());
            assert!(code.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'8'));
        }
    }
}
