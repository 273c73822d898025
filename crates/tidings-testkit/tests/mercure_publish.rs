//! Publishing as Mercure clients do, in both dialects at once.

use crate::mercure;
use crate::mercure::{FORM, HUB, Tokens, bearer, drop_in, event, id_of, post, publish_as};
use serde_json::json;
use tidings_testkit::server::TestServer;

fn status(server: &TestServer, token: &str, form: &str) -> (u16, String) {
    let answer = publish_as(server, token, form);
    (answer.status(), answer.text().to_owned())
}

#[test]
fn a_form_becomes_an_event_and_the_answer_is_its_id() {
    let server = drop_in();
    let tokens = Tokens::everything();
    for token in [&tokens.zero, &tokens.one] {
        let mut stream = server
            .subscribe(&format!("{HUB}?topic=https://x/1"), &[("authorization", &bearer(token))]);
        let form =
            "topic=https%3A%2F%2Fx%2F1&data=one%0D%0Atwo%0Dthree&type=t&retry=700&id=urn:my:1";
        let answer = publish_as(&server, token, form);
        assert_eq!((answer.status(), answer.text()), (200, "urn:my:1"));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(
            event(&mut stream),
            "event: t\nid: urn:my:1\nretry: 700\ndata: one\ndata: two\ndata: three\n\n"
        );
        let answer = publish_as(&server, token, "topic=https://x/1&retry=0&id=&type=");
        let id = answer.text().to_owned();
        assert!(!id.is_empty() && !id.ends_with('\n'));
        assert_eq!(event(&mut stream), format!("id: {id}\ndata: \n\n"));
    }
}

#[test]
fn only_the_first_of_a_field_counts_and_the_query_does_not() {
    let server = drop_in();
    let token = bearer(&Tokens::everything().zero);
    let mut stream =
        server.subscribe(&format!("{HUB}?topic=a&topic=b"), &[("authorization", &token)]);
    let form = "topic=a&topic=b&data=x&data=y&unknown=z&target=old";
    let headers = [("authorization", token.as_str()), FORM];
    let answer = server.request("POST", &format!("{HUB}?topic=c&data=q"), &headers, form);
    assert_eq!(answer.status(), 200);
    assert!(event(&mut stream).ends_with("data: x\n\n"));
    post(&server, "topic=b&data=last");
    assert!(event(&mut stream).ends_with("data: last\n\n"), "and it came once");
}

#[test]
fn a_body_that_is_not_a_form_has_no_topic() {
    let server = drop_in();
    let token = bearer(&Tokens::everything().zero);
    for content_type in ["application/json", "multipart/form-data; boundary=x", ""] {
        let headers = [("authorization", token.as_str()), ("content-type", content_type)];
        let answer = server.request("POST", HUB, &headers, "topic=a&data=x");
        assert_eq!((answer.status(), answer.text()), (400, "Missing \"topic\" parameter\n"));
    }
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "Application/X-WWW-Form-Urlencoded; charset=utf-8"),
    ];
    assert_eq!(server.request("POST", HUB, &headers, "topic=a").status(), 200);
}

#[test]
fn errors_of_a_0_x_publish_have_their_statuses() {
    let server = drop_in();
    let token = Tokens::everything().zero;
    let many = "topic=a&".repeat(1001);
    for (form, expected, text) in [
        ("data=x", 400, "Missing \"topic\" parameter"),
        (many.as_str(), 400, "topic"),
        ("topic=a&retry=x", 400, "Invalid \"retry\" parameter"),
        ("topic=a&retry=-1", 400, "Invalid \"retry\" parameter"),
        ("topic=a&retry=99999999999999999999", 400, "Invalid \"retry\" parameter"),
        ("topic=%zz", 400, "Bad Request"),
        ("topic=a;b", 400, "Bad Request"),
        ("topic=https://x/.well-known/mercure/y", 403, "namespace"),
        ("topic=a&id=a%0Ab", 400, "id"),
        ("topic=a&id=a%00b", 400, "id"),
        ("topic=a&type=a%0Db", 400, "type"),
        ("topic=", 400, "topic"),
    ] {
        let (status, body) = status(&server, &token, form);
        assert_eq!(status, expected, "{form}: {body}");
        assert!(body.contains(text), "{form}: {body}");
    }
    for form in [
        "topic=*",
        "topic=a&id=earliest",
        "topic=a&type=mercure",
        "topic=a&id=%23x",
        "topic=a&data=%ff",
        "topic=a%e2%80%8bb",
    ] {
        assert_eq!(status(&server, &token, form).0, 200, "{form}");
    }
}

#[test]
fn errors_of_a_1_0_publish_have_their_statuses() {
    let server = drop_in();
    let token = Tokens::everything().one;
    let many = "topic=a&".repeat(1001);
    for (form, expected) in [
        ("data=x", 400),
        (many.as_str(), 400),
        ("topic=a&retry=x", 400),
        ("topic=/.well-known/mercure/subscriptions", 400),
        ("topic=/.well-known/%256dercure/x", 400),
        ("topic=/.well-known/%25256dercure", 200),
        ("topic=https://other.example/.well-known/mercure/y", 200),
        ("topic=*", 400),
        ("topic=a%e2%80%8bb", 400),
        ("topic=%ff", 400),
        ("topic=a&data=%ff", 400),
        ("topic=a&id=earliest", 400),
        ("topic=a&id=%23x", 400),
        ("topic=a&id=a%01", 400),
        ("topic=a&type=mercure", 400),
        ("topic=a&type=a%c2%85", 400),
        ("topic=a&data=a%01%0A", 200),
    ] {
        let (status, body) = status(&server, &token, form);
        assert_eq!(status, expected, "{form}: {body}");
    }
}

