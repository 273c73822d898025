//! Everything the doctor does on the network.

use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
    CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN,
};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Limited};
use tidings_client::{Body, HttpTransport, Transport as _};
use tokio::time::{Instant, sleep, sleep_until};
use url::Url;

use crate::certificate::Certificate;
use crate::probe::{Answer, Asked, Head, Next, NoAnswer};
use crate::watch::{Watch, is_reset};

/// Everything that was observed.
pub struct Observed {
    /// URL of the stream, as requested.
    pub url: Url,
    /// Time spent listening.
    pub listened: Duration,
    /// The first response.
    pub first: Result<Head, NoAnswer>,
    /// The server's certificate, for whoever runs [`observe`] to add.
    pub certificate: Option<Certificate>,
    /// The bytes that came, and when.
    pub watch: Watch,
    /// All connections, in order.
    pub connections: Vec<Connection>,
    pub(crate) browser: Browser,
    /// The events that were published, in order.
    pub published: Vec<Published>,
    pub(crate) resume: Resume,
    pub(crate) unknown: Unknown,
    pub(crate) origin: Option<String>,
    pub(crate) preflight: Option<Head>,
}

impl Observed {
    pub(crate) fn has_refused_certificate(&self) -> bool {
        self.certificate.as_ref().is_some_and(|certificate| certificate.refused.is_some())
    }
}

/// A connection to the stream, from the head of the response on.
#[derive(Debug)]
pub struct Connection {
    pub(crate) opened: Duration,
    pub(crate) last_byte: Duration,
    /// When and how it ended, unless the doctor ended it.
    pub(crate) ended: Option<(Duration, Ending)>,
}

#[derive(Debug)]
pub(crate) enum Ending {
    Good,
    Broken(String),
}

/// What a client that accepts compression, as browsers do, saw at the same time.
#[derive(Debug, Default)]
pub(crate) struct Browser {
    pub(crate) head: Option<Head>,
    pub(crate) encoding: Option<String>,
    pub(crate) bytes: u64,
    /// The first bytes of the body.
    pub(crate) begins: Vec<u8>,
    pub(crate) last_byte: Option<Duration>,
}

/// An event that was published as a test.
#[derive(Debug)]
pub struct Published {
    /// Time at which the server had accepted it.
    pub taken: Duration,
    /// The server's error, if it did not accept it.
    pub problem: Option<String>,
}

/// Whether the stream resumes where it was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// The events after the id came.
    Works,
    /// The server says so; there was nothing to catch up on.
    Claimed,
    /// It does not resume.
    Ignored { asked_after: String, expected: String },
    /// The request was rejected with this status.
    Refused(String),
    /// There are events, but they have no ids.
    NoIds,
    /// Too few events came to try it.
    Untried,
}

/// The answer to an unknown id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    Announced(String),
    Silence,
    Refused(String),
    Untried,
}

/// How test events are published.
pub struct Provoke {
    /// URL to post to.
    pub url: Url,
    /// Headers of each post.
    pub headers: HeaderMap,
    /// Body of a post; `{}` in it stands for the text to look for.
    pub body: String,
    /// Text that identifies the events of this run.
    pub mark: String,
}

impl Provoke {
    pub(crate) fn text(&self, number: usize) -> String {
        format!("{}-{number}", self.mark)
    }

    async fn publish(&self, number: usize, asked: &Asked) -> Published {
        let problem = self.post(number, &(asked.new_transport)()).await.err();
        Published { taken: asked.started.elapsed(), problem }
    }

