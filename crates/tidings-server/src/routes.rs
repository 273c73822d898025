//! From a request to the code that answers it: the native API, a protocol beside it, or a page.

use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Request, StatusCode};
use tidings_engine::Rejection;
use tidings_http::answer::{self, Answer};
use tidings_http::authorize::Action;
use tidings_http::body::{self, RequestBody};
use tidings_http::client::Client;
use tidings_http::cors;
use tidings_http::face::Face;
use tidings_http::handler::Handler;
use tidings_http::problem::{Code, Problem};
use tidings_http::state::State;
use tidings_http::trace;
use tokio::sync::Semaphore;

use crate::admin::{self, Pages};
use crate::config::Config;
use crate::limits::MERGES_MAX;
use crate::link_query::LinkQuery;
use crate::links;
use crate::native;
use crate::request::RequestContext;
use crate::route::{Meaning, PATHS, Path, Route, SESSION};
use crate::route_counts::RouteCounts;
use crate::session;

/// All routes of the hub.
pub(crate) struct Routes {
    state: Arc<State>,
    config: Config,
    faces: Vec<Arc<dyn Face>>,
    pages: Pages,
    /// By the numbers of [`Target::number`].
    counts: RouteCounts,
    started: SystemTime,
    /// Messages of other hubs, about denials and sessions, that are merged now.
    merges: Arc<Semaphore>,
}

impl Routes {
    pub(crate) fn new(state: Arc<State>, faces: Vec<Arc<dyn Face>>, config: &Config) -> Self {
        let counts = RouteCounts::new(names(&faces));
        let pages = Pages::new(&config.pages);
        let config = config.clone();
        let merges = Arc::new(Semaphore::new(MERGES_MAX));
        Self { state, config, faces, pages, counts, started: SystemTime::now(), merges }
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state
    }

    pub(crate) fn faces(&self) -> &[Arc<dyn Face>] {
        &self.faces
    }

    pub(crate) fn merges(&self) -> &Arc<Semaphore> {
        &self.merges
    }

