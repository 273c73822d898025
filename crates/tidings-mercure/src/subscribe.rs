//! `GET`, `HEAD` and `QUERY` on the hub: an event stream.

use std::collections::HashSet;

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use tidings_codec::encode;
use tidings_engine::{PendingSubscription, Rejection, SubscribeOptions};
use tidings_http::answer::Answer;
use tidings_http::authorize::AskedTopic;
use tidings_http::body::{self, RequestBody};
use tidings_http::headers::LAST_EVENT_ID;
use tidings_http::open_stream::{self, RejectionFace, StreamFace, StreamRequest, open_stream};
use tidings_http::problem::Code;
use tidings_http::response_body::Response;
use tidings_http::state::State;
use tidings_http::stream;
use tidings_http::whole_body::WholeBody;
use tidings_hub::{ControlStyle, EventForm, Matcher, Notice, Outcome, Position, Start};

use crate::access::{self, Role};
use crate::context::Context;
use crate::dialect::{self, Dialect, QUERY_BYTES_MAX, ZERO};
use crate::error_answer::ErrorAnswer;
use crate::form::Form;
use crate::presence::Since;
use crate::publish::FORM;
use crate::selector::{MatchType, topic_selector};
use crate::subscription::{Kind, Subscription};
use crate::text;

/// The start of a stream, for 1.0 clients; 0.x clients read it from [`LAST_EVENT_ID`].
pub(crate) const MERCURE_LAST_EVENT_ID: HeaderName =
    HeaderName::from_static("mercure-last-event-id");

/// Replay everything: an id to resume after, and the answer to an unknown one.
pub(crate) const EARLIEST: &str = "earliest";

pub(crate) async fn subscribe(
    context: &Context<'_>,
    body: RequestBody,
) -> Result<Answer, ErrorAnswer> {
    let Context { mercure, state, parts, .. } = *context;
    let form = parameters(state, parts, body).await?;
    let spoken = match parts.method.as_str() {
        QUERY => Some(&dialect::ONE),
        _ => dialect::of_parameters(form.names()),
    };
    let topics = || {
        let is_one = spoken.is_some_and(|dialect| dialect.is_one);
        let wanted = if is_one { matchers(context, &form) } else { selectors(&form) };
        let asked = |Wanted { words, matcher, .. }| AskedTopic { text: words.into(), matcher };
        Some(wanted.ok()?.into_iter().map(asked).collect())
    };
    let caller = access::identify(context, Role::Subscriber, spoken, &form, Some(&topics)).await;
    let caller = match caller {
        // Any status but 200 would end a browser's `EventSource` for good.
        Err(error) if error.status() == StatusCode::SERVICE_UNAVAILABLE && !is_head(parts) => {
            let resume = Resume::of(&parts.headers, &form, spoken.unwrap_or(&ZERO));
            return Ok(open_stream::reject(
                state,
                parts.version,
                &Unknown(&resume),
                Rejection::AuthorizeUnavailable,
            ));
        }
        caller => caller?,
    };
    let dialect = caller.dialect;
    let wanted = if dialect.is_one { matchers(context, &form)? } else { selectors(&form)? };
    let resume = Resume::of(&parts.headers, &form, dialect);
    let mut subscriptions = subscriptions(&wanted);
    for subscription in &mut subscriptions {
        subscription.payload = caller.access.payload(&subscription.words);
    }
    let wanted = wanted.into_iter().map(|wanted| wanted.matcher).collect();
    let interest = caller.access.interest(
        wanted,
        &mercure.config().public,
        &state.auth().everybody().subscribe,
        caller.may_hear_of_subscribers(),
    );

    let place = resume.place(context);
    let start = place.start();
    let who = std::sync::Arc::clone(&caller.access.who);
    let face = MercureStream { context, caller: &caller, resume: &resume, place, subscriptions };
    let (token, share, authorized) = (caller.token, caller.share(), caller.authorized.as_ref());
    let request =
        StreamRequest { start, interest, token, share, who, lease: None, authorized, face };
    open_stream(state, parts, request).await.map_err(|error| {
        tracing::error!(%error, "cannot open a subscription");
        ErrorAnswer::unavailable("Service Unavailable")
    })
}

/// The form of Mercure's streams.
struct MercureStream<'a> {
    context: &'a Context<'a>,
    caller: &'a access::Caller,
    resume: &'a Resume,
    place: Place,
    subscriptions: Vec<Subscription>,
}

