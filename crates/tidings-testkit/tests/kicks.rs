//! Closing the connections of a user, and denying access.

use serde_json::{Value, json};
use tidings_server::{ApiKey, Denials, JwtKey};
use tidings_testkit::server::TestServer;
use tidings_testkit::token::hs256;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const KEY: (&str, &str) = ("authorization", "Bearer key-0123456789abcdef");
const HUB: &str = "/.well-known/mercure";

fn server(portable: bool, denials: Denials) -> TestServer {
    TestServer::builder()
        .config(|config| {
            config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
            config.http.api_keys =
                vec![ApiKey::new("door", "key-0123456789abcdef", &["**"], &["door/*"]).unwrap()];
            config.http.denials = denials;
        })
        .engine(|engine| engine.portable = portable)
        .start()
}

fn bearer(claims: &Value) -> String {
    format!("Bearer {}", hs256(claims, SECRET))
}

/// A user of an issuer, who may publish and read `a`.
fn user(subject: &str, issuer: &str) -> String {
    let grant = json!({"publish": ["a"], "subscribe": ["a", "b/*"]});
    bearer(&json!({"sub": subject, "iss": issuer, "tidings": grant}))
}

fn operator(words: &[&str]) -> String {
    bearer(&json!({"sub": "op", "tidings": {"operate": words}}))
}

fn code(server: &TestServer, method: &str, target: &str, credential: &str) -> String {
    let answer = server.request(method, target, &[("authorization", credential)], "");
    if answer.status() == 200 { "ok".to_owned() } else { answer.code() }
}

#[test]
fn a_kick_closes_the_streams_of_one_user_on_every_protocol_and_says_why() {
    for portable in [false, true] {
        let server = server(portable, Denials::default());
        let (seven, eight) = (user("7", "i"), user("8", "i"));
        let seven = [("authorization", seven.as_str())];
        let eight = [("authorization", eight.as_str())];
        let mut native = server.subscribe("/events/a", &seven);
        let mut plain = server.subscribe("/events/a?plain", &seven);
        let mut mercure = server.subscribe(&format!("{HUB}?topic=a"), &seven);
        let mut other = server.subscribe("/events/a", &eight);

        let kicker = operator(&["kick"]);
        let kicker = [("authorization", kicker.as_str())];
        let answer = server.request("DELETE", "/connections?sub=7", &kicker, "");
        assert_eq!(answer.json(), json!({"closed": 3}), "{answer:?}");
        let last = native.event().unwrap();
        assert_eq!(last, "event: tidings.closed\ndata: {\"reason\":\"kicked\"}\n\n");
        for stream in [&mut native, &mut plain, &mut mercure] {
            assert!(stream.is_cut(), "no topic has ended");
        }
        // Without a denial it may come back, and nobody else was closed.
        let mut again = server.subscribe("/events/a", &seven);
        server.request("POST", "/events/a", &eight, "x");
        for stream in [&mut again, &mut other] {
            assert!(stream.event().unwrap().ends_with("data: x\n\n"));
        }
        let looker = operator(&["look"]);
        let metrics = server.request("GET", "/metrics", &[("authorization", &looker)], "");
        assert!(metrics.text().contains("reason=\"kicked\"} 3"), "{}", metrics.text());
    }
}

#[test]
fn a_denied_user_is_403_everywhere_until_the_denial_is_lifted() {
    let server = server(false, Denials::default());
    let (seven, elsewhere) = (user("7", "i"), user("7", "j"));
    let kicker = operator(&["kick", "look"]);
    let kick = |target: &str| {
        server.request("DELETE", target, &[("authorization", kicker.as_str())], "").json()
    };
    let told = kick("/connections?sub=7&iss=i&deny=1h");
    assert_eq!(told["closed"], 0, "it needs no stream");
    assert!(told["denied_until"].is_string());
    for (method, target) in [
        ("GET", "/events/a"),
        ("POST", "/events/a"),
        ("DELETE", "/events/a"),
        ("GET", "/topics"),
        ("GET", "/events/a?from=start"),
    ] {
        let headers = [("authorization", seven.as_str())];
        let answer = server.request(method, target, &headers, "x");
        assert_eq!((answer.status(), answer.code().as_str()), (403, "denied"), "{method} {target}");
        assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 3500);
    }
    let headers = [("authorization", seven.as_str())];
    assert_eq!(server.request("GET", &format!("{HUB}?topic=a"), &headers, "").status(), 403);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let answer = server.request("POST", HUB, &[headers[0], form], "topic=a&data=x");
    assert_eq!(answer.status(), 403);
    assert_eq!(code(&server, "GET", "/topics", &elsewhere), "ok", "of another issuer");

    let answer = server.request("GET", "/denials", &[("authorization", &kicker)], "").json();
    assert_eq!(answer["denials"][0]["sub"], "7");
    assert_eq!(answer["denials"][0]["iss"], "i");
    assert_eq!(kick("/denials?sub=7"), json!({"lifted": 0}), "it is of one issuer");
    assert_eq!(kick("/denials?sub=7&iss=i"), json!({"lifted": 1}));
    assert_eq!(code(&server, "GET", "/topics", &seven), "ok");
}