    async fn post(&self, number: usize, transport: &HttpTransport) -> Result<(), String> {
        let body = self.body.replace("{}", &self.text(number));
        let mut request = Request::new(Body::from(bytes::Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.as_str().parse().map_err(|error| format!("{error}"))?;
        *request.headers_mut() = self.headers.clone();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        request.headers_mut().entry(CONTENT_TYPE).or_insert(text);
        let sent = tokio::time::timeout(POST_WAIT_MAX, transport.send(request)).await;
        let answer = sent.map_err(|_| format!("no answer within {POST_WAIT_MAX:?}"))?;
        let answer = answer.map_err(|error| error.to_string())?;
        let status = answer.status();
        // Read to the end, because some servers cancel a request whose response is not read.
        let _ = Limited::new(answer.into_body(), 64 << 10).collect().await;
        if status.is_success() { Ok(()) } else { Err(status.to_string()) }
    }
}

/// Listens, and runs all tests.
pub async fn observe(
    asked: &Asked,
    duration: Duration,
    origin: Option<&str>,
    provoke: Option<&Provoke>,
) -> Observed {
    let until = asked.started + duration;
    let expected = provoke.map(|provoke| (0..PROVOKED).map(|n| provoke.text(n)).collect());
    let now = jiff::Timestamp::now().as_millisecond();
    let watch = Watch::new(expected.unwrap_or_default(), now);
    let listening = listen(asked, until, watch);
    let beside = async { tokio::join!(browse(asked, until, origin), provoke_some(asked, provoke)) };
    tokio::pin!(listening, beside);
    let mut done_beside = None;
    let Listened { first, connections, watch } = loop {
        tokio::select! {
            listened = &mut listening => break listened,
            done = &mut beside, if done_beside.is_none() => done_beside = Some(done),
        }
    };
    let is_readable = |head: &Head| head.is_event_stream() && head.coding().is_none();
    let is_stream = first.as_ref().is_ok_and(is_readable);
    // Nothing more can come of what is no event stream.
    let is_over = !is_stream && !matches!(first, Err(NoAnswer::Late));
    let (browser, published) = match done_beside {
        Some(done) => done,
        None if is_over => (Browser::default(), Vec::new()),
        None => beside.await,
    };
    let listened = asked.started.elapsed();
    let (mut resume, mut unknown, mut preflight) = (Resume::Untried, Unknown::Untried, None);
    if is_stream {
        resume = try_resume(asked, &watch, provoke).await;
        // A server that does not resume has no losses to announce.
        if matches!(resume, Resume::Works | Resume::Claimed | Resume::Untried) {
            unknown = try_unknown(asked).await;
        }
        if let Some(origin) = origin {
            preflight = try_preflight(asked, origin).await;
        }
    }
    Observed {
        url: asked.url.clone(),
        listened,
        first,
        certificate: None,
        watch,
        connections,
        browser,
        published,
        resume,
        unknown,
        origin: origin.map(str::to_owned),
        preflight,
    }
}

/// What a program that listens saw.
struct Listened {
    first: Result<Head, NoAnswer>,
    connections: Vec<Connection>,
    watch: Watch,
}

/// Listens as a program does, and reconnects when the connection ends.
async fn listen(asked: &Asked, until: Instant, mut watch: Watch) -> Listened {
    let mut first = Err(NoAnswer::Late);
    let mut connections = Vec::new();
    while connections.len() < CONNECTIONS_MAX && Instant::now() < until {
        let last_id = watch.last_id.clone();
        let more = [(LAST_EVENT_ID, last_id.as_str())];
        let more = if last_id.is_empty() { &[][..] } else { &more };
        let answer = asked.ask(Method::GET, more, until).await;
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(problem) => {
                if connections.is_empty() {
                    first = Err(problem);
                }
                break;
            }
        };
        let head = answer.head.clone();
        let is_stream = head.is_event_stream() && head.coding().is_none();
        let opened = head.at;
        if connections.is_empty() {
            first = Ok(head);
        }
        if !is_stream {
            break;
        }
        watch.open(opened);
        let mut connection = Connection { opened, last_byte: opened, ended: None };
        loop {
            let (next, at) = answer.next(until).await;
            let at = at - asked.started;
            match next {
                Next::Bytes(bytes) => {
                    connection.last_byte = at;
                    watch.feed(at, &bytes);
                }
                Next::End => connection.ended = Some((at, Ending::Good)),
                Next::Broken(why) => connection.ended = Some((at, Ending::Broken(why))),
                Next::Late => break,
            }
            if connection.ended.is_some() {
                break;
            }
        }
        connections.push(connection);
        sleep(COME_BACK_AFTER).await;
    }
    watch.finish();
    Listened { first, connections, watch }
}

/// Bytes of a body that are kept: gzip's header and the first byte of what follows.
const BEGINNING_BYTES: usize = 11;

/// Listens as a browser does, which accepts compressed bodies; only the timing matters.
async fn browse(asked: &Asked, until: Instant, origin: Option<&str>) -> Browser {
    let mut more = vec![(ACCEPT_ENCODING, "gzip, deflate, br, zstd")];
    more.extend(origin.map(|origin| (ORIGIN, origin)));
    let Ok(mut answer) = asked.ask(Method::GET, &more, until).await else {
        return Browser::default();
    };
    let head = answer.head.clone();
    let mut browser =
        Browser { encoding: head.header(CONTENT_ENCODING), head: Some(head), ..Browser::default() };
    while let (Next::Bytes(bytes), at) = answer.next(until).await {
        browser.bytes += bytes.len() as u64;
        let missing = BEGINNING_BYTES - browser.begins.len();
        browser.begins.extend(bytes.iter().take(missing));
        browser.last_byte = Some(at - asked.started);
    }
    browser
}

async fn provoke_some(asked: &Asked, provoke: Option<&Provoke>) -> Vec<Published> {
    let mut published = Vec::new();
    let Some(provoke) = provoke else { return published };
    let mut at = asked.started + PROVOKE_AFTER;
    for number in 0..PROVOKED {
        sleep_until(at).await;
        published.push(provoke.publish(number, asked).await);
        at = Instant::now() + PROVOKE_EVERY;
    }
    published
}

async fn try_resume(asked: &Asked, watch: &Watch, provoke: Option<&Provoke>) -> Resume {
    if watch.last_id.is_empty() {
        return if watch.events > 0 { Resume::NoIds } else { Resume::Untried };
    }
    // An event published while there is no subscriber is the one that must come. Otherwise, resume
    // after the last event but one, and the last one must come.
    let (after, expected) = match provoke {
        Some(provoke) => {
            if provoke.publish(PROVOKED, asked).await.problem.is_some() {
                return Resume::Untried;
            }
            (watch.last_id.clone(), provoke.text(PROVOKED))
        }
        None => match &watch.ids[..] {
            [.., after, last] if after != last => (after.clone(), last.clone()),
            _ => (watch.last_id.clone(), String::new()),
        },
    };
    let until = Instant::now() + TRY_FOR;
    let mut answer = match asked.ask(Method::GET, &[(LAST_EVENT_ID, after.as_str())], until).await {
        Ok(answer) if answer.head.is_event_stream() => answer,
        Ok(answer) => return Resume::Refused(answer.head.status.to_string()),
        Err(_) => return Resume::Untried,
    };
    let is_claimed = answer.head.header("tidings-resume").is_some_and(|word| word == "resumed");
    if expected.is_empty() {
        return if is_claimed { Resume::Claimed } else { Resume::Untried };
    }
    let by_text = provoke.is_some();
    let text = read_until(&mut answer, until, |text| match by_text {
        true => text.contains(&expected),
        false => lines(text).any(|line| line == ("id", expected.as_str())),
    });
    match text.await {
        Some(_) => Resume::Works,
        None => Resume::Ignored { asked_after: after, expected },
    }
}

async fn try_unknown(asked: &Asked) -> Unknown {
    let until = Instant::now() + TRY_FOR;
    let id = [(LAST_EVENT_ID, "tidings-doctor:no-such-event")];
    let mut answer = match asked.ask(Method::GET, &id, until).await {
        Ok(answer) if answer.head.is_event_stream() => answer,
        Ok(answer) => return Unknown::Refused(answer.head.status.to_string()),
        Err(_) => return Unknown::Untried,
    };
    // Headers in which hubs report it: ours, and others by the id from which they really begin.
    for name in ["tidings-resume", "last-event-id"] {
        if let Some(value) = answer.head.header(name).filter(|value| value != "live") {
            return Unknown::Announced(format!("{name}: {value}"));
        }
    }
    let announced = read_until(&mut answer, until, |text| {
        lines(text).any(|(name, value)| name == "event" && is_reset(value))
    });
    match announced.await {
        Some(_) => Unknown::Announced("an event that says so".to_owned()),
        None => Unknown::Silence,
    }
}

async fn try_preflight(asked: &Asked, origin: &str) -> Option<Head> {
    let until = Instant::now() + TRY_FOR;
    let more = [
        (ORIGIN, origin),
        (ACCESS_CONTROL_REQUEST_METHOD, "GET"),
        (ACCESS_CONTROL_REQUEST_HEADERS, "authorization,last-event-id"),
    ];
    // A browser sends a preflight without the headers it asks about.
    let bare = Asked {
        url: asked.url.clone(),
        headers: HeaderMap::new(),
        new_transport: Arc::clone(&asked.new_transport),
        started: asked.started,
    };
    bare.ask(Method::OPTIONS, &more, until).await.ok().map(|answer| answer.head)
}

/// Reads until the text read so far `suffices`; returns it.
async fn read_until(
    answer: &mut Answer,
    until: Instant,
    suffices: impl Fn(&str) -> bool,
) -> Option<String> {
    let mut read = Vec::new();
    while read.len() < TRY_BYTES_MAX {
        let (Next::Bytes(bytes), _) = answer.next(until).await else { return None };
        read.extend_from_slice(&bytes);
        let text = String::from_utf8_lossy(&read);
        if suffices(&text) {
            return Some(text.into_owned());
        }
    }
    None
}

/// Names and values of the complete lines.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    // There may be a byte order mark at the beginning (HTML §9.2.6).
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name, value.strip_prefix(' ').unwrap_or(value)))
    })
}

pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Number of test events, the time of the first, and the time between them.
pub(crate) const PROVOKED: usize = 5;
const PROVOKE_AFTER: Duration = Duration::from_millis(500);
const PROVOKE_EVERY: Duration = Duration::from_millis(200);

/// Timeout of a post.
const POST_WAIT_MAX: Duration = Duration::from_secs(5);

/// Time that each of the shorter tests listens, and bytes that it reads.
const TRY_FOR: Duration = Duration::from_secs(3);
const TRY_BYTES_MAX: usize = 4 << 20;

/// Maximum number of connections, and time between them.
const CONNECTIONS_MAX: usize = 8;
const COME_BACK_AFTER: Duration = Duration::from_millis(200);
