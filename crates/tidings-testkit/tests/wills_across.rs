//! Last wills at hubs that share a log: a hub that starts leaves those of others alone, and those
//! of a hub that has died are carried out by the others, once.

mod careless;
mod cut;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::seeds::{Running, seeds};
use careless::Careless;
use cut::Cut;
use tidings_engine::{LastWill, OpenWill};
use tidings_hub::{Draft, Log, ReadQuery, Topic};
use tidings_testkit::layers::Layered;
use tidings_testkit::server::{Builder, TestServer};
use tidings_testkit::shared_log::{Faults, OneLog};
use tidings_testkit::store_suite::Dice;
use tidings_testkit::wires::Wires;

/// Time that a hub has to say that it is there. A hub of a test that does not get to it within this
/// time is one that is gone.
const HUB_PATIENCE: Duration = Duration::from_secs(4);

/// Time after which a test fails that waits for something.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a will gives others to go on: less than a hub has to answer.
const LOST: Duration = Duration::from_millis(100);

/// Hubs on one log that hear each other.
struct World {
    log: OneLog,
    wires: Wires,
}

impl World {
    fn new() -> Self {
        Self { log: OneLog::new("wills-across"), wires: Wires::default() }
    }

    /// Starts a hub. Its wire has the number of hubs that were started before.
    fn hub(&self, name: &str) -> TestServer {
        self.start(self.log.hub(name))
    }

