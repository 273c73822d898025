//! `?from=state` at hubs that share a log: what one hub has sent of a state, another one continues.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_testkit::http::{Connection, request};
use tidings_testkit::server::TestServer;
use tidings_testkit::shared_log::OneLog;

/// Time after which a test fails that waits for something.
const PATIENCE: Duration = Duration::from_secs(30);

fn eventually(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "the condition never holds");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until `behind` has what `ahead` has now.
fn follow(behind: &TestServer, ahead: &TestServer) {
    let head = ahead.engine().head();
    eventually(|| behind.engine().head() >= head);
}

/// Publishes with `target` as topic and query. Returns the id.
fn put(hub: &TestServer, target: &str, data: &str) -> String {
    let answer = hub.post(&format!("/events/{target}"), data);
    assert_eq!(answer.status(), 200, "{target}: {}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn remove(hub: &TestServer, target: &str) -> String {
    let answer = hub.request("DELETE", &format!("/events/{target}"), &[], "");
    assert_eq!(answer.status(), 200, "{target}: {}", answer.text());
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn position(id: &str) -> u64 {
    let (_, place) = id.split_once(':').unwrap();
    place.split('.').next().unwrap().parse().unwrap()
}

/// An event of a stream with envelopes, or of a page.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    id: String,
    topic: String,
    key: String,
    /// `None` if the key was removed.
    data: Option<String>,
    is_piece: bool,
}

impl Event {
    fn of(id: &str, value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().map(ToOwned::to_owned);
        Self {
            id: id.to_owned(),
            topic: text("topic").unwrap(),
            key: text("key").unwrap_or_default(),
            data: text("data"),
            is_piece: value["whole"] == false,
        }
    }

    fn in_page(event: &Value) -> Self {
        let is_removed = event["removed"] == true;
        let found = Self::of(event["id"].as_str().unwrap(), event);
        Self { data: found.data.filter(|_| !is_removed), ..found }
    }

    fn value(id: &str, topic: &str, key: &str, data: &str) -> Self {
        Self {
            id: id.to_owned(),
            topic: topic.to_owned(),
            key: key.to_owned(),
            data: Some(data.to_owned()),
            is_piece: false,
        }
    }

    fn removal(id: &str, topic: &str, key: &str) -> Self {
        Self { data: None, ..Self::value(id, topic, key, "") }
    }
}

/// What a stream of a state sends.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    Event(Event),
    Complete { count: u64, upto: String },
}

fn next(stream: &mut Connection) -> Sent {
    let block = stream.event().expect("the stream goes on");
    let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    let data: Value = serde_json::from_str(line("data: ").unwrap()).unwrap();
    match line("event: ") {
        Some("tidings.state") => {
            let (count, upto) = (data["count"].as_u64(), data["upto"].as_str());
            Sent::Complete { count: count.unwrap(), upto: upto.unwrap().to_owned() }
        }
        None | Some("tidings.removed") => Sent::Event(Event::of(line("id: ").unwrap(), &data)),
        Some(other) => panic!("{other}: {block}"),
    }
}

const TOPICS: &str = "topic=x/*&topic=y";

/// A stream of the state, with envelopes; `after` is the place to continue from.
fn open(hub: &TestServer, after: Option<&str>) -> Connection {
    let mut headers = vec![("accept", "text/event-stream")];
    headers.extend(after.map(|id| ("last-event-id", id)));
    let mut stream = hub.connect();
    let target = format!("/events?{TOPICS}&from=state&envelope=json");
    stream.send(request("GET", &target, &headers, b""));
    let head = stream.head();
    assert_eq!((head.status, head.header("tidings-resume")), (200, Some("state")));
    stream
}

/// A page of the state: its events, where the next one begins, and whether it is the last one.
fn page(hub: &TestServer, limit: usize, after: Option<&str>) -> (Vec<Event>, String, bool) {
    let after = after.map(|id| format!("&after={id}")).unwrap_or_default();
    let answer = hub.get_json(&format!("/events?{TOPICS}&from=state&limit={limit}{after}"));
    assert_eq!((answer.status(), answer.header("tidings-resume")), (200, Some("state")));
    let page = answer.json();
    let events = page["events"].as_array().unwrap().iter().map(Event::in_page).collect();
    (events, page["next"].as_str().unwrap().to_owned(), page["complete"] == true)
}

