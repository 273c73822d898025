//! A hub on which the table is run.

use std::collections::BTreeSet;

use serde_json::Value;
use tidings_testkit::backend::Backend;
use tidings_testkit::server::TestServer;
use tokio::runtime::Runtime;

use super::client::{Body, Client, MARKS, PATIENCE};
use super::credential::{self, configure, everything};
use super::model::{self, Event, Kind};
use super::request::{HUB, Request};
use super::{CREDENTIALS, Case, Credential, Protocol};

pub(crate) struct World {
    server: TestServer,
    runtime: Runtime,
    /// It answers as long as streams run.
    _application: Backend,
    /// The cookie of the session.
    session: String,
    /// All that was published.
    log: Vec<Event>,
    ended: BTreeSet<String>,
    streams: Vec<(Case, Body)>,
    disagreements: Vec<String>,
}

impl World {
    /// A hub with events on every topic.
    pub(crate) fn start(portable: bool) -> Self {
        let application = Backend::start(credential::application);
        let server = TestServer::builder()
            .config(|config| configure(config, &application))
            .engine(|engine| engine.portable = portable)
            .start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let session = credential::begin_session(&server);
        let mut world = Self {
            server,
            session,
            runtime,
            _application: application,
            log: Vec::new(),
            ended: BTreeSet::new(),
            streams: Vec::new(),
            disagreements: Vec::new(),
        };
        let topics = ["own/1", "own/2", "own/a/b", "other/1", "public/1", "public/private"];
        for topic in topics {
            for kind in [Kind::Native, Kind::Update, Kind::Private] {
                world.seed(topic, kind);
            }
            // A topic must be there to be ended.
            world.seed(&format!("{topic}-end"), Kind::Native);
        }
        world
    }

    fn seed(&mut self, topic: &str, kind: Kind) {
        let data = data(self.log.len(), &format!("{kind:?}:{topic}"));
        let everything = everything();
        let authorization = ("authorization", everything.as_str());
        let form = ("content-type", "application/x-www-form-urlencoded");
        let private = if kind == Kind::Private { "&private=on" } else { "" };
        let answer = match kind {
            Kind::Native => {
                self.server.request("POST", &format!("/events/{topic}"), &[authorization], &data)
            }
            Kind::Update | Kind::Private => {
                let body = format!("topic={topic}&data={data}{private}");
                self.server.request("POST", HUB, &[authorization, form], body)
            }
        };
        assert_eq!(answer.status(), 200, "{answer:?}");
        self.log.push(Event { topic: topic.to_owned(), data, kind });
    }

    /// Runs the cases in their order. Returns where the hub and the model disagree.
    pub(crate) fn run(mut self, cases: &[Case]) -> Vec<String> {
        let runtime = std::mem::replace(
            &mut self.runtime,
            tokio::runtime::Builder::new_current_thread().build().unwrap(),
        );
        runtime.block_on(async {
            // A connection for each bearer, with all of its streams.
            let mut clients = Vec::new();
            for _ in CREDENTIALS {
                clients.push(Client::connect(self.server.address()).await);
            }
            for (number, case) in cases.iter().enumerate() {
                let client = &mut clients[case.credential as usize];
                self.run_case(client, number, case).await;
            }
            self.check_log(&mut clients[0]).await;
            self.read_streams().await;
        });
        let Self { server, log, streams, mut disagreements, .. } = self;
        // Whatever is still on its way comes before the end of its stream.
        let stopping = std::thread::spawn(|| server.stop());
        for (case, mut body) in streams {
            runtime.block_on(body.read_to_end());
            compare(&mut disagreements, &case, "deliver", &expected(&case, &log), &body.data);
        }
        stopping.join().unwrap();
        disagreements
    }

