//! Event ids of a log that several nodes share: they have a check, a node that is behind waits for
//! the log, and a client that holds an id of a lost event gets a reset.
use std::sync::Arc;
use std::time::Duration;

use tidings_hub::{
    Epoch, Interest, Log, Outcome, Position, ResetReason, ResolveError, Resolved, Start,
};
use tidings_testkit::http::{Connection, Response, request};
use tidings_testkit::remote_log::{Journal, Link, RemoteLog};
use tidings_testkit::server::TestServer;
use tidings_testkit::store_suite::{Retention, at, draft};

const SSE: (&str, &str) = ("accept", "text/event-stream");

/// A hub on a journal.
struct Node {
    link: Arc<Link>,
    log: Arc<RemoteLog>,
    server: TestServer,
}

impl Node {
    fn on(journal: &Arc<Journal>) -> Self {
        let (link, log) = open(journal);
        let server = TestServer::builder().store(Arc::clone(&log) as Arc<dyn Log>).start();
        Self { link, log, server }
    }

    /// Publishes; returns the event's id.
    fn publish(&self, data: &str) -> String {
        let answer = self.server.post("/events/t", data);
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Asks for a stream after the event `id`, without waiting for the answer.
    fn ask_after(&self, id: &str) -> Connection {
        let mut stream = self.server.connect();
        stream.send(request("GET", "/events/t", &[SSE, ("last-event-id", id)], b""));
        stream
    }

    /// Waits until this node has the event `id`, which another one published.
    fn follows(&self, id: &str) {
        assert_eq!(self.history_after(id).header("tidings-resume"), Some("resumed"));
    }

    fn history_after(&self, id: &str) -> Response {
        self.server.get_json(&format!("/events/t?after={id}"))
    }
}

fn journal() -> Arc<Journal> {
    Arc::new(Journal::new(Epoch::from_random(7)))
}

fn open(journal: &Arc<Journal>) -> (Arc<Link>, Arc<RemoteLog>) {
    let link = Link::new(journal, Duration::from_micros(100));
    let log = Arc::new(RemoteLog::open(journal, &link, Retention::ALL));
    (link, log)
}

fn append(log: &dyn Log, data: &str) -> String {
    log.append(vec![draft("t", data)], at(1)).unwrap()[0].id.to_string()
}

/// The start after `id`. A reset is proved first, as the engine does.
fn resolve(log: &dyn Log, id: &str) -> Result<Resolved, ResolveError> {
    let look = || Start::After(id.to_owned()).resolve(log, &Interest::everything());
    match look() {
        Err(ResolveError::Unproved { .. }) => {
            log.shared().unwrap().prove_head().unwrap();
        }
        start => return start,
    }
    match look() {
        Err(ResolveError::Unproved { otherwise }) => Ok(otherwise),
        start => start,
    }
}

fn resumed(position: u64) -> Resolved {
    let position = Position::new(position);
    Resolved { position, told: position, outcome: Outcome::Resumed }
}

fn replaced(id: &str) -> Resolved {
    let outcome = Outcome::Reset { reason: ResetReason::Replaced, requested: id.to_owned() };
    Resolved { position: Position::ZERO, told: Position::ZERO, outcome }
}

/// The id without its check.
fn plain(id: &str) -> &str {
    id.split_once('.').unwrap().0
}

fn id_of(block: &str) -> &str {
    block.lines().find_map(|line| line.strip_prefix("id: ")).unwrap()
}

#[test]
fn an_id_of_an_event_that_the_log_lost_is_recognised_although_its_position_is_taken_again() {
    let before = journal();
    let (_link, log) = open(&before);
    let ids = ["one", "two", "three"].map(|data| append(&*log, data));
    let after = Arc::new(before.rolled_back(1));
    let (_link, log) = open(&after);
    let new = ["zwei", "drei", "vier"].map(|data| append(&*log, data));
    assert_eq!(resolve(&*log, &ids[0]).unwrap(), resumed(1));
    for (lost, taken) in ids[1..].iter().zip(&new) {
        assert_eq!(plain(lost), plain(taken), "the same position");
        assert_eq!(resolve(&*log, lost).unwrap(), replaced(lost));
    }
    assert_eq!(resolve(&*log, &new[0]).unwrap(), resumed(2));
    assert_eq!(resolve(&*log, plain(&ids[1])).unwrap(), resumed(2), "an id from before checks");
    let made_up = format!("{}.aaaa", plain(&new[2]));
    assert_eq!(resolve(&*log, &made_up).unwrap(), replaced(&made_up));
}

#[test]
fn a_log_without_checks_takes_no_id_with_one_for_its_own() {
    let server = TestServer::start();
    // With somebody who reads, the newest events are answered from memory.
    let mut reader = server.subscribe("/events/t?from=start", &[]);
    let id = server.post("/events/t", "x").json()["id"].as_str().unwrap().to_owned();
    assert!(!id.contains('.'), "{id}");
    assert_eq!(id_of(&reader.event().unwrap()), id);
    for (suffix, outcome) in [("", "resumed"), (".abcd", "reset")] {
        let after = format!("{id}{suffix}");
        let history = server.get_json(&format!("/events/t?after={after}"));
        assert_eq!(history.header("tidings-resume"), Some(outcome), "{after}");
        // Nor can a publisher use one.
        let refused = server.post(&format!("/events/t?id={after}"), "y");
        assert_eq!(refused.status(), 400, "{after}");
    }
}

#[test]
fn every_id_that_a_client_gets_has_the_check_of_its_record() {
    let journal = journal();
    let node = Node::on(&journal);
    let ids = ["one", "two"].map(|data| node.publish(data));
    let mut stream = node.server.subscribe("/events/t?from=start", &[]);
    let opened = stream.block().unwrap();
    assert!(opened.starts_with("event: tidings.open"), "{opened}");
    for id in &ids {
        assert_eq!(id_of(&stream.event().unwrap()), id, "replayed");
    }
    let live = node.publish("three");
    assert_eq!(id_of(&stream.event().unwrap()), live);
    let mut late = node.ask_after(&live);
    assert_eq!(late.head().header("tidings-resume"), Some("resumed"));
    assert_eq!(id_of(&late.block().unwrap()), live, "the place where it begins");

    let history = node.server.get_json("/events/t").json();
    assert_eq!(history["events"][1]["id"], ids[1]);
    assert_eq!(history["next"], live);
    let topics = node.server.get_json("/topics").json();
    assert_eq!(topics["topics"][0]["last_id"], live);
    let stats = node.server.get_json("/stats").json();
    assert_eq!((&stats["first_id"], &stats["last_id"]), (&ids[0].as_str().into(), &live.into()));
}

#[test]
fn a_heartbeat_has_the_check_of_the_newest_event_whatever_its_topic() {
    let journal = journal();
    let (_link, log) = open(&journal);
    let server = TestServer::builder()
        .store(Arc::clone(&log) as Arc<dyn Log>)
        .engine(|config| config.heartbeat = Duration::from_millis(100))
        .start();
    let mut stream = server.subscribe("/events/quiet", &[]);
    let elsewhere = server.post("/events/t", "x").json()["id"].as_str().unwrap().to_owned();
    assert!(stream.reads(format!("id: {elsewhere}\n").as_bytes()));
}

#[test]
fn a_client_that_moves_to_a_node_that_is_behind_waits_for_it_and_resumes() {
    let journal = journal();
    let (ahead, behind) = (Node::on(&journal), Node::on(&journal));
    behind.follows(&ahead.publish("one"));
    behind.link.down();
    let id = ahead.publish("two");
    let mut streams: Vec<_> = (0..100).map(|_| behind.ask_after(&id)).collect();
    // Waiting takes no thread: the node serves others meanwhile.
    let mut other = behind.server.subscribe("/events/t?from=start", &[]);
    assert!(other.event().unwrap().contains("data: one\n"));
    assert!(!streams[0].has_input(), "it waits");
    behind.link.up();
    let next = ahead.publish("three");
    for stream in &mut streams {
        let head = stream.head();
        assert_eq!((head.status, head.header("tidings-resume")), (200, Some("resumed")));
        let event = stream.event().unwrap();
        assert!(event.contains("data: three\n") && id_of(&event) == next, "{event}");
    }
}

#[test]
fn a_client_that_is_ahead_of_a_node_that_stays_behind_is_asked_to_come_back() {
    let journal = journal();
    let (ahead, behind) = (Node::on(&journal), Node::on(&journal));
    behind.link.down();
    let id = ahead.publish("one");
    let mut stream = behind.ask_after(&id);
    let history = behind.history_after(&id);
    assert_eq!((history.status(), history.code().as_str()), (503, "store_unavailable"));
    assert!(history.header("retry-after").is_some(), "{history:?}");
    let head = stream.head();
    assert_eq!((head.status, head.header("tidings-resume")), (200, None), "no word of a reset");
    let block = stream.block().unwrap();
    assert!(block.contains("\nretry: ") && !block.contains("tidings.reset"), "{block}");
    assert!(stream.is_cut(), "so it comes back");
    behind.link.up();
    let mut again = behind.ask_after(&id);
    assert_eq!(again.head().header("tidings-resume"), Some("resumed"));
}

#[test]
fn a_publishers_id_that_a_node_does_not_have_yet_is_no_reason_for_a_reset() {
    let journal = journal();
    let (ahead, behind) = (Node::on(&journal), Node::on(&journal));
    behind.link.down();
    assert_eq!(ahead.server.post("/events/t?id=mine", "one").status(), 200);
    let history = behind.history_after("mine");
    assert_eq!(history.status(), 503, "the log cannot be asked: {history:?}");
    behind.link.up();
    let history = behind.history_after("mine");
    assert_eq!(history.header("tidings-resume"), Some("resumed"));
    let history = behind.history_after("another");
    assert_eq!(history.header("tidings-resume"), Some("reset"));
}

#[test]
fn an_id_whose_check_fits_is_a_place_in_the_log_whatever_its_epoch() {
    let journal = journal();
    let (_link, log) = open(&journal);
    let id = append(&*log, "one");
    append(&*log, "two");
    let (epoch, place) = id.split_once(':').unwrap();
    assert_ne!(epoch, "zzzzzz");
    // As one made by a node that knows a newer name of the log.
    assert_eq!(resolve(&*log, &format!("zzzzzz:{place}")).unwrap(), resumed(1));
    let other = format!("zzzzzz:{}.aaaa", plain(place));
    assert_eq!(resolve(&*log, &other).unwrap(), replaced(&other));
}

#[test]
fn an_id_beyond_the_proved_head_is_unknown() {
    let journal = journal();
    let node = Node::on(&journal);
    let id = node.publish("one");
    let never = format!("{}9.aaaa", plain(&id));
    let history = node.history_after(&never);
    assert_eq!(history.status(), 200);
    assert_eq!(history.json()["reset"]["reason"], "unknown");
    assert_eq!(history.json()["events"][0]["data"], "one", "all there is");
    assert_eq!(node.log.bounds().head, Position::new(1), "a proof is no event");
}
