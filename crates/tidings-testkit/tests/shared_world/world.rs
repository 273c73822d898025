use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidings_hub::{
    AppendError, Bounds, Draft, EventId, Fate, Log, Position, ReadQuery, Repeats, Topic,
};
use tidings_store_disk::RandomSource;
use tidings_testkit::layers::Layered;
use tidings_testkit::shared_log::{Engine, Faults};
use tidings_testkit::store_suite::{Dice, at};

use super::client::{Answer, Client};
use super::findings::Findings;
use super::forgetful::Forgetful;
use super::node::Node;
use super::ruled;
use super::truth::Truth;
use super::unchecked::Unchecked;

const NODES: usize = 3;
const CLIENTS: usize = 6;
const TOPICS: u64 = 3;

/// What is wrong with the hubs of a world, to see whether it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Nothing.
    None,
    /// A hub takes any block, wherever it was to be.
    TakesVoidBlocks,
    /// Ids of positions have no check.
    NoCheck,
    /// Ids of lost events that publishers gave are not remembered.
    ForgetsLostIds,
    /// A hub looks for no more blocks than it has heard of.
    TrustsTheBell,
    /// Rules are applied to what the log may yet lose.
    SortsAtOnce,
    /// The check of an event is not known once a rule has dropped the event.
    ForgetsChecks,
}

/// An event that was acknowledged.
struct Acknowledged {
    position: u64,
    payload: String,
}

pub(crate) struct World {
    bug: Bug,
    dice: Dice,
    engine: Arc<Engine>,
    nodes: Vec<Node>,
    clients: Vec<Client>,
    folder: PathBuf,
    published: u64,
    /// Whether rules of retention apply.
    has_rules: bool,
    /// Events with an id, to be published again.
    with_ids: Vec<Draft>,
    acknowledged: Vec<Acknowledged>,
    denied: HashSet<String>,
    /// Position of the oldest event that no hub has dropped.
    first: u64,
    findings: Findings,
    now: u64,
}

impl World {
    pub(crate) fn new(seed: u64, bug: Bug) -> Self {
        Self::of(seed, bug, false)
    }

    /// A world of hubs that keep by rules.
    pub(crate) fn with_rules(seed: u64, bug: Bug) -> Self {
        Self::of(seed, bug, true)
    }