    fn start(&self, hub: Builder) -> TestServer {
        let hub = hub.wire(self.wires.wire());
        hub.engine(|config| config.hub_patience = HUB_PATIENCE).start()
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn wait<T>(future: impl Future<Output = T> + Send) -> T
where
    T: Send,
{
    thread::scope(|scope| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        scope.spawn(move || runtime.block_on(future)).join().unwrap()
    })
}

fn knows(hub: &TestServer, hubs: u64) -> bool {
    hub.get_json("/stats").json()["hubs"]["known"] == hubs
}

fn publish(hub: &TestServer, topic: &str, data: &str) {
    let began = Instant::now();
    loop {
        let draft = Draft::new(Topic::new(topic).unwrap(), data);
        match wait(hub.engine().publish(vec![draft])) {
            Ok(_) => return,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
    }
}

/// A producer that is there: it has sent `one`, and left a will.
fn produce(hub: &TestServer, topic: &str) -> OpenWill {
    let name = Topic::new(topic).unwrap();
    let began = Instant::now();
    let will = loop {
        let (topic, data) = (name.clone(), "gone".into());
        let will = LastWill { topic, event_type: None, data, patience: LOST };
        match wait(hub.engine().leave_will(will)) {
            Ok(will) => break will,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
    };
    publish(hub, topic, "one");
    will
}

/// `kill -9` of a hub with its producers: nothing is noted, and whatever they hold is forgotten.
fn kill(hub: TestServer, wills: Vec<OpenWill>) {
    wills.into_iter().for_each(std::mem::forget);
    drop(hub);
}

fn is_ended(hub: &TestServer, topic: &str) -> bool {
    let state = wait(hub.engine().topic(Topic::new(topic).unwrap())).unwrap();
    state.is_some_and(|state| state.ended)
}

fn data(hub: &TestServer, topic: &str) -> Vec<String> {
    let page = hub.get_json(&format!("/events/{topic}")).json();
    let events = page["events"].as_array().unwrap().iter();
    events.map(|event| event["data"].as_str().unwrap().to_owned()).collect()
}

/// Notes in the log that begin with `word`, as another hub of the log has them.
fn notes(log: &dyn Log, word: &str) -> usize {
    let page = log.read(&ReadQuery::everything()).unwrap();
    let notes = page.records.iter().filter(|record| record.topic.is_of_notes());
    notes.filter(|record| record.data.starts_with(word)).count()
}

/// A look at the log past all hubs.
struct Observer(tidings_store_shared::SharedStore, Box<tidings_testkit::shared_log::Connection>);

impl Observer {
    fn new(log: &OneLog) -> Self {
        Self(log.store("observer"), log.connection())
    }

    fn notes(&mut self, word: &str) -> usize {
        self.0.follow(&mut *self.1);
        notes(&self.0, word)
    }
}

#[test]
fn a_hub_that_starts_leaves_the_wills_of_live_producers_at_other_hubs_alone() {
    let world = World::new();
    let mut observer = Observer::new(&world.log);
    let hubs = ["a", "b"].map(|name| world.hub(name));
    let held = [produce(&hubs[0], "run/a"), produce(&hubs[1], "run/b")];
    let dead = world.hub("dead");
    let wills = vec![produce(&dead, "run/dead")];
    kill(dead, wills);
    // None of the producers sends anything for longer than its will gives others.
    let third = world.hub("c");
    eventually("the will of the dead hub is carried out", || is_ended(&third, "run/dead"));
    eventually("the live hubs have answered", || observer.notes("there\n") >= 2);
    for (hub, topic) in [(&hubs[0], "run/a"), (&hubs[1], "run/b")] {
        for seen_by in [hub, &third] {
            assert!(!is_ended(seen_by, topic), "{topic}");
            assert_eq!(data(seen_by, topic), ["one"], "{topic}");
        }
    }
    // What they leave behind is carried out by their own hubs.
    drop(held);
    for topic in ["run/a", "run/b"] {
        eventually("it is carried out", || is_ended(&third, topic));
        assert_eq!(data(&third, topic), ["one", "gone"]);
    }
}

#[test]
fn the_wills_of_a_dead_hub_are_carried_out_once_by_those_that_run() {
    let world = World::new();
    let mut observer = Observer::new(&world.log);
    let [a, b, c] = ["a", "b", "c"].map(|name| world.hub(name));
    eventually("they hear each other", || [&a, &b, &c].iter().all(|hub| knows(hub, 3)));
    let held = produce(&b, "run/b");
    let topics: Vec<_> = (0..8).map(|number| format!("run/a/{number}")).collect();
    let wills = topics.iter().map(|topic| produce(&a, topic)).collect();
    // Somebody else goes on with one of them.
    kill(a, wills);
    eventually("a hub asks", || observer.notes("asked\n") > 0);
    publish(&c, "run/a/3", "two");
    for topic in topics.iter().filter(|topic| *topic != "run/a/3") {
        eventually("the will is carried out", || is_ended(&c, topic) && is_ended(&b, topic));
        assert_eq!(data(&b, topic), ["one", "gone"]);
    }
    eventually("all are crossed out", || observer.notes("done\n") == 8);
    assert_eq!(data(&b, "run/a/3"), ["one", "two"]);
    assert!(!is_ended(&b, "run/a/3"));
    assert!(!is_ended(&b, "run/b"));
    // They are done for good.
    publish(&b, "run/a/0", "again");
    let d = world.hub("d");
    drop(held);
    eventually("a later will is carried out", || is_ended(&d, "run/b"));
    assert_eq!(data(&d, "run/a/0"), ["one", "gone", "again"]);
}

#[test]
fn a_hub_that_is_only_not_heard_answers_in_the_log_and_keeps_its_wills() {
    let world = World::new();
    let mut observer = Observer::new(&world.log);
    let [a, b, c] = ["a", "b", "c"].map(|name| world.hub(name));
    eventually("they hear each other", || [&a, &b, &c].iter().all(|hub| knows(hub, 3)));
    let held = produce(&a, "run/a");
    // Everything that it says past the log is lost from here on.
    world.wires.cut(0, true);
    eventually("it was asked, and has answered", || {
        observer.notes("asked\n") > 0 && observer.notes("there\n") > 0
    });
    // Its farewell is lost, too, so only its silence is known, and that it was asked before.
    let dead = world.hub("dead");
    eventually("they hear each other", || [&b, &c].iter().all(|hub| knows(hub, 3)));
    let wills = vec![produce(&dead, "run/dead")];
    world.wires.cut(3, true);
    kill(dead, wills);
    eventually("the will is carried out", || is_ended(&b, "run/dead"));
    assert_eq!(data(&c, "run/dead"), ["one", "gone"]);
    assert_eq!(data(&b, "run/a"), ["one"]);
    assert!(!is_ended(&b, "run/a"));
    drop(held);
    eventually("its own hub carries it out", || is_ended(&b, "run/a"));
}

#[test]
fn a_hub_that_comes_back_does_not_carry_out_again_what_others_did() {
    let world = World::new();
    let is_cut = Arc::new(AtomicBool::new(false));
    let way = || {
        let inner = *world.log.connection();
        Box::new(Layered(Cut { inner, is_cut: Arc::clone(&is_cut) }))
    };
    let store = world.log.store_over("a", way()).following(way(), way()).unwrap();
    let a = world.start(world.log.hub_on(Arc::new(store)));
    let b = world.hub("b");
    let held = produce(&a, "run/a");
    let lost = produce(&a, "run/lost");
    is_cut.store(true, Ordering::Relaxed);
    world.wires.cut(0, true);
    eventually("others carry them out", || is_ended(&b, "run/a") && is_ended(&b, "run/lost"));
    // Its producer is lost before it can know.
    drop(lost);
    for topic in ["run/a", "run/lost"] {
        publish(&b, topic, "again");
    }
    is_cut.store(false, Ordering::Relaxed);
    world.wires.cut(0, false);
    drop(held);
    drop(produce(&a, "run/later"));
    eventually("a later will is carried out", || is_ended(&b, "run/later"));
    for topic in ["run/a", "run/lost"] {
        assert_eq!(data(&b, topic), ["one", "gone", "again"], "{topic}");
    }
}

/// A hub that has not seen the answer of another tries to carry out its will. Returns whether it
/// does so.
fn is_ended_against_the_answer(has_bug: bool) -> bool {
    let world = World::new();
    let mut observer = Observer::new(&world.log);
    let a = world.hub("a");
    let _held = produce(&a, "run/a");
    // It learns what others append only when it appends itself.
    let deaf = world.log.store("deaf");
    let store: Arc<dyn Log> =
        if has_bug { Arc::new(Layered(Careless(deaf))) } else { Arc::new(deaf) };
    let deaf = world.start(world.log.hub_on(Arc::clone(&store)));
    eventually("the hub has answered", || observer.notes("there\n") == 1);
    assert_eq!(notes(&*store, "there\n"), 0, "the other has not seen it");
    let answered = observer.0.bounds().head;
    eventually("the other has tried", || deaf.engine().head() >= answered);
    // What it has tried is decided before its next event is.
    publish(&deaf, "probe", "x");
    is_ended(&deaf, "run/a")
}

#[test]
fn an_answer_that_the_asking_hub_has_not_seen_keeps_the_will() {
    assert!(!is_ended_against_the_answer(false));
}

#[test]
fn without_the_condition_on_the_log_that_is_noticed() {
    assert!(is_ended_against_the_answer(true));
}

#[test]
fn hubs_that_die_and_start_at_random_end_each_dead_producers_topic_once_and_no_live_ones() {
    for seed in seeds(1) {
        let _running = Running(seed);
        die_and_start(Dice::new(seed));
    }
}

fn die_and_start(mut dice: Dice) {
    let world = World::new();
    let mut hubs: Vec<_> = ["a", "b", "c"].map(|name| world.hub(name)).into_iter().collect();
    let mut wills: Vec<Vec<(String, OpenWill)>> = vec![Vec::new(), Vec::new(), Vec::new()];
    let mut wire_of = [0, 1, 2];
    let mut dead: Vec<String> = Vec::new();
    // No answer of the log is certain, and requests go astray.
    let faults = Faults { answer_lost: 40, request_lost: 40, twice: 40, short: 20, ..Faults::NONE };
    world.log.engine().set_faults(Faults { ring_lost: 4, ..faults });
    for round in 0..4 {
        for (number, hub) in hubs.iter().enumerate() {
            for run in 0..=dice.below(2) {
                let topic = format!("run/{round}/{number}/{run}");
                let will = produce(hub, &topic);
                wills[number].push((topic, will));
            }
        }
        // One hub dies, heard or unheard, and another one starts or does not.
        let number = dice.below(3) as usize;
        world.wires.cut(wire_of[number], dice.one_in(2));
        let (topics, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut wills[number]).into_iter().unzip();
        dead.extend(topics);
        let other = (number + 1) % 3;
        kill(std::mem::replace(&mut hubs[number], world.hub(&format!("n{round}"))), left);
        wire_of[number] = 3 + round;
        for topic in &dead {
            eventually("its will is carried out", || is_ended(&hubs[other], topic));
        }
    }
    world.log.engine().set_faults(Faults::NONE);
    let live: Vec<_> = wills.iter().flatten().map(|(topic, _)| topic.clone()).collect();
    assert!(!dead.is_empty() && !live.is_empty());
    for hub in &hubs {
        for topic in &dead {
            eventually("each hub has it", || is_ended(hub, topic));
            assert_eq!(data(hub, topic), ["one", "gone"], "{topic}");
        }
        for topic in &live {
            assert_eq!(data(hub, topic), ["one"], "{topic}");
            assert!(!is_ended(hub, topic), "{topic}");
        }
    }
}
