//! From a request to the code that answers it.

use std::pin::Pin;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::Value;
use tidings_engine::Rejection;
use tidings_http::answer::{self, Answer};
use tidings_http::body::{self, RequestBody};
use tidings_http::client::Client;
use tidings_http::face::Face;
use tidings_http::hubs::Hubs;
use tidings_http::state::State;
use tidings_http::trace;

use crate::context::Context;
use crate::error_answer::ErrorAnswer;
use crate::mercure::Mercure;
use crate::paths::{self, HUB, METADATA};
use crate::{cors, metadata, publish, subscribe, subscriptions};

impl Face for Mercure {
    fn name(&self) -> &'static str {
        "mercure"
    }

    fn claims(&self, path: &str) -> bool {
        paths::has(path)
    }

    fn has_keys(&self) -> bool {
        self.config().has_keys()
    }

    fn told(&self, state: &State, from: u32, body: Value) {
        if let Some(hubs) = self.hubs(state) {
            self.presence.told(state.engine(), hubs, from, body);
        }
    }

    fn beat(&self, state: &State) {
        if let Some(hubs) = self.hubs(state) {
            self.presence.beat(hubs);
        }
    }

    fn tell_news(&self, state: &State) {
        if let Some(hubs) = self.hubs(state) {
            self.presence.tell_news(hubs);
        }
    }

    fn hub_left(&self, state: &State, run: u32) {
        if self.hubs(state).is_some() {
            self.presence.hub_left(state.engine(), run);
        }
    }

    fn answer<'a>(
        &'a self,
        state: &'a State,
        parts: &'a Parts,
        body: RequestBody,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(answer(Context::new(self, state, parts), body))
    }
}

impl Mercure {
    /// The other hubs, if presence is shown at all.
    fn hubs<'a>(&self, state: &'a State) -> Option<&'a Hubs> {
        state.hubs().filter(|_| self.config().subscriptions).map(|hubs| &**hubs)
    }
}

async fn answer(context: Context<'_>, body: RequestBody) -> Answer {
    let answered = dispatch(&context, body).await;
    let Context { state, parts, site, .. } = &context;
    let mut answer = answered.unwrap_or_else(|refusal| {
        tracing::debug!(
            method = %parts.method,
            path = parts.uri.path(),
            client = Client::of(parts).map(|client| display(client.address)),
            status = refusal.status().as_u16(),
            detail = refusal.text(),
            "request rejected"
        );
        trace::refused(refusal.kind());
        Answer::Response(refusal.into_response(site))
    });
    cors::apply(state, parts, answer.headers_mut());
    answer
}

async fn dispatch(context: &Context<'_>, body: RequestBody) -> Result<Answer, ErrorAnswer> {
    let parts = context.parts;
    let method = &parts.method;
    let subscribes = method == Method::GET || method.as_str() == subscribe::QUERY;
    if let Some(rejection) = Client::excess(parts)
        && !(subscribes && parts.uri.path() == HUB)
    {
        return Err(match rejection {
            Rejection::HubConnections => ErrorAnswer::unavailable(rejection.sentence()),
            _ => ErrorAnswer::too_many(rejection.sentence(), Duration::from_secs(10)),
        });
    }
    body::check_coding(&parts.headers, &body).map_err(|problem| {
        ErrorAnswer::new(problem.code().status(), problem.detail().to_owned())
            .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
    })?;
    match parts.uri.path() {
        HUB if method == Method::POST => publish::publish(context, body).await,
        HUB if method == Method::GET
            || method == Method::HEAD
            || method.as_str() == subscribe::QUERY =>
        {
            subscribe::subscribe(context, body).await
        }
        METADATA if method == Method::GET || method == Method::HEAD => {
            Ok(metadata::metadata(context))
        }
        path if context.mercure.config().subscriptions && subscriptions::has(path) => match *method
        {
            Method::GET | Method::HEAD => subscriptions::subscriptions(context).await,
            Method::OPTIONS => Ok(Answer::Response(answer::empty(StatusCode::NO_CONTENT))),
            _ => Err(wrong_method("GET, HEAD, OPTIONS")),
        },
        HUB | METADATA if method == Method::OPTIONS => {
            Ok(Answer::Response(answer::empty(StatusCode::NO_CONTENT)))
        }
        HUB => Err(wrong_method("GET, HEAD, QUERY, POST, OPTIONS")),
        METADATA => Err(wrong_method("GET, HEAD, OPTIONS")),
        _ => Err(ErrorAnswer::new(StatusCode::NOT_FOUND, "404 page not found")),
    }
}

fn wrong_method(allowed: &'static str) -> ErrorAnswer {
    ErrorAnswer::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        .with_header(header::ALLOW, HeaderValue::from_static(allowed))
}