impl StreamFace for MercureStream<'_> {
    fn headers(&self) -> HeaderMap {
        headers()
    }

    fn begin(
        self,
        state: &State,
        pending: &PendingSubscription,
        headers: &mut HeaderMap,
    ) -> Result<SubscribeOptions, Box<Response>> {
        let Self { context, caller, resume, place, subscriptions } = self;
        if let Some(place) = resume.answer(&place, pending) {
            headers.insert(LAST_EVENT_ID, place.clone());
            headers.insert(MERCURE_LAST_EVENT_ID, place);
        }
        let dialect = caller.dialect;
        let has_presence = context.mercure.config().subscriptions;
        let hears = has_presence && caller.may_hear_of_subscribers();
        let missed = place.missed(pending).filter(|_| hears);
        let missed = missed.map(|since| (since, dialect, pending.interest.clone()));
        let member = || context.mercure.presence.member(state.engine(), subscriptions, missed);
        Ok(SubscribeOptions {
            control_style: ControlStyle::Comments,
            event_form: EventForm::AsPublished,
            // The client gets its first bytes at once.
            preface: b":\n".to_vec(),
            expires: caller.access.expires,
            audience: hears.then_some(dialect.audience),
            hook: has_presence.then(member),
        })
    }

    /// Nothing is sent, so the client keeps the id that it asked to resume after.
    fn reject(&self, reason: Rejection, retry_ms: u64, headers: &mut HeaderMap) -> Vec<u8> {
        Unknown(self.resume).reject(reason, retry_ms, headers)
    }
}

/// The rejection of a stream, whose reader need not be known for it.
struct Unknown<'a>(&'a Resume);

impl RejectionFace for Unknown<'_> {
    fn headers(&self) -> HeaderMap {
        headers()
    }

    fn reject(&self, _: Rejection, retry_ms: u64, headers: &mut HeaderMap) -> Vec<u8> {
        if let Resume::After(id) = self.0
            && let Ok(place) = HeaderValue::from_bytes(id.as_bytes())
        {
            headers.insert(LAST_EVENT_ID, place.clone());
            headers.insert(MERCURE_LAST_EVENT_ID, place);
        }
        let mut body = b":\n".to_vec();
        encode::retry(&mut body, retry_ms);
        body
    }
}

fn is_head(parts: &Parts) -> bool {
    parts.method == http::Method::HEAD
}

/// The parameters of the query, followed by those of the body in a `QUERY` request (RFC 10008).
async fn parameters(state: &State, parts: &Parts, body: RequestBody) -> Result<Form, ErrorAnswer> {
    let mut form = Form::parse_leniently(parts.uri.query().unwrap_or("").as_bytes());
    if parts.method.as_str() != QUERY {
        return Ok(form);
    }
    let bytes = WholeBody::read(state.body_room(), body, QUERY_BYTES_MAX).await;
    let bytes = bytes.map_err(|problem| match problem.code() {
        Code::EventTooLarge => {
            let text = format!("a query has at most {QUERY_BYTES_MAX} bytes");
            ErrorAnswer::new(StatusCode::PAYLOAD_TOO_LARGE, text)
        }
        Code::TooManyBodies => ErrorAnswer::unavailable(problem.code().title()),
        code => ErrorAnswer::new(code.status(), problem.detail().to_owned()),
    })?;
    if bytes.is_empty() {
        return Ok(form);
    }
    if body::media_type(&parts.headers) != FORM {
        return Err(ErrorAnswer::bad_request(format!("the body of a QUERY is `{FORM}`")));
    }
    let more = Form::parse(&bytes);
    form.append(more.map_err(|_| ErrorAnswer::bad_request("the body of the QUERY is malformed"))?);
    Ok(form)
}

/// A selector or matcher of a subscriber.
struct Wanted {
    words: Box<str>,
    kind: Kind,
    matcher: Matcher,
}

/// The subscriptions that presence shows: repeated words count once.
fn subscriptions(wanted: &[Wanted]) -> Vec<Subscription> {
    let mut seen = HashSet::with_capacity(wanted.len());
    let subscription = |wanted: &Wanted| Subscription {
        words: wanted.words.clone(),
        kind: wanted.kind,
        payload: None,
    };
    let new = wanted.iter().filter(|wanted| seen.insert((&wanted.words, wanted.kind)));
    new.map(subscription).collect()
}

/// The topic selectors of a 0.x subscriber.
fn selectors(form: &Form) -> Result<Vec<Wanted>, ErrorAnswer> {
    check_count(&ZERO, form.all("topic").count())?;
    let selector = |bytes| {
        let words = String::from_utf8_lossy(bytes);
        let matcher = topic_selector(&words)
            .map_err(|error| ErrorAnswer::bad_request(format!("a topic selector {error}")))?;
        let kind = Kind::of_selector(&matcher);
        Ok(Wanted { words: words.into(), kind, matcher })
    };
    form.all("topic").map(selector).collect()
}

/// The matchers of a 1.0 subscriber.
fn matchers(context: &Context<'_>, form: &Form) -> Result<Vec<Wanted>, ErrorAnswer> {
    let mut asked = Vec::new();
    for (name, value) in form.fields() {
        let kind = match name {
            b"match" | b"match_exact" => MatchType::Exact,
            b"match_urlpattern" => MatchType::UrlPattern,
            b"topic" => {
                let text = "`topic` is a parameter of another version; use `match`";
                return Err(ErrorAnswer::bad_request(text));
            }
            name if dialect::is_match_name(name) => {
                let name = String::from_utf8_lossy(name);
                return Err(ErrorAnswer::bad_request(format!("{name:?} is not a known parameter")));
            }
            _ => continue,
        };
        asked.push((kind, value));
    }
    check_count(&dialect::ONE, asked.len())?;
    let matcher = |(kind, bytes): (MatchType, &[u8])| {
        let words = str::from_utf8(bytes)
            .map_err(|_| ErrorAnswer::bad_request("a matcher is not UTF-8"))?;
        if let Some(c) = text::unseen(words) {
            let text = format!("a matcher holds the invisible character {c:?}");
            return Err(ErrorAnswer::bad_request(text));
        }
        let matcher = context.mercure.patterns.matcher(kind, words, &context.site.url);
        let matcher =
            matcher.map_err(|error| ErrorAnswer::bad_request(format!("a matcher {error}")))?;
        Ok(Wanted { words: words.into(), kind: kind.into(), matcher })
    };
    asked.into_iter().map(matcher).collect()
}