/// The fold of events: by topic and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Map(BTreeMap<(String, String), String>);

impl Map {
    fn take(&mut self, event: Event) {
        let slot = (event.topic, event.key);
        match event.data {
            None => drop(self.0.remove(&slot)),
            Some(piece) if event.is_piece => {
                self.0.get_mut(&slot).expect("a piece comes after its value").push_str(&piece);
            }
            Some(data) => drop(self.0.insert(slot, data)),
        }
    }
}

/// The fold of all events up to `upto`, which the hub has.
fn fold(hub: &TestServer, upto: &str) -> Map {
    let (mut map, mut after) = (Map::default(), String::new());
    loop {
        let page = hub.get_json(&format!("/events?{TOPICS}&limit=1000{after}")).json();
        let events = page["events"].as_array().unwrap();
        for event in events.iter().map(Event::in_page) {
            if position(&event.id) > position(upto) {
                return map;
            }
            map.take(event);
        }
        if events.is_empty() {
            return map;
        }
        after = format!("&after={}", page["next"].as_str().unwrap());
    }
}

fn hubs(log: &OneLog, portable: bool) -> [TestServer; 2] {
    ["a", "b"].map(|name| log.hub(name).engine(|engine| engine.portable |= portable).start())
}

#[test]
fn each_hub_sends_the_state_of_what_is_published_at_all_and_goes_on_live() {
    for portable in [false, true] {
        let log = OneLog::new("shared-state");
        let [a, b] = hubs(&log, portable);
        put(&a, "x/1?key=A", "old");
        put(&a, "x/1?key=gone", "x");
        put(&a, "x/2", "superseded");
        follow(&b, &a);
        let kept = put(&b, "x/2?key=A", "kept");
        let retained = put(&b, "x/2", "retained");
        put(&b, "other?key=A", "not asked for");
        put(&b, "y?append=text", "one ");
        follow(&a, &b);
        remove(&a, "x/1?key=gone");
        let newest = put(&a, "x/1?key=A", "new");
        let text = put(&a, "y?append=text", "two");
        let end = put(&a, "other", "not asked for");
        follow(&b, &a);
        let expected = || {
            vec![
                Event::value(&kept, "x/2", "A", "kept"),
                Event::value(&retained, "x/2", "", "retained"),
                Event::value(&newest, "x/1", "A", "new"),
                Event::value(&text, "y", "text", "one two"),
            ]
        };
        let mut streams = [&a, &b].map(|hub| open(hub, None));
        for (hub, stream) in [&a, &b].into_iter().zip(&mut streams) {
            assert_eq!(page(hub, 100, None), (expected(), end.clone(), true));
            for event in expected() {
                assert_eq!(next(stream), Sent::Event(event));
            }
            assert_eq!(next(stream), Sent::Complete { count: 4, upto: end.clone() });
        }
        let live = put(&b, "y?append=text", " three");
        let removed = remove(&b, "x/2?key=A");
        for stream in &mut streams {
            let piece = Event { is_piece: true, ..Event::value(&live, "y", "text", " three") };
            assert_eq!(next(stream), Sent::Event(piece));
            assert_eq!(next(stream), Sent::Event(Event::removal(&removed, "x/2", "A")));
        }
    }
}

/// What a reader gets at another hub that had two of five events: the state changes meanwhile, at
/// both hubs.
struct Broken {
    last: String,
    held: Map,
    rest: Vec<Event>,
    end: String,
}

impl Broken {
    fn new(a: &TestServer, b: &TestServer, mut read_two: impl FnMut() -> Vec<Event>) -> Self {
        for (target, data) in [
            ("x/1?key=stays", "1"),
            ("x/1?key=changes", "2"),
            ("x/2?key=never-seen", "3"),
            ("x/2", "4"),
            ("y?append=text", "5"),
        ] {
            put(a, target, data);
        }
        let mut held = Map::default();
        let had = read_two();
        let last = had[1].id.clone();
        assert_eq!(had.iter().map(|event| &*event.key).collect::<Vec<_>>(), ["stays", "changes"]);
        had.into_iter().for_each(|event| held.take(event));
        follow(b, a);
        let seen = remove(b, "x/1?key=changes");
        let unseen = remove(b, "x/2?key=never-seen");
        let retained = put(b, "x/2", "6");
        follow(a, b);
        let text = put(a, "y?append=text", "7");
        let new = put(a, "x/3?key=new", "8");
        let rest = vec![
            Event::removal(&seen, "x/1", "changes"),
            Event::removal(&unseen, "x/2", "never-seen"),
            Event::value(&retained, "x/2", "", "6"),
            Event::value(&text, "y", "text", "57"),
            Event::value(&new, "x/3", "new", "8"),
        ];
        Self { last, held, rest, end: new }
    }
}

