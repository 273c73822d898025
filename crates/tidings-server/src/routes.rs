//! The whole URL map.

use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Request, StatusCode};

use crate::admin;
use crate::answer::{self, Answer, Response};
use crate::body::RequestBody;
use crate::client::Client;
use crate::cors;
use crate::mercure;
use crate::native;
use crate::problem::{Code, Problem};
use crate::state::State;
use crate::trace;

/// What there is, and what can be done with it. `HEAD` goes with `GET`, and `OPTIONS` with
/// everything.
const ROUTES: &[(&str, &[Method])] = &[
    ("/events", &[Method::GET, Method::POST]),
    ("/events/{topic}", &[Method::GET, Method::POST, Method::DELETE]),
    ("/topics", &[Method::GET]),
    ("/stats", &[Method::GET]),
    ("/metrics", &[Method::GET]),
    ("/connections/{id}", &[Method::GET]),
    ("/healthz", &[Method::GET]),
    ("/readyz", &[Method::GET]),
    ("/openapi.json", &[Method::GET]),
];

/// The labels of requests in the metrics: the routes, and these behind them.
pub(crate) const LABELS: usize = ROUTES.len() + OTHER_LABELS.len();

const OTHER_LABELS: [&str; 3] = ["mercure", "page", "none"];
const MERCURE: usize = ROUTES.len();
const PAGE: usize = MERCURE + 1;
const NONE: usize = MERCURE + 2;

/// The label with this number.
pub(crate) fn label_name(label: usize) -> &'static str {
    ROUTES.get(label).map_or_else(|| OTHER_LABELS[label - ROUTES.len()], |(path, _)| path)
}

/// Answers a request. Whatever goes wrong is an answer too.
pub(crate) async fn answer(state: &Arc<State>, request: Request<RequestBody>) -> Answer {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let label = match find(path) {
        _ if mercure::has(state, path) => MERCURE,
        _ if state.pages.has(path) => PAGE,
        Some((route, _)) => route,
        None => NONE,
    };
    let route = label_name(label);
    let answer = trace::request(&parts, route, of_label(state, &parts, body, label)).await;
    state.counts.answered(label, answer.status());
    answer
}

async fn of_label(state: &Arc<State>, parts: &Parts, body: RequestBody, label: usize) -> Answer {
    if label == MERCURE {
        return mercure::answer(state, parts, body).await;
    }
    let mut answer = match dispatch(state, parts, body).await {
        Ok(answer) => answer,
        Err(problem) => Answer::Response(refuse(state, parts, problem)),
    };
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

async fn dispatch(state: &Arc<State>, parts: &Parts, body: RequestBody) -> Result<Answer, Problem> {
    let path = parts.uri.path();
    if Client::exceeds(parts) && !native::wants_stream(parts) {
        return Err(too_many_connections());
    }
    if state.pages.has(path) {
        return page(state, parts);
    }
    let (route, rest) = find(path).ok_or_else(|| {
        Problem::new(Code::NotFound, "see /openapi.json for what there is; events are at /events")
    })?;
    let (pattern, methods) = ROUTES[route];
    let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
    if method == Method::OPTIONS {
        return options(state, parts, methods);
    }
    if !methods.contains(method) {
        return Err(Problem::new(
            Code::MethodNotAllowed,
            format!("{pattern} knows {}", allowed(methods)),
        )
        .with_header(header::ALLOW, allow_header(methods)));
    }
    match (pattern, method) {
        ("/events" | "/events/{topic}", &Method::GET) => native::read(state, parts, rest).await,
        ("/events" | "/events/{topic}", &Method::POST) => {
            native::write(state, parts, rest, body).await
        }
        ("/events/{topic}", _) => native::end(state, parts, rest.unwrap_or("")).await,
        ("/connections/{id}", _) => admin::connection(state, parts, rest.unwrap_or("")).await,
        ("/topics", _) => native::topics(state, parts).await,
        ("/healthz", _) => Ok(admin::live(state).await),
        ("/readyz", _) => Ok(admin::ready(state).await),
        ("/metrics", _) => admin::metrics(state, parts).await,
        ("/openapi.json", _) => Ok(admin::openapi()),
        _ => native::stats(state, parts).await,
    }
}

/// The answer to who has one connection too many, and does not want a stream.
fn too_many_connections() -> Problem {
    Problem::new(Code::TooManyConnections, "close one, or use one for several requests")
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("10"))
}

/// A static file. The API's own paths come first in everybody's mind, but no file has one of them.
fn page(state: &State, parts: &Parts) -> Result<Answer, Problem> {
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

/// The route of `path`, and what stands for `{topic}` or `{id}`, still percent-encoded.
fn find(path: &str) -> Option<(usize, Option<&str>)> {
    let with_rest = [("/events/", "/events/{topic}"), ("/connections/", "/connections/{id}")];
    let rest = with_rest
        .iter()
        .find_map(|(prefix, pattern)| path.strip_prefix(prefix).map(|rest| (*pattern, rest)));
    let (pattern, rest) = rest.map_or((path, None), |(pattern, rest)| (pattern, Some(rest)));
    let route = ROUTES.iter().position(|(known, _)| *known == pattern)?;
    // Braces in a path are somebody's literal text.
    (rest.is_some() || !path.contains('{')).then_some((route, rest))
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

    #[test]
    fn a_topic_may_hold_slashes_and_braces() {
        let found = |path| find(path).map(|(route, rest)| (ROUTES[route].0, rest));
        assert_eq!(found("/events"), Some(("/events", None)));
        assert_eq!(found("/events/a/b"), Some(("/events/{topic}", Some("a/b"))));
        assert_eq!(found("/events/{topic}"), Some(("/events/{topic}", Some("{topic}"))));
        for nowhere in ["/event", "/eventsx", "/topics/", "//", "/{topic}"] {
            assert_eq!(found(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn the_published_description_has_the_same_paths_and_methods() {
        let json: Value = serde_json::from_str(admin::OPENAPI).unwrap();
        let mut described = BTreeSet::new();
        for (path, item) in json["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                described.insert((path.clone(), method.to_ascii_uppercase()));
            }
        }
        let routed: BTreeSet<_> = [ROUTES, mercure::ROUTES]
            .into_iter()
            .flatten()
            .flat_map(|(path, methods)| {
                methods.iter().map(|method| ((*path).to_owned(), method.to_string()))
            })
            .collect();
        assert_eq!(described, routed);
    }
}