fn check_count(dialect: &Dialect, count: usize) -> Result<(), ErrorAnswer> {
    if count == 0 {
        return Err(ErrorAnswer::bad_request(dialect.wanted_missing));
    }
    if count > dialect.wanted_max {
        return Err(ErrorAnswer::bad_request(dialect.wanted_too_many));
    }
    Ok(())
}

/// The place at which a subscriber asks to resume.
#[derive(Debug, PartialEq, Eq)]
enum Resume {
    /// It does not ask to resume.
    No,
    /// It sends an empty id, and expects the id of the place where it begins.
    Nowhere,
    /// After the event with this id.
    After(String),
}

impl Resume {
    fn of(headers: &HeaderMap, form: &Form, dialect: &Dialect) -> Self {
        let header = headers.get(LAST_EVENT_ID).map(tidings_http::headers::event_id);
        let parameters = dialect.resume_parameters.iter();
        let parameters = parameters.filter_map(|name| form.first_in_any_case(name));
        let parameters = parameters.map(String::from_utf8_lossy);
        let given: Vec<_> = header.into_iter().chain(parameters).collect();
        match given.iter().find(|id| !id.is_empty()) {
            Some(id) => Self::After(id.to_string()),
            None if !given.is_empty() && dialect.answers_empty_resume => Self::Nowhere,
            None => Self::No,
        }
    }

    /// The place in the log and among the notices.
    fn place(&self, context: &Context<'_>) -> Place {
        let id = match self {
            Self::No | Self::Nowhere => return Place::Here,
            Self::After(id) => id,
        };
        if id == EARLIEST {
            return Place::Earliest;
        }
        // The id of a subscription event begins with a place in the log.
        match Notice::divide(id) {
            Some((place, tag)) if context.state.engine().is_own(place) => Place::After {
                id: place.to_owned(),
                notice: Some(context.mercure.presence.number(tag)),
            },
            _ => Place::After { id: id.clone(), notice: None },
        }
    }

    /// The id of the event before the first one that will be sent. If it differs from the requested
    /// id, the client knows that it may have lost events.
    fn answer(&self, place: &Place, pending: &PendingSubscription) -> Option<HeaderValue> {
        let earliest = HeaderValue::from_static(EARLIEST);
        let here = || match pending.position {
            Position::ZERO => EARLIEST.to_owned(),
            _ => pending.id.to_string(),
        };
        let place = match (self, &pending.outcome) {
            (Self::No, _) => return None,
            (_, Outcome::Reset { .. }) if pending.is_from_the_oldest() => return Some(earliest),
            (_, Outcome::Reset { .. }) => here(),
            (Self::Nowhere, _) => here(),
            (Self::After(id), _) => match place {
                // Subscription events are lost.
                Place::After { id, notice: Some(None) } => id.clone(),
                _ => id.clone(),
            },
        };
        Some(HeaderValue::from_bytes(place.as_bytes()).unwrap_or(earliest))
    }
}

/// The start of a stream, in the log and among the notices.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// With the next event.
    Here,
    Earliest,
    After {
        id: String,
        /// Whether the id was that of a subscription event, and its number if all later ones are
        /// still kept.
        notice: Option<Option<u64>>,
    },
}

impl Place {
    fn start(&self) -> Start {
        match self {
            Self::Here => Start::Live,
            Self::Earliest => Start::Earliest,
            // Several events can have one id.
            Self::After { id, .. } => Start::AfterOldest(id.clone()),
        }
    }

    /// The place after which the subscriber has missed subscription events.
    fn missed(&self, pending: &PendingSubscription) -> Option<Since> {
        match self {
            Self::Here => None,
            Self::After { notice: Some(Some(number)), .. } => Some(Since::Notice(*number)),
            Self::Earliest | Self::After { .. } => Some(Since::Place(pending.position)),
        }
    }
}

/// The headers of every stream.
fn headers() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    for (name, value) in [
        ("content-type", stream::EVENT_STREAM),
        ("cache-control", "private, no-cache, no-store, must-revalidate, max-age=0"),
        ("pragma", "no-cache"),
        // Not `expires`: the protocol's hubs have always sent this name.
        ("expire", "0"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    stream::add_delivery(&mut headers);
    headers
}

/// A `GET` with a body (RFC 10008).
pub(crate) const QUERY: &str = "QUERY";