    fn of(seed: u64, bug: Bug, has_rules: bool) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = parent.join(format!("tidings-world-{}-{number}", std::process::id()));
        let mut dice = Dice::new(seed);
        let engine = Engine::new(dice.roll());
        let retention = if !has_rules && dice.one_in(3) { 8 << 10 } else { 1 << 30 };
        let patience = if bug == Bug::SortsAtOnce { 0 } else { ruled::FIRM_MS + 1 };
        let mut nodes: Vec<_> = (0..NODES)
            .map(|n| {
                let config = Node::config(retention, numbers(dice.roll()));
                let config = if has_rules { ruled::config(config, patience) } else { config };
                Node::new(&engine, &folder.join(n.to_string()), config, bug)
            })
            .collect();
        nodes.iter_mut().for_each(Node::start);
        engine.set_faults(Faults::some(&mut dice));
        let topic = |n: usize| match has_rules {
            true => ruled::topic_of_client(n),
            false => n.is_multiple_of(2).then(|| topic(n as u64 / 2 % TOPICS)),
        };
        Self {
            bug,
            dice,
            engine,
            nodes,
            clients: (0..CLIENTS).map(|n| Client::new(topic(n))).collect(),
            folder,
            published: 0,
            has_rules,
            with_ids: Vec::new(),
            acknowledged: Vec::new(),
            denied: HashSet::new(),
            first: 0,
            findings: Findings::default(),
            now: 1,
        }
    }

    pub(crate) fn step(&mut self) {
        self.now += self.dice.below(5);
        let node = self.dice.below(NODES as u64) as usize;
        let client = self.dice.below(CLIENTS as u64) as usize;
        match self.dice.below(1000) {
            0..280 => self.publish(node),
            280..330 => self.publish_again(node),
            330..600 => {
                self.nodes[node].follow();
                if self.has_rules && self.dice.one_in(2) {
                    self.retain(node);
                }
            }
            600..800 => self.read(client),
            800..900 => self.move_client(client),
            900..930 => self.engine.deliver_late(),
            930..960 => self.retain(node),
            960..970 => self.restart(node),
            970..975 => self.kill(node),
            975..977 => self.wipe(node),
            977..984 => self.lose_tail(),
            _ => self.start_again(node),
        }
        self.end_halted();
        self.begin_what_was_refused();
        self.come_to_rest();
    }

    /// What this world looks like now: in a world of the same seed, after the same step, the same.
    pub(crate) fn look(&self) -> String {
        let newest = self.engine.observe().pop().map(|(seq, entry)| (seq, entry.nonce));
        let nodes = self.nodes.iter().map(|node| {
            let seen = node.store.as_ref().map(|store| {
                let Bounds { first, head } = store.bounds();
                (first, head, store.identity().clone(), store.halt(), store.void_blocks())
            });
            (node.run, seen)
        });
        let nodes: Vec<_> = nodes.collect();
        let Self { clients, findings, acknowledged, denied, .. } = self;
        let counts = (acknowledged.len(), denied.len());
        format!("{newest:?}\n{nodes:?}\n{clients:?}\n{counts:?} {findings:?}\n")
    }

    fn come_to_rest(&self) {
        self.nodes.iter().for_each(Node::come_to_rest);
    }

    fn publish(&mut self, node: usize) {
        let mut drafts = Vec::new();
        for _ in 0..=self.dice.below(3) {
            self.published += 1;
            let number = self.published;
            if self.has_rules {
                drafts.push(ruled::draft(&mut self.dice, number));
                continue;
            }
            let on = topic(self.dice.below(TOPICS));
            let mut draft = Draft::new(on.clone(), format!("{on} {number}"));
            if self.dice.one_in(3) {
                draft.id = Some(EventId::new(format!("id-{number}")).unwrap());
                draft.once = true;
                self.with_ids.push(draft.clone());
            }
            drafts.push(draft);
        }
        self.append(node, drafts);
    }

    /// Repeats an event, as its publisher does after an error, or for no reason.
    fn publish_again(&mut self, node: usize) {
        let newest = self.with_ids.len().min(8) as u64;
        if newest > 0 {
            let back = 1 + self.dice.below(newest) as usize;
            let draft = self.with_ids[self.with_ids.len() - back].clone();
            self.append(node, vec![draft]);
        }
    }

    fn append(&mut self, node: usize, drafts: Vec<Draft>) {
        let Some(store) = &self.nodes[node].store else { return };
        // As the thread that appends does first.
        let Ok(fates) = Repeats::new().check(&**store, &drafts) else { return };
        let count = drafts.len();
        let drafts: Vec<_> = drafts
            .into_iter()
            .zip(fates)
            .filter_map(|(draft, fate)| (fate == Fate::Store).then_some(draft))
            .collect();
        self.findings.note("repeated", (count - drafts.len()) as u64);
        let payloads: Vec<_> = drafts.iter().map(|draft| draft.data.to_string()).collect();
        let has_ids = drafts.iter().any(|draft| draft.once);
        match store.append(drafts, at(self.now)) {
            Ok(appended) => {
                self.findings.note("acknowledged", appended.len() as u64);
                let truth = Truth::of(&self.engine);
                for (one, payload) in appended.iter().zip(payloads) {
                    self.findings.note("overtaken", u64::from(one.duplicate));
                    let position = one.position.get();
                    // A repetition can be of an event that the engine has lost meanwhile.
                    if !truth.has(position, &payload) && !one.duplicate {
                        self.findings.missing += 1;
                    }
                    if truth.has(position, &payload) {
                        self.acknowledged.push(Acknowledged { position, payload });
                    }
                }
            }
            Err(AppendError::Undecided { .. }) => self.findings.note("undecided", 1),
            Err(_) => {
                self.findings.note("away", 1);
                if !has_ids {
                    self.denied.extend(payloads);
                }
            }
        }
    }

    fn read(&mut self, client: usize) {
        let count = 1 + self.dice.below(6) as usize;
        let client = &mut self.clients[client];
        let Some((node, run)) = client.at else { return };
        let node = &self.nodes[node];
        match &node.store {
            Some(store) if node.run == run && client.read(&**store, count) => {}
            _ => client.at = None,
        }
    }

    fn move_client(&mut self, number: usize) {
        let place = self.dice.below(NODES as u64) as usize;
        let live = self.dice.one_in(4);
        self.move_to(number, place, live);
    }

    fn move_to(&mut self, number: usize, place: usize, live: bool) {
        let Self { bug, engine, nodes, clients, findings, .. } = self;
        let (client, node) = (&mut clients[number], &mut nodes[place]);
        client.at = None;
        let Some(store) = node.store.clone() else { return };
        let log: Arc<dyn Log> = match bug {
            Bug::ForgetsChecks => Arc::new(Layered(Unchecked(Arc::clone(&store)))),
            Bug::ForgetsLostIds => Arc::new(Layered(Forgetful(Arc::clone(&store)))),
            _ => Arc::clone(&store) as Arc<dyn Log>,
        };
        let at = (place, node.run);
        let answer = client.connect(&*log, *bug, live, || node.follow());
        match answer {
            Answer::Connected => {
                findings.note("resumed", 1);
                let given = client.last_id.as_deref().and_then(Client::given_id);
                let truth = Truth::of(engine);
                let is_lost = |(position, payload): &(u64, String)| !truth.has(*position, payload);
                // Its last event can be in the log again, at the same place, because its publisher
                // repeated it, and the events before it be others.
                if let Some(id) = given {
                    // Its last event can be in the log again, at the same place, because its
                    // publisher repeated it, and the events before it be others.
                    let is_lost = client.got.iter().any(is_lost)
                        && store.shared().unwrap().fork_before(&id).unwrap().is_none();
                    let first = store.bounds().first.get();
                    // One that got nothing since it began has the id of the event before that.
                    let place = client.got.last().map_or(client.start, |(at, _)| *at);
                    client.is_excused |= is_lost || place < first;
                }
                // A hub whose newest events the log has lost, which it is about to find out, can
                // know the id of the client's last event as that of a lost one. The client gets a
                // reset at the next hub, or else is found at the end.
                let head = store.bounds().head;
                let newest = store.read(&ReadQuery::one(head)).unwrap_or_default();
                let is_on_lost_branch =
                    client.last_id.as_deref().and_then(Client::given_id).is_some()
                        && newest
                            .records
                            .first()
                            .is_some_and(|record| !truth.has(head.get(), &record.data));
                // The hub continues after another event than the client's last one.
                let differs = client.got.last().is_some_and(|(position, payload)| {
                    let page = store.read(&ReadQuery::one(Position::new(*position)));
                    let page = page.unwrap_or_default();
                    page.records.first().is_some_and(|record| *record.data != **payload)
                });
                let is_silent = differs && !client.is_excused && !is_on_lost_branch;
                findings.silent += u64::from(is_silent);
            }
            Answer::ComeBack => {
                findings.note("come back", 1);
                return;
            }
            Answer::Reset { had, last_id } => {
                findings.note("reset", 1);
                let may_be_lost = Client::given_id(&last_id)
                    .is_some_and(|id| store.shared().unwrap().fork_before(&id).unwrap().is_some());
                findings.note("given id reset", u64::from(may_be_lost));
                let has_place = had.last().is_some_and(|(position, payload)| {
                    let here = Position::new(*position);
                    let lost = store.lost(&client.interest(), here).unwrap_or_default();
                    let is_before = here < store.bounds().first;
                    lost.is_none() && !is_before && Truth::of(engine).has(*position, payload)
                });
                findings.needless += u64::from(has_place && !may_be_lost);
            }
        }
        client.at = Some(at);
    }

    fn retain(&mut self, node: usize) {
        if let Some(store) = &self.nodes[node].store {
            let _ = store.retain(at(self.now));
        }
    }

    fn restart(&mut self, node: usize) {
        self.findings.note("restarted", 1);
        self.nodes[node].stop();
        self.nodes[node].start();
    }

    fn kill(&mut self, node: usize) {
        self.findings.note("killed", 1);
        self.nodes[node].kill();
        self.nodes[node].start();
    }

    fn wipe(&mut self, node: usize) {
        self.findings.note("wiped", 1);
        self.nodes[node].begin_again();
    }

    /// Hubs that rules keep from starting begin again, as an operator lets them. That is right only
    /// if they were away for long, so that the log no longer has what comes next for their copies.
    fn begin_what_was_refused(&mut self) {
        for node in &mut self.nodes {
            let Some(newest) = node.refused else { continue };
            let was_away = newest + ruled::AGE_MS / 2 < self.now;
            self.findings.refused += u64::from(!was_away);
            self.findings.note("too old", 1);
            node.begin_again();
        }
    }

    /// A hub that could not be started is started again.
    fn start_again(&mut self, node: usize) {
        if self.nodes[node].store.is_none() {
            self.nodes[node].start();
        }
    }

    fn lose_tail(&mut self) {
        let count = 1 + self.dice.below(8);
        let count = match self.has_rules {
            true => count.min(ruled::not_firm(&self.engine, self.now)),
            false => count,
        };
        self.lose(count);
    }

    fn lose(&mut self, count: u64) {
        let lost = self.engine.lose_tail(count);
        self.findings.note("lost", lost.len() as u64);
        let truth = Truth::of(&self.engine);
        self.acknowledged.retain(|one| truth.has(one.position, &one.payload));
    }

    /// Hubs that stopped following end, some of them later.
    fn end_halted(&mut self) {
        for node in &mut self.nodes {
            let first = node.store.as_ref().map_or(0, |store| store.bounds().first.get());
            self.first = self.first.max(first);
            let Some(halt) = node.store.as_ref().and_then(|store| store.halt()) else { continue };
            if self.dice.one_in(4) {
                self.findings.note(halt.kind(), 1);
                let void = node.store.as_ref().map_or(0, |store| store.void_blocks());
                self.findings.note("void", void);
                node.stop();
                node.start();
            }
        }
    }

    /// The log loses events that a client has, and gets others in their places, before the client
    /// comes back to a hub that never had the lost ones.
    pub(crate) fn lose_what_a_client_has(mut self) -> Findings {
        self.engine.set_faults(Faults::NONE);
        let (reader, witness, stranger) = (1, 0, 2);
        for _ in 0..5 {
            self.publish(witness);
        }
        self.nodes[stranger].follow();
        for _ in 0..3 {
            self.published += 1;
            let (on, number) = (topic(0), self.published);
            self.append(witness, vec![Draft::new(on.clone(), format!("{on} {number}"))]);
        }
        self.read_all(reader, witness);
        self.lose(3);
        for _ in 0..6 {
            self.publish(stranger);
        }
        self.move_to(reader, stranger, false);
        self.settle()
    }

    /// The log loses the event that a client got last, whose publisher repeats it: then it is in
    /// the log behind another event, which the client never got.
    pub(crate) fn repeat_what_a_client_has(mut self) -> Findings {
        self.engine.set_faults(Faults::NONE);
        let (reader, witness, stranger) = (1, 0, 2);
        let mut repeated = Draft::new(topic(0), "t0 again");
        repeated.id = Some(EventId::new("id-again").unwrap());
        repeated.once = true;
        self.publish(witness);
        self.nodes[stranger].follow();
        self.append(witness, vec![repeated.clone()]);
        self.read_all(reader, witness);
        self.lose(1);
        self.append(stranger, vec![Draft::new(topic(0), "t0 other")]);
        // The first finds the fork, and says which ids are lost; the other learns it.
        for node in [witness, stranger] {
            self.nodes[node].follow();
            assert!(self.nodes[node].store.as_ref().is_some_and(|store| store.halt().is_some()));
            self.restart(node);
        }
        self.append(stranger, vec![repeated]);
        self.move_to(reader, stranger, false);
        self.settle()
    }

    /// Lets a client read all that a hub has.
    fn read_all(&mut self, client: usize, node: usize) {
        self.move_to(client, node, false);
        let store = self.nodes[node].store.clone().expect("it runs");
        while self.clients[client].is_behind(&*store) {
            assert!(self.clients[client].read(&*store, 100));
        }
    }

    /// Lets everything come to rest, and looks at what there is.
    pub(crate) fn settle(mut self) -> Findings {
        self.engine.set_faults(Faults::NONE);
        self.engine.drop_late();
        self.follow_to_the_end();
        for _ in 0..4 {
            for node in &mut self.nodes {
                let void = node.store.as_ref().map_or(0, |store| store.void_blocks());
                self.findings.note("void", void);
                node.stop();
                node.start();
                node.follow();
            }
            self.begin_what_was_refused();
        }
        for client in 0..CLIENTS {
            self.move_client(client);
            // At most once its next events are gone.
            for _ in 0..3 {
                let Some((node, _)) = self.clients[client].at else {
                    self.move_client(client);
                    continue;
                };
                let store = self.nodes[node].store.clone().expect("nothing fails any more");
                while self.clients[client].is_behind(&*store) {
                    if !self.clients[client].read(&*store, 100) {
                        self.clients[client].at = None;
                        break;
                    }
                }
            }
        }
        let truth = Truth::of(&self.engine);
        self.compare_nodes(&truth);
        self.compare_clients(&truth);
        for Acknowledged { position, payload } in &self.acknowledged {
            self.findings.missing += u64::from(!truth.has(*position, payload));
        }
        let mut kept = HashSet::new();
        for (position, payload) in &truth.payloads {
            self.findings.twice += u64::from(kept.contains(payload));
            // A repetition of what retention has dropped is a new event.
            if *position >= self.first {
                kept.insert(payload);
            }
            self.findings.denied += u64::from(self.denied.contains(payload));
        }
        std::mem::take(&mut self.findings)
    }

    /// Lets the hubs follow the log, without publishing anything and without restarting them.
    fn follow_to_the_end(&mut self) {
        // Each time at least one block, and a hub that finds a fork may have to look twice.
        let times = self.engine.observe().len() + 2;
        for node in &mut self.nodes {
            for _ in 0..times {
                node.follow();
            }
            let Some(store) = &node.store else { continue };
            let end = Truth::of(&self.engine).payloads.keys().next_back().copied();
            let has_end = store.bounds().head.get() == end.unwrap_or_default();
            self.findings.stuck += u64::from(!has_end && store.halt().is_none());
        }
    }

    fn compare_nodes(&mut self, truth: &Truth) {
        for node in &self.nodes {
            let store = node.store.as_ref().expect("nothing fails any more");
            let mut client = Client::new(None);
            client.connect(&**store, Bug::None, false, || {});
            while client.is_behind(&**store) && client.read(&**store, 100) {}
            let first = store.bounds().first.get();
            let same = client.has(truth.payloads.range(first..));
            self.findings.differing += u64::from(!same);
            if self.has_rules {
                self.findings.broken += ruled::broken(&**store, truth, node.begun);
                self.findings.note("sorted", store.sorted_upto().get());
                let kept = truth.payloads.range(first..).count() - client.got.len();
                self.findings.note("dropped between", kept as u64);
            }
        }
    }

    fn compare_clients(&mut self, truth: &Truth) {
        for client in &self.clients {
            let wanted = |payload: &str| {
                let topic = client.topic.as_ref();
                topic.is_none_or(|topic| payload.starts_with(&format!("{topic} ")))
            };
            let expected = truth.payloads.range(client.start + 1..);
            let same = client.has(expected.filter(|(_, payload)| wanted(payload)));
            match client.is_excused {
                true => self.findings.note("excused", u64::from(!same)),
                false => self.findings.silent += u64::from(!same),
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.nodes.clear();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Numbers that follow from `seed`.
fn numbers(seed: u64) -> RandomSource {
    let dice = Mutex::new(Dice::new(seed));
    RandomSource::from_fn(move || dice.lock().unwrap_or_else(PoisonError::into_inner).roll())
}

fn topic(number: u64) -> Topic {
    Topic::new(format!("t{number}")).unwrap()
}