#[test]
fn a_stream_of_a_state_that_breaks_at_one_hub_goes_on_at_another() {
    for portable in [false, true] {
        let log = OneLog::new("shared-state");
        let [a, b] = hubs(&log, portable);
        let Broken { last, mut held, rest, end } = Broken::new(&a, &b, || {
            let mut stream = open(&a, None);
            (0..2).map(|_| next(&mut stream)).map(Sent::unwrap).collect()
        });
        follow(&b, &a);
        let mut stream = open(&b, Some(&last));
        for event in rest {
            let sent = next(&mut stream).unwrap();
            assert_eq!(sent, event);
            held.take(event);
        }
        assert_eq!(next(&mut stream), Sent::Complete { count: 5, upto: end.clone() });
        assert_eq!(held, fold(&b, &end));
        // At the head of either hub nothing has changed.
        for hub in [&a, &b] {
            let complete = Sent::Complete { count: 0, upto: end.clone() };
            assert_eq!(next(&mut open(hub, Some(&end))), complete);
        }
    }
}

#[test]
fn pages_of_a_state_follow_each_other_from_hub_to_hub() {
    let log = OneLog::new("shared-state");
    let [a, b] = hubs(&log, false);
    let mut after = None::<String>;
    let Broken { mut held, rest, end, .. } = Broken::new(&a, &b, || {
        let (events, next, is_complete) = page(&a, 2, None);
        assert!(!is_complete);
        after = Some(next);
        events
    });
    follow(&b, &a);
    let (mut found, mut hubs) = (Vec::new(), [&b, &a].into_iter().cycle());
    loop {
        let (events, next, is_complete) = page(hubs.next().unwrap(), 2, after.as_deref());
        found.extend(events);
        after = Some(next);
        if is_complete {
            break;
        }
    }
    assert_eq!(after.as_ref(), Some(&end));
    assert_eq!(found, rest);
    found.into_iter().for_each(|event| held.take(event));
    assert_eq!(held, fold(&b, &end));
}

#[test]
fn a_hub_that_has_not_followed_gives_the_state_from_a_place_ahead_of_its_copy() {
    let log = OneLog::new("shared-state");
    let [a, b] = ["a", "b"].map(|name| log.deaf_hub(name).start());
    put(&a, "x/1?key=A", "1");
    let had = put(&a, "x/1?key=B", "2");
    put(&a, "x/1?key=A", "3");
    let last = remove(&a, "x/1?key=B");
    // The place is one that the hub does not know. It looks at the log before it answers.
    let (events, end, is_complete) = page(&b, 100, Some(&had));
    let keys: Vec<_> = events.iter().map(|event| (&*event.key, event.data.as_deref())).collect();
    assert_eq!((keys, is_complete), (vec![("A", Some("3")), ("B", None)], true));
    assert_eq!(end, last);
    // One that no hub has given is a reset, and all of the state.
    let unknown = format!("{}999.0", end.split_once(':').unwrap().0.to_owned() + ":");
    let answer = b.get_json(&format!("/events?{TOPICS}&from=state&after={unknown}"));
    assert_eq!((answer.status(), answer.header("tidings-resume")), (200, Some("reset")));
    let page = answer.json();
    assert_eq!((&page["complete"], &page["events"][0]["data"]), (&json!(true), &json!("3")));
    assert_eq!(page["events"].as_array().unwrap().len(), 1, "{page}");
}

