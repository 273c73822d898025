//! What several hubs of one log do for the subscribers of all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_server::{Denials, JwtKey};
use tidings_testkit::http::Connection;
use tidings_testkit::server::TestServer;
use tidings_testkit::token::hs256;
use tidings_testkit::wires::Wires;

const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
/// Time after which a test fails that waits for something.
const PATIENCE: Duration = Duration::from_secs(30);

/// Hubs that hear each other.
struct Cluster {
    wires: Wires,
    hubs: Vec<TestServer>,
}

impl Cluster {
    fn of(count: u64) -> Self {
        let wires = Wires::default();
        let hubs = (1..=count).map(|seed| hub(&wires, seed, Denials::default())).collect();
        let cluster = Self { wires, hubs };
        for hub in &cluster.hubs {
            eventually(|| known(hub) == count);
        }
        cluster
    }
}

fn hub(wires: &Wires, seed: u64, denials: Denials) -> TestServer {
    TestServer::builder()
        .wire(wires.wire())
        .config(|config| {
            config.http.jwt_keys = vec![JwtKey::hs256(SECRET).unwrap()];
            config.http.denials = denials;
        })
        .engine(|engine| engine.seed = seed)
        .start()
}

fn eventually(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "the condition never holds");
        thread::sleep(Duration::from_millis(20));
    }
}

fn known(hub: &TestServer) -> u64 {
    get(hub, "/stats")["hubs"]["known"].as_u64().unwrap()
}

fn bearer(claims: &Value) -> String {
    format!("Bearer {}", hs256(claims, SECRET))
}

fn operator() -> String {
    bearer(&json!({"sub": "op", "tidings": {"operate": ["kick", "look"], "subscribe": ["**"]}}))
}

fn user(subject: &str) -> String {
    let grant = json!({"publish": ["a", "b/**"], "subscribe": ["a", "b/**"]});
    bearer(&json!({"sub": subject, "tidings": grant}))
}

fn get(hub: &TestServer, target: &str) -> Value {
    hub.request("GET", target, &[("authorization", &operator())], "").json()
}

fn delete(hub: &TestServer, target: &str) -> Value {
    hub.request("DELETE", target, &[("authorization", &operator())], "").json()
}

fn subscribe(hub: &TestServer, target: &str, subject: &str) -> Connection {
    hub.subscribe(target, &[("authorization", &user(subject))])
}

fn status(hub: &TestServer, subject: &str) -> u16 {
    hub.request("GET", "/topics", &[("authorization", &user(subject))], "").status()
}

fn is_kicked(stream: &mut Connection) -> bool {
    stream.event().unwrap().contains("kicked")
}

#[test]
fn a_kick_at_any_hub_closes_the_streams_at_all() {
    let Cluster { hubs, .. } = Cluster::of(3);
    let mut streams: Vec<_> = hubs.iter().map(|hub| subscribe(hub, "/events/a", "7")).collect();
    let mut other = subscribe(&hubs[2], "/events/a", "8");
    let answer = delete(&hubs[0], "/connections?sub=7");
    let all = json!({"answered": 3, "known": 3});
    assert_eq!(answer, json!({"closed": 3, "hubs": all}));
    assert!(streams.iter_mut().all(is_kicked));
    hubs[2].request("POST", "/events/a", &[("authorization", &user("8"))], "x");
    assert!(other.event().unwrap().ends_with("data: x\n\n"));
}

#[test]
fn one_connection_is_found_and_closed_from_any_hub() {
    let Cluster { hubs, wires } = Cluster::of(2);
    let mut stream = subscribe(&hubs[1], "/events/a", "7");
    let list = get(&hubs[0], "/connections?sub=7");
    let id = list["connections"][0]["id"].as_str().unwrap();
    let report = get(&hubs[0], &format!("/connections/{id}"));
    assert_eq!((&report["id"], &report["state"]), (&json!(id), &json!("live")));

    let target = format!("/connections/{id}");
    let kick = || hubs[0].request("DELETE", &target, &[("authorization", &operator())], "");
    wires.cut(1, true);
    let silent = kick();
    assert_eq!((silent.status(), silent.code().as_str()), (504, "hub_silent"));
    wires.cut(1, false);
    assert_eq!(kick().json()["closed"], 1);
    assert!(is_kicked(&mut stream));
    eventually(|| kick().status() == 404);
    let never = hubs[0].request("GET", "/connections/00000009-1", &[], "");
    assert_eq!(never.status(), 401, "the grant is checked where the request is");
    let operator = operator();
    let headers = [("authorization", operator.as_str())];
    let never = hubs[0].request("GET", "/connections/00000009-1", &headers, "");
    assert_eq!(never.code(), "connection_unknown", "there is no such hub");
}