    /// The target of `path`. The API comes first, because a publish should not pay for the others,
    /// and no other has one of its paths ([`Config::check`](crate::Config::check)).
    fn find<'a>(&self, path: &'a str) -> Target<'a> {
        if let Some(path) = Path::find(path) {
            return Target::Api(path);
        }
        match self.faces.iter().position(|face| face.claims(path)) {
            Some(face) => Target::Face(face),
            None if self.pages.has(path) => Target::Page,
            None => Target::Nothing,
        }
    }

    /// Takes everything that it needs: a future around it would be larger by a copy of that.
    async fn answer(self: Arc<Self>, parts: Parts, body: RequestBody) -> Answer {
        let target = self.find(parts.uri.path());
        let number = target.number(self.faces.len());
        let (route, is_traced) = (self.counts.name(number), target.is_traced(&parts.method));
        let answer = self.answer_at(&parts, body, target);
        let answer = trace::request(&parts, route, is_traced, answer).await;
        self.counts.answered(number, answer.status());
        answer
    }

    async fn answer_at(&self, parts: &Parts, body: RequestBody, target: Target<'_>) -> Answer {
        let state = &*self.state;
        let is_session = matches!(&target, Target::Api(path) if path.pattern() == SESSION);
        let answered = match target {
            Target::Face(face) => {
                let mut answer = self.faces[face].answer(state, parts, body).await;
                if parts.headers.contains_key(header::COOKIE) {
                    session::remove_stale(state, parts, &mut answer);
                }
                return answer;
            }
            Target::Api(path) => self.api(parts, body, path).await,
            Target::Page => self.page(parts),
            Target::Nothing => Err(Problem::new(
                Code::NotFound,
                "see /openapi.json for all paths; events are at /events",
            )),
        };
        let mut answer =
            answered.unwrap_or_else(|problem| Answer::Response(state.refuse(parts, problem)));
        if LinkQuery::is_in(parts) {
            // The URL is a credential.
            let headers = answer.headers_mut();
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        // At its own path a cookie may just have been set.
        if parts.headers.contains_key(header::COOKIE) && !is_session {
            session::remove_stale(state, parts, &mut answer);
        }
        let origin = parts.headers.get(header::ORIGIN);
        state.config().cors.apply(origin, answer.headers_mut());
        answer
    }

    async fn api(
        &self,
        parts: &Parts,
        body: RequestBody,
        path: Path<'_>,
    ) -> Result<Answer, Problem> {
        let (state, methods) = (&self.state, path.methods());
        let route = match path.meaning(&parts.method) {
            Meaning::Route(route) => route,
            Meaning::Options => return options(state, parts, methods),
            Meaning::Unknown => {
                let detail = format!("{} supports {}", path.pattern(), allowed(methods));
                return Err(Problem::new(Code::MethodNotAllowed, detail)
                    .with_header(header::ALLOW, allow_header(methods)));
            }
        };
        check_connection(parts, route)?;
        body::check_coding(&parts.headers, &body)?;
        let context = || RequestContext::new(state, &self.config, parts, None);
        let context_of =
            |action, topic| RequestContext::new(state, &self.config, parts, Some((action, topic)));
        // The future of a request has room for the largest of these, and is allocated and moved
        // once per request. So only the most frequent, a publish, is part of it.
        match route {
            Route::Write(topic) => {
                let context = context_of(Action::Publish, topic).await?;
                native::write(context, topic, body).await
            }
            Route::Read(topic) => {
                let context = RequestContext::of_reader(state, &self.config, parts, topic);
                let read = async move {
                    match context.await {
                        Err(problem) => native::rejected(state, parts, problem),
                        Ok(context) => native::read(context, topic).await,
                    }
                };
                Box::pin(read).await
            }
            Route::End(topic) => {
                let context = context_of(Action::Publish, Some(topic)).await?;
                Box::pin(native::end(context, topic, body)).await
            }
            Route::Topics => {
                let context = context_of(Action::Subscribe, None).await?;
                Box::pin(native::topics(context)).await
            }
            Route::Stats => {
                let context = context().await?;
                Box::pin(native::stats(&context)).await
            }
            Route::Metrics => {
                let context = context().await?;
                Box::pin(admin::metrics(context, &self.counts, self.started)).await
            }
            Route::Connection(id) => Box::pin(admin::connection(context().await?, id)).await,
            Route::Connections => {
                let context = context().await?;
                Box::pin(admin::list(context)).await
            }
            Route::Kick => Box::pin(admin::kick(context().await?)).await,
            Route::KickOne(id) => Box::pin(admin::kick_one(context().await?, id)).await,
            Route::Renew(id) => Box::pin(native::renew(state, parts, body, id)).await,
            Route::Denials => admin::denials(&context().await?),
            Route::Lift => Box::pin(admin::lift(context().await?)).await,
            Route::StartSession => Box::pin(session::start(state, parts)).await,
            Route::Session => session::read(state, parts),
            Route::EndSession => Box::pin(session::finish(state, parts)).await,
            Route::MakeLink => links::make(context().await?),
            Route::Live => Ok(admin::live(state).await),
            Route::Ready => admin::ready(state, parts).await,
            Route::OpenApi => Ok(admin::openapi()),
        }
    }

    /// A static file.
    fn page(&self, parts: &Parts) -> Result<Answer, Problem> {
        if let Some(rejection) = Client::excess(parts) {
            return Err(one_too_many(rejection));
        }
        let methods = &[Method::GET];
        match parts.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return options(&self.state, parts, methods),
            _ => {
                return Err(Problem::new(
                    Code::MethodNotAllowed,
                    "a page supports GET, HEAD, OPTIONS",
                )
                .with_header(header::ALLOW, allow_header(methods)));
            }
        }
        let found = self.pages.answer(parts);
        found.ok_or_else(|| Problem::new(Code::NotFound, "this page no longer exists"))
    }
}

impl Handler for Routes {
    fn handle(
        self: Arc<Self>,
        request: Request<RequestBody>,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let (parts, body) = request.into_parts();
        Box::pin(self.answer(parts, body))
    }
}