    async fn run_case(&mut self, client: &mut Client, number: usize, case: &Case) {
        let data = data(number + 1000, &format!("{:?}:{}", case.request, case.topic()));
        let mut sent = case.sent(&data);
        if case.credential == Credential::Session {
            sent.headers.push(("cookie", self.session.clone()));
        }
        let (status, mut body) = client.send(&sent, case.protocol).await;
        let expected_status = model::status(case);
        if status != expected_status {
            let name = case.name();
            self.disagreements.push(format!("{name}: {status} instead of {expected_status}"));
        }
        // A topic that has ended is not ended again.
        if status == 200
            && (case.request != Request::End || self.ended.insert(case.topic()))
            && let Some(kind) = case.publishes()
        {
            self.log.push(Event { topic: case.topic(), data, kind });
        }
        if status == 200 && case.request.is_stream() {
            self.streams.push((*case, body));
            return;
        }
        body.read_to_end().await;
        match case.request {
            Request::Page if status == 200 => {
                let expected = expected(case, &self.log);
                compare(&mut self.disagreements, case, "show", &expected, &body.data);
            }
            Request::Topics if status == 200 => self.check_topics(case, &body.text),
            _ if !body.data.is_empty() => {
                self.disagreements.push(format!("{}: tells {:?}", case.name(), body.text));
            }
            _ => {}
        }
    }

    fn check_topics(&mut self, case: &Case, text: &str) {
        let grant = model::grant(case).unwrap_or_default();
        let prefix = case.topic.matcher.trim_end_matches('*');
        let expected: BTreeSet<_> = self.log.iter().map(|event| event.topic.clone()).collect();
        let expected = expected.into_iter().filter(|topic| topic.starts_with(prefix));
        let expected: Vec<_> = expected.filter(|topic| model::may_see(&grant, topic)).collect();
        let shown: Value = serde_json::from_str(text).unwrap();
        let shown = shown["topics"].as_array().unwrap().iter();
        let shown: Vec<_> = shown.map(|entry| entry["topic"].as_str().unwrap()).collect();
        if shown != expected {
            let name = case.name();
            self.disagreements.push(format!("{name}: lists {shown:?} instead of {expected:?}"));
        }
    }

    /// The log holds what was accepted, and nothing that was refused.
    async fn check_log(&mut self, client: &mut Client) {
        let mut stored = BTreeSet::new();
        let mut after = String::from("from=start");
        loop {
            let sent = super::request::Sent {
                method: "GET",
                target: format!("/events/**?{after}&limit=1000"),
                headers: vec![
                    ("authorization", credential::everything()),
                    ("accept", "application/json".to_owned()),
                ],
                body: String::new(),
            };
            let (status, mut body) = client.send(&sent, Protocol::Http2).await;
            body.read_to_end().await;
            assert_eq!(status, 200, "{}", body.text);
            let page: Value = serde_json::from_str(&body.text).unwrap();
            let events = page["events"].as_array().unwrap();
            let Some(last) = events.last() else { break };
            stored.extend(events.iter().map(|event| event["data"].as_str().unwrap().to_owned()));
            after = format!("after={}", last["id"].as_str().unwrap());
        }
        let accepted: BTreeSet<_> = self.log.iter().map(|event| event.data.clone()).collect();
        for data in stored.symmetric_difference(&accepted) {
            self.disagreements.push(format!("the log and what was accepted differ by {data:?}"));
        }
    }

    /// Reads from every stream all that its reader may have. What does not come is a
    /// disagreement later.
    async fn read_streams(&mut self) {
        let all = async {
            for (case, body) in &mut self.streams {
                let expected = expected(case, &self.log);
                while !body.data.is_superset(&expected) && body.more().await {}
            }
        };
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }
}

/// The data of an event: no other event's data, or part of it.
fn data(number: usize, what: &str) -> String {
    let (begin, end) = MARKS;
    format!("{begin}{number}:{what}{end}")
}

/// The data that a reader gets.
fn expected(case: &Case, log: &[Event]) -> BTreeSet<String> {
    let is_mercure = case.request.is_mercure();
    let Some(grant) = model::grant(case) else { return BTreeSet::new() };
    // The selector for everything is the wider one of Mercure.
    let asked = if case.topic.selector == "*" && is_mercure { "**" } else { case.topic.matcher };
    let wanted = log.iter().filter(|event| model::covers(asked, &event.topic));
    let wanted = wanted.filter(|event| model::may_have(&grant, is_mercure, event));
    wanted.map(|event| event.data.clone()).collect()
}

fn compare(
    disagreements: &mut Vec<String>,
    case: &Case,
    verb: &str,
    expected: &BTreeSet<String>,
    got: &BTreeSet<String>,
) {
    for data in got.difference(expected) {
        disagreements.push(format!("{}: must not {verb} {data:?}", case.name()));
    }
    for data in expected.difference(got) {
        disagreements.push(format!("{}: does not {verb} {data:?}", case.name()));
    }
}