#[test]
fn the_list_of_all_hubs_comes_in_pages() {
    let Cluster { hubs, .. } = Cluster::of(3);
    let _streams: Vec<_> =
        (0..7).map(|number| subscribe(&hubs[number % 3], "/events/b/x", "7")).collect();
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let page = get(&hubs[1], &format!("/connections?sub=7&limit=2{after}"));
        let ids = page["connections"].as_array().unwrap();
        found.extend(ids.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(found.len(), 7);
    assert!(found.is_sorted(), "{found:?}");
}

#[test]
fn subscribers_are_counted_at_all_hubs_and_the_answer_says_how_many_those_are() {
    let Cluster { hubs, wires } = Cluster::of(3);
    let _streams: Vec<_> = hubs.iter().map(|hub| subscribe(hub, "/events/a", "7")).collect();
    hubs[0].request("POST", "/events/a", &[("authorization", &user("8"))], "x");
    let topics = get(&hubs[0], "/topics");
    assert_eq!(topics["topics"][0]["subscribers"], 3);
    assert_eq!(topics["hubs"], json!({"answered": 3, "known": 3}));
    let stats = get(&hubs[0], "/stats");
    assert_eq!(stats["hubs"], json!({"answered": 3, "known": 3, "subscribers": 3}));
    assert_eq!(stats["subscribers"], 1);

    wires.cut(2, true);
    let part = get(&hubs[0], "/topics");
    assert_eq!(part["topics"][0]["subscribers"], 2);
    assert_eq!(part["hubs"], json!({"answered": 2, "known": 3}), "a part is never a whole");
    let alone = get(&hubs[2], "/topics");
    assert_eq!(alone["hubs"], json!({"answered": 1, "known": 3, "away": true}));
    wires.cut(2, false);
    eventually(|| get(&hubs[0], "/stats")["hubs"]["answered"] == 3);
}

#[test]
fn a_denial_reaches_all_hubs_and_outlives_a_restart_and_a_cut() {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("tidings-several-hubs-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("denials.json");
    let wires = Wires::default();
    let one = hub(&wires, 1, Denials::default());
    let two = hub(&wires, 2, Denials::open(path.clone()).unwrap());
    eventually(|| known(&one) == 2);

    let denied = delete(&one, "/connections?sub=7&deny=1h");
    assert_eq!(denied["hubs"]["answered"], 2);
    assert_eq!((status(&one, "7"), status(&two, "7")), (403, 403), "when it was answered");
    two.stop();
    let two = hub(&wires, 3, Denials::open(path).unwrap());
    assert_eq!(status(&two, "7"), 403);

    // What happens while a hub is away reaches it when it is back.
    let mut stream = subscribe(&two, "/events/a", "8");
    wires.cut(2, true);
    delete(&one, "/connections?sub=8&deny=1h");
    assert_eq!(delete(&one, "/denials?sub=7")["lifted"], 1);
    assert_eq!((status(&two, "7"), status(&two, "8")), (403, 200));
    wires.cut(2, false);
    eventually(|| status(&two, "7") == 200 && status(&two, "8") == 403);
    assert!(is_kicked(&mut stream));

    // A hub that is new to the log learns of it.
    let three = hub(&wires, 4, Denials::default());
    eventually(|| status(&three, "8") == 403);
    assert_eq!(delete(&three, "/denials?sub=8")["lifted"], 1);
    assert_eq!((status(&one, "8"), status(&two, "8")), (200, 200));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_hub_without_others_answers_as_ever() {
    let alone = hub(&Wires::default(), 1, Denials::default());
    assert_eq!(get(&alone, "/stats")["hubs"]["known"], 1);
    let single = TestServer::start();
    for target in ["/stats", "/topics"] {
        assert!(single.get_json(target).json().get("hubs").is_none(), "{target}");
    }
    let answer = single.request("DELETE", "/connections?sub=7", &[], "").json();
    assert_eq!(answer, json!({"closed": 0}));
}
