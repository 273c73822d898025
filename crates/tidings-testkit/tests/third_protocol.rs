//! A third protocol in a few lines: what a [`Face`] has to say, and what it leaves as it was.

use std::pin::Pin;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, StatusCode};
use tidings_http::answer::{self, Answer};
use tidings_http::problem::{Code, Problem};
use tidings_http::whole_body::WholeBody;
use tidings_http::{RequestBody, State};
use tidings_hub::{Draft, Topic};
use tidings_server::{ApiKey, Face};
use tidings_testkit::http::Response;
use tidings_testkit::server::{Builder, TestServer};

/// `POST /shout` publishes its body, in capitals, on the topic `shouts`.
#[derive(Debug, Default)]
struct Shout {
    /// The password of this protocol alone; without one, callers need the hub's keys.
    password: Option<&'static str>,
}

impl Face for Shout {
    fn name(&self) -> &'static str {
        "shout"
    }

    fn claims(&self, path: &str) -> bool {
        path == "/shout"
    }

    fn has_keys(&self) -> bool {
        self.password.is_some()
    }

    fn answer<'a>(
        &'a self,
        state: &'a State,
        parts: &'a Parts,
        body: RequestBody,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(async move {
            let shouted = self.shout(state, parts, body).await;
            Answer::Response(match shouted {
                Ok(id) => answer::whole(StatusCode::CREATED, "text/plain", id + "\n"),
                Err(problem) => state.refuse(parts, problem),
            })
        })
    }
}

impl Shout {
    async fn shout(
        &self,
        state: &State,
        parts: &Parts,
        body: RequestBody,
    ) -> Result<String, Problem> {
        if parts.method != Method::POST {
            return Err(Problem::new(Code::MethodNotAllowed, "shout with POST"));
        }
        let topic = Topic::new("shouts").unwrap();
        match self.password {
            None => state.auth().identify(parts, None).await?.check_publish(&topic)?,
            Some(password)
                if parts.headers.get("password").is_some_and(|sent| sent == password) => {}
            Some(_) => return Err(Problem::new(Code::TokenRequired, "send `Password`")),
        }
        let body = WholeBody::read(state.body_room(), body, 1000).await?;
        let text = std::str::from_utf8(&body)
            .map_err(|_| Problem::new(Code::InvalidUtf8, "shout in UTF-8"))?;
        let draft = Draft::new(topic, text.to_uppercase());
        let appended = state.publish(None, vec![draft]).await;
        let appended =
            appended.map_err(|_| Problem::new(Code::StoreUnavailable, "shout again later"))?;
        Ok(appended[0].id.to_string())
    }
}

fn hub_with(shout: Shout) -> Builder {
    TestServer::builder().config(|config| config.faces = vec![Arc::new(shout)])
}

fn shout(server: &TestServer, headers: &[(&str, &str)]) -> Response {
    server.request("POST", "/shout", headers, "hello")
}

#[test]
fn a_third_protocol_publishes_to_native_subscribers() {
    let server = hub_with(Shout::default()).start();
    let mut subscriber = server.subscribe("/events/shouts", &[]);
    let answer = shout(&server, &[]);
    assert_eq!(answer.status(), 201, "{answer:?}");
    let event = format!("id: {}\ndata: HELLO\n\n", answer.text().trim_end());
    assert_eq!(subscriber.event(), Some(event));
}

#[test]
fn a_third_protocol_answers_at_its_own_path_and_leaves_every_other_as_it_was() {
    let with = hub_with(Shout::default()).start();
    let without = TestServer::start();
    assert_eq!(with.request("GET", "/shout", &[], "").status(), 405, "its own answer");
    assert_eq!(shout(&without, &[]).status(), 404);
    for (method, target) in [
        ("POST", "/shout/"),
        ("POST", "/shouts"),
        ("POST", "/events/shout"),
        ("GET", "/topics"),
        ("GET", "/healthz"),
        ("GET", "/"),
        ("PUT", "/events/shout"),
        ("GET", "/.well-known/mercure"),
    ] {
        let status = |server: &TestServer| server.request(method, target, &[], "x").status();
        assert_eq!(status(&with), status(&without), "{method} {target}");
    }
}

#[test]
fn requests_of_a_third_protocol_have_a_label_of_their_own_in_the_metrics() {
    let server = hub_with(Shout::default()).start();
    shout(&server, &[]);
    shout(&server, &[]);
    server.request("GET", "/shout", &[], "");
    server.request("GET", "/shouts", &[], "");
    let answer = server.get_json("/metrics");
    let page = answer.text();
    for sample in [
        "tidings_requests_total{route=\"shout\",status=\"2xx\"} 2",
        "tidings_requests_total{route=\"shout\",status=\"4xx\"} 1",
        "tidings_requests_total{route=\"none\",status=\"4xx\"} 1",
    ] {
        assert!(page.lines().any(|line| line == sample), "no {sample} in\n{page}");
    }
}

#[test]
fn the_hubs_keys_and_hosts_hold_for_a_third_protocol_too() {
    let protected = hub_with(Shout::default()).config(|config| {
        let key = |name: &str, key: &str, publish: &[&str]| {
            ApiKey::new(name, key, publish, &["**"]).unwrap()
        };
        config.http.api_keys = vec![
            key("loud", "may-shout-at-length", &["shouts"]),
            key("other", "may-not-shout-at-all", &["a"]),
        ];
    });
    let protected = protected.start();
    let with =
        |token: &str| shout(&protected, &[("authorization", &*format!("Bearer {token}"))]).status();
    assert_eq!(shout(&protected, &[]).status(), 401);
    assert_eq!(with("may-not-shout-at-all"), 403);
    assert_eq!(with("may-shout-at-length"), 201);

    let open = hub_with(Shout::default()).start();
    assert_eq!(shout(&open, &[("host", "evil.example")]).status(), 421);
}

#[test]
fn a_password_of_a_third_protocol_opens_nothing_else() {
    let server = hub_with(Shout { password: Some("swordfish") }).start();
    let password = ("password", "swordfish");
    assert_eq!(shout(&server, &[]).status(), 401);
    assert_eq!(shout(&server, &[password]).status(), 201);
    for (method, target) in [
        ("GET", "/events/shouts"),
        ("POST", "/events/shouts"),
        ("DELETE", "/events/shouts"),
        ("GET", "/topics"),
        ("GET", "/stats"),
        ("GET", "/metrics"),
        ("GET", "/.well-known/mercure?topic=shouts"),
    ] {
        let headers = [password, ("accept", "application/json")];
        let answer = server.request(method, target, &headers, "x");
        assert_eq!(answer.status(), 401, "{method} {target}: {answer:?}");
    }
}
