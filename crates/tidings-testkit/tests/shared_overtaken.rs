//! Publishers in one batch of a hub, of which another hub of the log overtakes one.

mod gated;

use std::sync::Arc;
use std::thread;

use gated::{Gate, Gated};
use tidings_engine::{Engine, PublishError, Run};
use tidings_hub::{Appended, Draft, Expected, Key, Kind, Topic};
use tidings_testkit::layers::Layered;
use tidings_testkit::server::TestServer;
use tidings_testkit::shared_log::OneLog;
use tokio::runtime::Runtime;

type Answer = Result<Vec<Appended>, PublishError>;

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

fn event(name: &str, data: &str) -> Draft {
    Draft::new(topic(name), data)
}

fn keyed(name: &str, data: &str, expected: Option<Expected>) -> Draft {
    let key = Some(Key::new("k").unwrap());
    Draft { key, expected: expected.map(Box::new), ..event(name, data) }
}

fn once(name: &str, data: &str) -> Draft {
    Draft { id: Some("x".parse().unwrap()), once: true, ..event(name, data) }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A hub that hears nothing of the others, and whose appends wait at a gate.
struct World {
    log: OneLog,
    other: TestServer,
    hub: TestServer,
    gate: Arc<Gate>,
}

impl World {
    fn new() -> Self {
        let log = OneLog::new("shared-overtaken");
        let other = log.hub("other").start();
        let gate = Arc::<Gate>::default();
        let store = Layered(Gated { store: log.store("hub"), gate: Arc::clone(&gate) });
        let hub = log.hub_on(Arc::new(store)).start();
        Self { log, other, hub, gate }
    }

    /// What another hub does.
    fn meanwhile(&self, draft: Draft) {
        runtime().block_on(self.other.engine().publish(vec![draft])).unwrap();
    }

    /// Publishes `drafts`, each as a job of its own and the last one as `run` says, in one batch,
    /// which the hub judges before `overtaking` happens at the other.
    fn publish(&self, drafts: Vec<Draft>, run: Run, overtaking: Draft) -> Vec<Answer> {
        let engine = self.hub.engine();
        thread::scope(|scope| {
            self.gate.close();
            let first = vec![event("before", "x")];
            scope.spawn(move || runtime().block_on(engine.publish(first)).unwrap());
            self.gate.wait_for(1);
            let mut jobs: Vec<_> = Vec::new();
            let last = drafts.len() - 1;
            for (number, draft) in drafts.into_iter().enumerate() {
                let run = if number == last { run.clone() } else { Run::default() };
                let queued = self.gate.queued();
                jobs.push(scope.spawn(move || {
                    let publish = publish(engine, draft, run);
                    runtime().block_on(queued.poll_then_tell(publish))
                }));
                self.gate.wait_until_queued(number + 1);
            }
            // The batch that the committer is at is the first; all these are the second.
            self.gate.let_one_pass();
            self.gate.wait_for(2);
            self.meanwhile(overtaking);
            self.gate.open();
            jobs.into_iter().map(|job| job.join().unwrap()).collect()
        })
    }

    /// The data on the topic, as the log has it.
    fn data(&self, name: &str) -> Vec<String> {
        // It follows what is there as it appends.
        let hub = self.log.deaf_hub("observer").start();
        let page = hub.get_json(&format!("/events/{name}")).json();
        let events = page["events"].as_array().unwrap().iter();
        events.map(|event| event["data"].as_str().unwrap().to_owned()).collect()
    }
}

async fn publish(engine: &Engine, draft: Draft, run: Run) -> Answer {
    if run.begins {
        return engine.publish_stream(run).publish_whole(vec![draft]).await;
    }
    engine.publish(vec![draft]).await
}

fn assert_stored(answers: &[Answer]) {
    for answer in answers {
        assert!(answer.is_ok(), "not its fault: {answer:?}");
    }
}

#[test]
fn only_the_publisher_whose_key_was_changed_at_another_hub_learns_of_it() {
    let world = World::new();
    let drafts =
        vec![event("a", "one"), event("b", "two"), keyed("t", "mine", Some(Expected::Absent))];
    let answers = world.publish(drafts, Run::default(), keyed("t", "theirs", None));
    assert_stored(&answers[..2]);
    let Err(PublishError::VersionDiffers { current: Some(_), .. }) = &answers[2] else {
        panic!("{answers:?}")
    };
    assert_eq!([world.data("a"), world.data("b")], [["one"], ["two"]]);
    assert_eq!(world.data("t"), ["theirs"]);
}

#[test]
fn only_the_publisher_that_was_to_begin_a_topic_learns_that_another_hub_has() {
    let world = World::new();
    let begins = Run { topic: Some(topic("t")), begins: true };
    let drafts = vec![event("a", "one"), event("t", "mine")];
    let answers = world.publish(drafts, begins, event("t", "theirs"));
    assert_stored(&answers[..1]);
    assert!(matches!(&answers[1], Err(PublishError::TopicExists { .. })), "{answers:?}");
    assert_eq!(world.data("a"), ["one"]);
    assert_eq!(world.data("t"), ["theirs"]);
}

#[test]
fn only_the_publisher_whose_topic_another_hub_has_ended_learns_of_it() {
    let world = World::new();
    world.meanwhile(event("t", "begun"));
    let end = |data: &str| Draft { kind: Kind::LastEvent, ..event("t", data) };
    let answers =
        world.publish(vec![event("a", "one"), end("mine")], Run::default(), end("theirs"));
    assert_stored(&answers[..1]);
    assert!(matches!(&answers[1], Err(PublishError::TopicEnded { .. })), "{answers:?}");
    assert_eq!(world.data("a"), ["one"]);
    assert_eq!(world.data("t"), ["begun", "theirs"]);
}

#[test]
fn only_the_publisher_whose_id_another_hub_has_used_learns_of_it() {
    let world = World::new();
    let drafts = vec![event("a", "one"), once("t", "mine")];
    let answers = world.publish(drafts, Run::default(), once("t", "theirs"));
    assert_stored(&answers[..1]);
    assert!(matches!(&answers[1], Err(PublishError::IdReused { .. })), "{answers:?}");
    assert_eq!(world.data("a"), ["one"]);
    assert_eq!(world.data("t"), ["theirs"]);
}