#[test]
fn a_body_that_is_too_large_gets_its_dialects_status() {
    let server = drop_in();
    let tokens = Tokens::everything();
    let form = format!("topic=a&data={}", "x".repeat((1 << 20) + 1));
    assert_eq!(status(&server, &tokens.zero, &form).0, 400);
    assert_eq!(status(&server, &tokens.one, &form).0, 413);
    let server = TestServer::builder().config(|config| {
        mercure::configure(config);
        config.http.event_bytes_max = 2 << 20;
    });
    assert_eq!(status(&server.start(), &tokens.zero, &form).0, 200);
}

#[test]
fn a_token_must_cover_every_topic() {
    let server = drop_in();
    let tokens = Tokens::publishing(&["https://x/{id}"], "https://x/:id");
    let covered = "topic=https://x/1&topic=https://x/2";
    let not = "topic=https://x/1&topic=https://y/2";
    assert_eq!(status(&server, &tokens.zero, covered).0, 200);
    assert_eq!(status(&server, &tokens.one, covered).0, 200);
    for (token, expected) in [(&tokens.zero, 401), (&tokens.one, 403)] {
        let answer = publish_as(&server, token, not);
        assert_eq!(answer.status(), expected);
        assert!(answer.text().contains("https://y/2"), "{}", answer.text());
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    }
    // Permissions are checked before the namespace.
    let (status_zero, _) = status(&server, &tokens.zero, "topic=/.well-known/mercure/x");
    let (status_one, _) = status(&server, &tokens.one, "topic=/.well-known/mercure/x");
    assert_eq!((status_zero, status_one), (401, 403));
}

#[test]
fn a_token_without_publish_may_not_publish() {
    let server = drop_in();
    let nobody = mercure::zero(&json!({ "mercure": { "subscribe": ["*"] } }));
    assert_eq!(status(&server, &nobody, "topic=a").0, 401);
    let nothing = mercure::zero(&json!({ "mercure": { "publish": [] } }));
    assert_eq!(status(&server, &nothing, "topic=a").0, 401);
    let one = mercure::one(&json!([]));
    assert_eq!(status(&server, &one, "topic=a").0, 403);
}

#[test]
fn a_namespaced_claim_wins() {
    let server = drop_in();
    let claims = json!({
        "https://mercure.rocks/": { "publish": ["a"] },
        "mercure": { "publish": ["b"] },
    });
    let token = mercure::zero(&claims);
    assert_eq!(status(&server, &token, "topic=a").0, 200);
    assert_eq!(status(&server, &token, "topic=b").0, 401);
}

#[test]
fn an_event_published_over_mercure_can_be_read_natively() {
    let server = drop_in();
    let id = id_of(&post(&server, "topic=news/today&data=x"));
    let key = mercure::native_token();
    let headers = [("authorization", key.as_str()), ("accept", "application/json")];
    let page = server.request("GET", "/events/news/today", &headers, "").json();
    assert_eq!(page["events"][0]["id"], id.as_str());
}

#[test]
fn an_open_hub_takes_forms_from_programs_but_not_from_foreign_pages() {
    let server = TestServer::start();
    assert_eq!(server.request("POST", HUB, &[FORM], "topic=a&data=x").status(), 200);
    let any = ("authorization", "Bearer whatever");
    assert_eq!(server.request("POST", HUB, &[FORM, any], "topic=a").status(), 200);
    let foreign = ("origin", "https://elsewhere.example");
    assert_eq!(server.request("POST", HUB, &[FORM, foreign], "topic=a").status(), 403);
}

#[test]
fn an_id_that_no_client_could_send_back_is_rejected_on_every_route() {
    let server = drop_in();
    let tokens = Tokens::everything();
    let native = mercure::native_token();
    for (id, json) in [
        ("a%01b", "a\\u0001b"),
        ("a%1fb", "a\\u001fb"),
        ("a%7f", "a\\u007f"),
        ("a%09b", "a\\tb"),
        ("%20a", " a"),
        ("a%20", "a "),
        ("%20", " "),
        ("a%c2%85", "a\\u0085"),
    ] {
        for token in [&tokens.zero, &tokens.one] {
            let (status, body) = status(&server, token, &format!("topic=a&data=x&id={id}"));
            assert_eq!(status, 400, "{id}: {body}");
            assert!(body.contains("id"), "{id}: {body}");
        }
        let post = |target: &str, kind: &str, body: &str| {
            let headers = [("authorization", native.as_str()), ("content-type", kind)];
            server.request("POST", target, &headers, body)
        };
        let one = post(&format!("/events/a?id={id}"), "text/plain", "x");
        assert_eq!((one.status(), one.code().as_str()), (400, "invalid_field"), "{id}");
        let line = format!("{{\"data\":\"x\",\"id\":\"{json}\"}}\n");
        let batch = post("/events/a", "application/x-ndjson", &line);
        assert_eq!(batch.status(), 400, "{id}: {}", batch.text());
        let text: String = serde_json::from_str(&format!("\"{json}\"")).unwrap();
        let stream = post("/events/a", "text/event-stream", &format!("id: {text}\ndata: x\n\n"));
        assert_eq!(stream.status(), 400, "{id}: {}", stream.text());
    }
    let headers = [("authorization", native.as_str()), ("accept", "application/json")];
    let page = server.request("GET", "/events/a", &headers, "").json();
    assert_eq!(page["events"].as_array().map(Vec::len), Some(0), "nothing was published");
    assert_eq!(status(&server, &tokens.zero, "topic=a&data=x&id=a%20b").0, 200);
}
