//! From a request to what answers it: the API, the Mercure protocol, or a page.

use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Request, StatusCode};

use crate::admin;
use crate::answer::{self, Answer};
use crate::body::{self, RequestBody};
use crate::client::Client;
use crate::cors;
use crate::mercure;
use crate::native;
use crate::problem::{Code, Problem};
use crate::quota::Full;
use crate::response_body::Response;
use crate::route::{Meaning, Path, Route};
use crate::route_label::{MERCURE, NONE, PAGE, label_name};
use crate::state::State;
use crate::trace;

/// What answers a request.
enum Target<'a> {
    /// An operation of the API, or a method that has none there.
    Api(Path<'a>),
    /// The Mercure protocol, at its paths.
    Mercure,
    /// A static file.
    Page,
    Nothing,
}

impl<'a> Target<'a> {
    /// Of what is at `path`: the API comes first, for a publish should not pay for the others, and
    /// no other has one of its paths ([`Config::check`](crate::Config::check)).
    fn find(state: &State, path: &'a str) -> Self {
        match Path::find(path) {
            Some(path) => Self::Api(path),
            None if mercure::has(&state.config.mercure, path) => Self::Mercure,
            None if state.pages.has(path) => Self::Page,
            None => Self::Nothing,
        }
    }

    fn label(&self) -> usize {
        match self {
            Self::Api(path) => path.index,
            Self::Mercure => MERCURE,
            Self::Page => PAGE,
            Self::Nothing => NONE,
        }
    }
}

/// Answers a request. Whatever goes wrong is an answer too.
pub(crate) async fn answer(state: &Arc<State>, request: Request<RequestBody>) -> Answer {
    let (parts, body) = request.into_parts();
    let target = Target::find(state, parts.uri.path());
    let label = target.label();
    let route = label_name(label);
    let mut answer = trace::request(&parts, route, answer_at(state, &parts, body, target)).await;
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, answer::NOSNIFF);
    state.counts.answered(label, answer.status());
    answer
}

async fn answer_at(
    state: &Arc<State>,
    parts: &Parts,
    body: RequestBody,
    target: Target<'_>,
) -> Answer {
    let answered = match target {
        Target::Mercure => return mercure::answer(state, parts, body).await,
        Target::Api(path) => api(state, parts, body, path).await,
        Target::Page => page(state, parts),
        Target::Nothing => Err(Problem::new(
            Code::NotFound,
            "see /openapi.json for what there is; events are at /events",
        )),
    };
    let mut answer =
        answered.unwrap_or_else(|problem| Answer::Response(refuse(state, parts, problem)));
    let origin = parts.headers.get(header::ORIGIN);
    state.config.cors.apply(origin, answer.headers_mut());
    answer
}

/// Notes that a request is refused, and says so to whoever sent it.
pub(crate) fn refuse(state: &State, parts: &Parts, problem: Problem) -> Response {
    tracing::debug!(
        method = %parts.method,
        path = parts.uri.path(),
        client = Client::of(parts).map(|client| display(client.address)),
        code = problem.code().name(),
        detail = problem.detail(),
        "refused"
    );
    state.counts.refused(problem.code());
    trace::refused(problem.code().name());
    problem.into_response()
}

async fn api(
    state: &Arc<State>,
    parts: &Parts,
    body: RequestBody,
    path: Path<'_>,
) -> Result<Answer, Problem> {
    let methods = path.methods();
    let route = match path.meaning(&parts.method) {
        Meaning::Route(route) => route,
        Meaning::Options => return options(state, parts, methods),
        Meaning::Unknown => {
            let detail = format!("{} knows {}", path.pattern(), allowed(methods));
            return Err(Problem::new(Code::MethodNotAllowed, detail)
                .with_header(header::ALLOW, allow_header(methods)));
        }
    };
    check_connection(parts, route)?;
    body::check_coding(&parts.headers, &body)?;
    match route {
        Route::Read(topic) => native::read(state, parts, topic).await,
        Route::Write(topic) => native::write(state, parts, topic, body).await,
        Route::End(topic) => native::end(state, parts, topic).await,
        Route::Topics => native::topics(state, parts).await,
        Route::Stats => native::stats(state, parts).await,
        Route::Metrics => admin::metrics(state, parts).await,
        Route::Connection(id) => admin::connection(state, parts, id).await,
        Route::Live => Ok(admin::live(state).await),
        Route::Ready => Ok(admin::ready(state).await),
        Route::OpenApi => Ok(admin::openapi()),
    }
}

/// Whether a connection beyond a bound may do this. A subscriber hears of it in its
/// stream, for another status would end a browser's `EventSource` for good; and a probe asks for
/// the hub, not for itself.
fn check_connection(parts: &Parts, route: Route<'_>) -> Result<(), Problem> {
    let may = match route {
        Route::Live | Route::Ready => true,
        Route::Read(_) => native::wants_stream(parts),
        _ => false,
    };
    match Client::excess(parts).filter(|_| !may) {
        Some(full) => Err(one_too_many(full)),
        None => Ok(()),
    }
}

/// The answer on a connection that is one too many.
fn one_too_many(full: Full) -> Problem {
    let problem = match full {
        Full::Hub => Problem::new(Code::HubFull, "send it again in a moment"),
        _ => {
            let detail = "close one, or use one for several requests";
            Problem::new(Code::TooManyConnections, detail)
        }
    };
    problem.with_header(header::RETRY_AFTER, HeaderValue::from_static("10"))
}

/// A static file.
fn page(state: &State, parts: &Parts) -> Result<Answer, Problem> {
    if let Some(full) = Client::excess(parts) {
        return Err(one_too_many(full));
    }
    let methods = &[Method::GET];
    match parts.method {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return options(state, parts, methods),
        _ => {
            return Err(Problem::new(Code::MethodNotAllowed, "this is a page")
                .with_header(header::ALLOW, allow_header(methods)));
        }
    }
    let found = state.pages.answer(parts);
    found.ok_or_else(|| Problem::new(Code::NotFound, "there was a page a moment ago"))
}

fn options(state: &State, parts: &Parts, methods: &[Method]) -> Result<Answer, Problem> {
    if cors::is_preflight(parts) {
        return state.config.cors.preflight(parts, methods).map(Answer::Response);
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

    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::route::PATHS;

    #[test]
    fn the_published_description_has_the_same_paths_and_methods() {
        let json: Value = serde_json::from_str(admin::OPENAPI).unwrap();
        let mut described = BTreeSet::new();
        for (path, item) in json["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                described.insert((path.clone(), method.to_ascii_uppercase()));
            }
        }
        let routed: BTreeSet<_> = [PATHS, mercure::ROUTES]
            .into_iter()
            .flatten()
            .flat_map(|(path, methods)| {
                methods.iter().map(|method| ((*path).to_owned(), method.to_string()))
            })
            .collect();
        assert_eq!(described, routed);
    }
}