/// The change number `number` of a publisher: keys of three topics, values that grow, events
/// without a key, and removals.
fn change(hub: &TestServer, number: u64, key_of: impl Fn(u64) -> u64) {
    let key = key_of(number * 7 % 13 % 5);
    let topic = ["x/1", "x/2", "y"][(number % 3) as usize];
    let (method, query) = match number % 10 {
        0 | 5 => ("DELETE", format!("?key={key}")),
        1 | 6 => ("POST", String::new()),
        2 | 4 | 7 => ("POST", format!("?append={key}")),
        _ => ("POST", format!("?key={key}")),
    };
    let data = if method == "POST" { format!("{number};") } else { String::new() };
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "change {number} is not answered");
        let target = format!("/events/{topic}{query}");
        match hub.request(method, &target, &[], &data).status() {
            // Another hub was faster.
            503 => {}
            // There is no such key.
            404 if method == "DELETE" => return,
            status => return assert_eq!(status, 200, "{target}"),
        }
    }
}

/// Whether the map of a client that came to `hub` is the state as of `upto`.
fn check(hub: &TestServer, map: &Map, upto: &str) {
    assert_eq!(*map, fold(hub, upto), "at {upto}");
}

/// Publishers at two hubs change a few keys all the time, while clients of streams and of pages
/// move from one hub to the other.
#[test]
fn at_each_completion_the_map_of_a_client_that_moves_is_the_fold_of_all_events() {
    const CHANGES: u64 = 400;
    for portable in [false, true] {
        let log = OneLog::new("shared-state");
        let hubs = hubs(&log, portable);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let (hubs, is_over) = (&hubs, &is_over);
            let publishers = [0, 1].map(|own| {
                // Some keys are changed at both hubs.
                let key_of = move |key: u64| if key < 3 { key } else { key * 10 + own };
                scope.spawn(move || {
                    (0..CHANGES).for_each(|n| change(&hubs[own as usize], n, key_of))
                })
            });
            let clients = [
                scope.spawn(|| streams(hubs, 0, is_over)),
                scope.spawn(|| streams(hubs, 1, is_over)),
                scope.spawn(|| pages(hubs, is_over)),
            ];
            let published: Vec<_> = publishers.into_iter().map(|one| one.join()).collect();
            is_over.store(true, Ordering::Relaxed);
            // Each stream that waits for an event gets one.
            put(&hubs[0], "x/1?key=last", "last");
            published.into_iter().for_each(Result::unwrap);
            for client in clients {
                assert!(client.join().unwrap() > 3, "there were completions");
            }
        });
    }
}

/// Returns the number of times that the map was complete.
fn streams(hubs: &[TestServer; 2], client: usize, is_over: &AtomicBool) -> u64 {
    let (mut map, mut last) = (Map::default(), None::<String>);
    let mut completed = 0;
    for round in client.. {
        let [hub, other] = if round % 2 == 0 { [&hubs[0], &hubs[1]] } else { [&hubs[1], &hubs[0]] };
        // A hub that is behind may not have what superseded a value that the other one passed over.
        follow(hub, other);
        let mut stream = open(hub, last.as_deref());
        // Sometimes it breaks in the middle.
        for _ in 0..if round % 3 == 0 { 2 } else { 25 } {
            if is_over.load(Ordering::Relaxed) {
                return completed;
            }
            match next(&mut stream) {
                Sent::Event(event) => {
                    last = Some(event.id.clone());
                    map.take(event);
                }
                Sent::Complete { upto, .. } => {
                    check(hub, &map, &upto);
                    completed += 1;
                    last = Some(upto);
                }
            }
        }
    }
    completed
}

/// Returns the number of times that the map was complete.
fn pages(hubs: &[TestServer; 2], is_over: &AtomicBool) -> u64 {
    let (mut map, mut after) = (Map::default(), None::<String>);
    let mut completed = 0;
    for round in 0.. {
        let [hub, other] = if round % 2 == 0 { [&hubs[0], &hubs[1]] } else { [&hubs[1], &hubs[0]] };
        follow(hub, other);
        let (events, next, is_complete) = page(hub, 3, after.as_deref());
        for event in events {
            assert!(!event.is_piece, "an event of a state is a whole value");
            map.take(event);
        }
        if is_complete {
            check(hub, &map, &next);
            completed += 1;
            if is_over.load(Ordering::Relaxed) {
                return completed;
            }
        }
        after = Some(next);
    }
    completed
}

impl Sent {
    fn unwrap(self) -> Event {
        match self {
            Self::Event(event) => event,
            Self::Complete { upto, .. } => panic!("the state is complete at {upto}"),
        }
    }
}