/// The part of the hub that answers a request.
enum Target<'a> {
    /// An operation of the API, or a method that has none there.
    Api(Path<'a>),
    /// The protocol with this place in the list.
    Face(usize),
    /// A static file.
    Page,
    Nothing,
}

/// The names of all targets, in the order of [`Target::number`].
pub(crate) fn names(faces: &[Arc<dyn Face>]) -> impl Iterator<Item = &'static str> {
    let paths = PATHS.iter().map(|(path, _)| *path);
    paths.chain(faces.iter().map(|face| face.name())).chain(OTHER_NAMES)
}

/// The names of targets without a path of their own, in the order of [`Target::number`].
const OTHER_NAMES: [&str; 2] = ["page", "none"];

impl Target<'_> {
    /// The number by which its requests are counted: paths of the API, faces, and the others.
    fn number(&self, faces: usize) -> usize {
        match self {
            Self::Api(path) => path.index,
            Self::Face(face) => PATHS.len() + face,
            Self::Page => PATHS.len() + faces,
            Self::Nothing => PATHS.len() + faces + 1,
        }
    }

    /// Whether its requests have spans. Probes, scrapes and pages have none: they are frequent, and
    /// their duration matters little.
    fn is_traced(&self, method: &Method) -> bool {
        match self {
            Self::Api(path) => !matches!(
                path.meaning(method),
                Meaning::Route(Route::Live | Route::Ready | Route::Metrics)
            ),
            Self::Page => false,
            Self::Face(_) | Self::Nothing => true,
        }
    }
}

/// Rejects a request on a connection beyond a limit. But a subscriber is rejected within its
/// stream, because another status would end a browser's `EventSource` for good, and a probe is
/// answered, because it asks about the hub.
fn check_connection(parts: &Parts, route: Route<'_>) -> Result<(), Problem> {
    let may = match route {
        Route::Live | Route::Ready => true,
        Route::Read(_) => native::wants_stream(parts),
        _ => false,
    };
    match Client::excess(parts).filter(|_| !may) {
        Some(rejection) => Err(one_too_many(rejection)),
        None => Ok(()),
    }
}

/// The answer on a connection beyond a limit.
fn one_too_many(rejection: Rejection) -> Problem {
    let problem = match rejection {
        Rejection::HubConnections => Problem::new(Code::HubFull, "send it again in a moment"),
        _ => {
            let detail = "close a connection, or send several requests over one";
            Problem::new(Code::TooManyConnections, detail)
        }
    };
    problem.with_header(header::RETRY_AFTER, HeaderValue::from_static("10"))
}

fn options(state: &State, parts: &Parts, methods: &[Method]) -> Result<Answer, Problem> {
    if cors::is_preflight(parts) {
        return state.config().cors.preflight(parts, methods).map(Answer::Response);
    }
    let mut response = answer::empty(StatusCode::NO_CONTENT);
    response.headers_mut().insert(header::ALLOW, allow_header(methods));
    Ok(Answer::Response(response))
}

fn allowed(methods: &[Method]) -> String {
    let mut names: Vec<_> = methods.iter().map(Method::as_str).collect();
    if methods.contains(&Method::GET) {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    names.join(", ")
}

fn allow_header(methods: &[Method]) -> HeaderValue {
    HeaderValue::from_str(&allowed(methods)).expect("methods are tokens")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::Value;

    use super::*;

    fn description() -> Value {
        serde_json::from_str(admin::OPENAPI).unwrap()
    }

    #[test]
    #[cfg(feature = "mercure")]
    fn the_published_description_has_the_same_paths_and_methods() {
        let mut described = std::collections::BTreeSet::new();
        for (path, item) in description()["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                described.insert((path.clone(), method.to_ascii_uppercase()));
            }
        }
        let routed = [PATHS, tidings_mercure::ROUTES].into_iter().flatten();
        let routed = routed.flat_map(|(path, methods)| {
            methods.iter().map(|method| ((*path).to_owned(), method.to_string()))
        });
        assert_eq!(described, routed.collect());
    }

    #[test]
    fn the_published_description_lists_every_code() {
        let listed =
            &description()["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
        let names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(listed, &Value::from(names));
    }
}