#[test]
fn a_key_a_topic_an_address_and_one_connection_can_be_meant() {
    let server = server(false, Denials::default());
    let kicker = operator(&["kick", "look"]);
    let kicker = [("authorization", kicker.as_str())];
    let seven = user("7", "i");
    let seven = [("authorization", seven.as_str())];
    let mut of_key = server.subscribe("/events/door/1", &[KEY]);
    let mut by_pattern = server.subscribe("/events/b/*", &seven);
    let _a = server.subscribe("/events/a", &seven);

    let list = server.request("GET", "/connections?address=127.0.0.1", &kicker, "").json();
    let list = list["connections"].as_array().unwrap();
    assert_eq!(list.len(), 3, "{list:?}");
    assert_eq!((&list[0]["key"], &list[1]["sub"]), (&json!("door"), &json!("7")));
    assert_eq!(list[1]["topics"], json!(["b/*"]));
    let page = server.request("GET", "/connections?sub=7&limit=1", &kicker, "").json();
    let next = format!("/connections?sub=7&after={}", page["next"].as_str().unwrap());
    let rest = server.request("GET", &next, &kicker, "").json();
    assert_eq!(rest["connections"].as_array().unwrap().len(), 1);

    let delete = |target: &str| server.request("DELETE", target, &kicker, "").json();
    assert_eq!(delete("/connections?key=door&deny=1m")["closed"], 1);
    assert!(of_key.event().unwrap().contains("kicked"));
    assert_eq!(server.request("POST", "/events/x", &[KEY], "x").code(), "denied");
    assert_eq!(delete("/connections?topic=b/**&sub=7"), json!({"closed": 1}));
    assert!(by_pattern.event().unwrap().contains("kicked"));
    let id = list[2]["id"].as_str().unwrap();
    assert_eq!(delete(&format!("/connections/{id}")), json!({"closed": 1}));
    let again = server.request("DELETE", &format!("/connections/{id}"), &kicker, "");
    assert_eq!(again.code(), "connection_unknown");
    // An operator cannot lock itself out by its own address.
    delete("/connections?address=127.0.0.1&deny=1m");
    assert_eq!(server.request("GET", "/topics", &seven, "").code(), "denied");
    assert_eq!(delete("/denials?address=127.0.0.1"), json!({"lifted": 1}));
}

#[test]
fn a_subscriber_without_a_credential_is_found_by_its_address_and_topic() {
    for portable in [false, true] {
        let server = TestServer::builder().engine(|engine| engine.portable = portable).start();
        let mut streams =
            ["a", "b", "c"].map(|topic| server.subscribe(&format!("/events/{topic}"), &[]));
        let list = |query: &str| {
            let list = server.request("GET", &format!("/connections?{query}"), &[], "").json();
            list["connections"].as_array().unwrap().clone()
        };
        let all = list("address=127.0.0.1");
        let topics: Vec<_> = all.iter().map(|one| one["topics"][0].as_str().unwrap()).collect();
        assert_eq!(topics, ["a", "b", "c"], "in the order in which they came");
        assert!(all.iter().all(|one| one["address"] == "127.0.0.1" && one.get("sub").is_none()));
        assert!(list("address=192.0.2.1").is_empty());
        // A page at a time.
        let first = list("address=127.0.0.1&limit=2");
        assert_eq!(first[..], all[..2]);
        let after = first[1]["id"].as_str().unwrap();
        assert_eq!(list(&format!("address=127.0.0.1&after={after}"))[..], all[2..]);

        let kicked = server.request("DELETE", "/connections?topic=b", &[], "").json();
        assert_eq!(kicked, json!({"closed": 1}));
        assert!(streams[1].event().unwrap().contains("kicked"));
        assert_eq!(list("address=127.0.0.1").len(), 2);
    }
}

#[test]
fn only_the_word_kick_kicks_and_a_request_names_somebody() {
    let server = server(false, Denials::default());
    let everything = bearer(&json!({"tidings": {"publish": ["**"], "subscribe": ["**"]}}));
    for credential in [everything, operator(&["look"]), user("7", "i")] {
        for target in ["/connections?sub=7", "/connections/1-1", "/denials?sub=7"] {
            assert_eq!(code(&server, "DELETE", target, &credential), "not_granted", "{target}");
        }
    }
    let kicker = operator(&["kick"]);
    for target in [
        "/connections",
        "/connections?deny=1h",
        "/connections?iss=i&deny=1h",
        "/connections?topic=a&deny=1h",
        "/connections?sub=7&key=door&deny=1h",
        "/denials",
    ] {
        assert_eq!(code(&server, "DELETE", target, &kicker), "invalid_query", "{target}");
    }
    for deny in ["0s", "31d", "x", ""] {
        let target = format!("/connections?sub=7&deny={deny}");
        assert_eq!(code(&server, "DELETE", &target, &kicker), "invalid_parameter", "{deny}");
    }
}

#[test]
fn a_denial_survives_a_restart_and_a_damaged_file_is_no_empty_list() {
    let folder = std::env::temp_dir().join(format!("tidings-denials-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("denials.json");
    let (kicker, seven) = (operator(&["kick"]), user("7", "i"));
    {
        let server = server(false, Denials::open(path.clone()).unwrap());
        assert_eq!(code(&server, "DELETE", "/connections?sub=7&deny=1h", &kicker), "ok");
    }
    {
        let server = server(false, Denials::open(path.clone()).unwrap());
        assert_eq!(code(&server, "GET", "/topics", &seven), "denied");
        assert_eq!(code(&server, "DELETE", "/denials?sub=7", &kicker), "ok");
    }
    assert!(Denials::open(path.clone()).unwrap().list().is_empty());
    std::fs::write(&path, "[{\"until_ms\":4000000000000}]").unwrap();
    assert!(Denials::open(path).is_err());
    std::fs::remove_dir_all(folder).unwrap();
}
