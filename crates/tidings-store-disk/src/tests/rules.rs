//! Retention by rules, on the simulated disk.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::states::{self, Fold};
use super::*;
use crate::disk::simulated::Trouble;
use crate::mistake::Mistake;
use crate::rules::Rules;
use crate::{Promise, Rule};

/// Number of lives.
const SEEDS: u64 = 15;

fn rule(name: &str, topics: &[&str]) -> Rule {
    Rule {
        name: name.into(),
        topics: topics.iter().map(|text| Matcher::parse(text).unwrap()).collect(),
        age: None,
        bytes: None,
        promise: None,
    }
}

fn last(count: u32) -> Option<Promise> {
    NonZeroU32::new(count).map(Promise::Last)
}

/// Topics 0 to 2 are kept for a short time, of 3 and 4 the last five, and of 5 the last three and
/// what is young, and of 6 the state; the others are the rest.
pub(super) fn some_rules() -> Vec<Rule> {
    vec![
        Rule {
            age: Some(Duration::from_millis(400)),
            ..rule("short", &["topic/0", "topic/1", "topic/2"])
        },
        Rule { promise: last(5), ..rule("last", &["topic/3", "topic/4"]) },
        Rule {
            promise: last(3),
            age: Some(Duration::from_millis(900)),
            ..rule("both", &["topic/5"])
        },
        Rule {
            promise: Some(Promise::State),
            age: Some(Duration::from_millis(300)),
            ..rule("state", &["topic/6"])
        },
    ]
}

/// One rule, under which nothing goes.
pub(super) fn age_of_an_hour() -> Vec<Rule> {
    vec![Rule { age: Some(Duration::from_secs(3_600)), ..rule("all", &["**"]) }]
}

pub(super) fn with_rules(rules: Vec<Rule>) -> DiskConfig {
    DiskConfig {
        rules,
        hot_bytes: Some(64 << 10),
        retention_age: Duration::from_secs(3),
        segment_bytes: Some(8 << 10),
        ..small(1 << 20)
    }
}

/// Does all the work there is.
pub(super) fn keep(store: &DiskStore) {
    wait_for_indexes(store, None);
    let mut keeper = store.keeper.lock().unwrap();
    for _ in 0..1_000 {
        if !keeper.step(&store.shared, &mut |_| Ok(())) {
            return;
        }
    }
    panic!("there is always more to do");
}

/// Everything that was published, and what readers may expect of it.
pub(super) struct Published {
    pub(super) records: Vec<(Draft, u64)>,
}

impl Published {
    fn at(&self, position: Position) -> &Draft {
        &self.records[position.get() as usize - 1].0
    }

    /// Checks what is there: nothing that was not published, nothing twice, nothing in the wrong
    /// order; everything that a rule promises; and that the log reports a loss exactly where there
    /// is one.
    pub(super) fn check(&self, store: &DiskStore, rules: &[Rule], now: u64) {
        let head = Position::new(self.records.len() as u64);
        assert_eq!(store.bounds().head, head);
        let all = read_told(store, None, Position::ZERO);
        let here: BTreeMap<_, _> =
            all.iter().map(|record| (record.position(), Arc::clone(record))).collect();
        assert_eq!(here.len(), all.len(), "no record twice");
        assert!(all.is_sorted_by_key(|record| record.position()), "in order");
        assert_eq!(here.keys().next().copied().unwrap_or(head.next()), store.bounds().first);
        for record in &all {
            assert_eq!(&***record, self.at(record.position()));
            assert_eq!(
                record.time().as_millis(),
                self.records[record.position().get() as usize - 1].1
            );
        }
        check_retained(store, &here);
        self.check_promises(&here, rules, now);
        self.check_states(store, &here, rules);
        for number in 0..9 {
            self.check_topic(store, &here, number);
        }
        self.check_interest(store, &here, &Interest::everything(), Position::ZERO);
        let pattern = Interest::new(vec![Matcher::parse("topic/*").unwrap()], vec![]);
        self.check_interest(store, &here, &pattern, Position::ZERO);
        for record in all.iter().step_by(7) {
            if let Some(id) = &record.id {
                assert_eq!(
                    store.catalog().find(id, &[Matcher::All]).unwrap(),
                    Some(record.position())
                );
            }
            let older = all.partition_point(|older| older.time() < record.time());
            let expected = all[older].position().previous();
            assert_eq!(store.catalog().seek_time(record.time()).unwrap(), expected);
        }
    }

    /// What a rule promises is there.
    fn check_promises(&self, here: &BTreeMap<Position, Arc<Record>>, rules: &[Rule], now: u64) {
        let sorted = Rules(rules.to_vec());
        let mut newest = BTreeMap::<&Topic, u32>::new();
        for (number, (draft, time)) in self.records.iter().enumerate().rev() {
            let position = Position::new(number as u64 + 1);
            let rule = sorted.lane_of(&draft.topic).checked_sub(1).map(|rule| &rules[rule]);
            let age = match rule {
                Some(Rule { age: Some(age), .. }) => age.as_millis() as u64,
                Some(Rule { promise: Some(Promise::Last(_)), .. }) => 0,
                _ => 3_000,
            };
            let is_newest = !newest.contains_key(&draft.topic);
            let counted = newest.entry(&draft.topic).or_default();
            let counts = draft.kind.is_event()
                && draft.ttl_s.is_none()
                && !matches!(draft.kind, Kind::End | Kind::SilentEnd);
            let promised = match rule.and_then(|rule| rule.promise) {
                Some(Promise::Last(last)) if counts && *counted < last.get() => {
                    *counted += 1;
                    true
                }
                Some(_) if is_newest && draft.kind.ends_topic() => true,
                _ => time + age > now,
            };
            let is_over = draft.is_over(at(*time), at(now));
            assert!(
                !promised || is_over || here.contains_key(&position),
                "{position} on {} is promised",
                draft.topic
            );
        }
    }

    fn check_topic(&self, store: &DiskStore, here: &BTreeMap<Position, Arc<Record>>, number: u64) {
        let topic = Topic::new(format!("topic/{number}")).unwrap();
        let exact = vec![Matcher::Exact(topic.clone())];
        self.check_interest(store, here, &Interest::new(exact.clone(), vec![]), Position::ZERO);
        let all = Interest::new(exact, vec![Matcher::All]);
        self.check_interest(store, here, &all, Position::ZERO);
        let on_topic: Vec<_> =
            here.values().filter(|record| record.topics().any(|on| *on == topic)).collect();
        let state = store.catalog().topic(&topic).unwrap();
        assert_eq!(state.as_ref().map_or(0, |state| state.records), on_topic.len() as u64);
        assert_eq!(store.catalog().has_topic(&topic), state.is_some(), "{topic}");
        if let (Some(state), Some(last)) = (state, on_topic.last()) {
            assert_eq!((state.last, state.ended), (last.position(), last.kind.ends_topic()));
            check_extent(&state, &on_topic);
        }
    }

    /// For each place to come back to: the log reports a loss if, and only if, there is one.
    fn check_interest(
        &self,
        store: &DiskStore,
        here: &BTreeMap<Position, Arc<Record>>,
        interest: &Interest,
        told: Position,
    ) {
        let now = store.shared.now();
        let head = self.records.len() as u64;
        let wanted = |position: u64| {
            let (draft, time) = &self.records[position as usize - 1];
            interest.admits(draft).then_some((draft, *time))
        };
        let read = read_told(store, Some(interest), told);
        let expected =
            here.values().filter(|record| interest.admits(record) && !record.is_over(now));
        assert!(read.iter().eq(expected), "{interest:?}");
        let missing: Vec<_> = (1..=head)
            .filter(|position| !here.contains_key(&Position::new(*position)))
            .filter_map(|position| wanted(position).map(|event| (position, event)))
            .collect();
        for after in (0..head).step_by(1 + head as usize / 25) {
            let missing = &missing[missing.partition_point(|(position, _)| *position <= after)..];
            let lost = store.lost(interest, Position::new(after)).unwrap().map(Position::get);
            // What went after its time to live is no loss, unless it went before.
            let is_over = |(draft, time): &(&Draft, u64)| draft.is_over(at(*time), now);
            let newest = missing.iter().rev().find(|(_, event)| !is_over(event));
            if let Some((newest, _)) = newest {
                assert!(lost.is_some_and(|lost| lost >= *newest), "silent: {newest} after {after}");
            }
            if missing.is_empty() {
                assert_eq!(lost, None, "needless after {after}: {interest:?}");
            }
        }
        let events: Vec<_> = read.iter().map(|record| record.position()).collect();
        for count in [1, 4] {
            let last = events.iter().rev().take(count).next_back();
            let expected = last.map_or(Position::new(head), |position| position.previous());
            assert_eq!(store.catalog().seek_last(interest, count).unwrap(), expected);
        }
    }
}

/// What the store says that it keeps under each rule.
fn check_retained(store: &DiskStore, here: &BTreeMap<Position, Arc<Record>>) {
    let retained = store.catalog().retained();
    let lanes = Arc::clone(&store.shared.read_state().lanes);
    if lanes.generation == 0 && store.shared.rules().0.is_empty() {
        return assert_eq!(retained, Retained::default());
    }
    assert_eq!(retained.events(), here.len() as u64);
    let bytes: u64 = retained.rules.iter().map(|rule| rule.bytes).sum();
    assert_eq!(bytes + retained.unsorted_bytes, store.health().bytes);
    if lanes.generation == 0 {
        return assert_eq!(bytes, 0);
    }
    for (lane, found) in retained.rules.iter().enumerate() {
        let sorted = here.values().filter(|record| record.position() <= lanes.upto);
        let of_lane: Vec<_> =
            sorted.filter(|record| lanes.rules.lane_of_record(record) == lane).collect();
        let oldest = of_lane.iter().map(|record| record.time()).min();
        assert_eq!((found.events, found.oldest), (of_lane.len() as u64, oldest), "lane {lane}");
        let named = lane.checked_sub(1).map(|rule| &lanes.rules.0[rule].name);
        assert_eq!(found.name.as_ref(), named);
    }
}

/// All records that are there, for a reader that knows of every loss.
pub(super) fn read_told(
    store: &DiskStore,
    interest: Option<&Interest>,
    mut after: Position,
) -> Vec<Arc<Record>> {
    let head = store.bounds().head;
    let mut records = Vec::new();
    while after < head {
        let query = ReadQuery {
            after,
            upto: head,
            told: head,
            interest,
            records_max: 37,
            bytes_max: 20_000,
        };
        let page = store.read(&query).unwrap();
        assert!(page.reached > after, "a read makes progress");
        after = page.reached;
        records.extend(page.records);
    }
    records
}

pub(super) struct Life {
    pub(super) dice: Dice,
    pub(super) disk: SimulatedDisk,
    pub(super) config: DiskConfig,
    pub(super) published: Published,
    unanswered: Vec<(Draft, u64)>,
    pub(super) time: u64,
    jobs: u64,
}

impl Life {
    pub(super) fn new(seed: u64, config: DiskConfig) -> Self {
        Self {
            dice: Dice(seed),
            disk: SimulatedDisk::new(seed + 2_000_000),
            config,
            published: Published { records: Vec::new() },
            unanswered: Vec::new(),
            time: 1_000,
            jobs: 0,
        }
    }

    /// Opens the log, uses it until the machine stops at any moment, and checks what is left.
    fn live(&mut self, steps_max: u64) {
        let trouble = match self.dice.below(4) {
            0 => Trouble::None,
            _ => Trouble::StopsAfter(1 + self.dice.below(steps_max)),
        };
        self.disk.set_trouble(trouble);
        match open(&self.disk, &self.config) {
            Ok(store) => self.use_store(&store),
            Err(error) => {
                let stopped = matches!(error, OpenError::Io { .. }) && self.disk.has_stopped();
                assert!(stopped, "{error}");
            }
        }
        self.disk =
            if self.dice.one_in(2) { self.disk.after_power_cut() } else { self.disk.after_kill() };
    }

    pub(super) fn settle(&mut self, store: &DiskStore) {
        let unanswered = std::mem::take(&mut self.unanswered);
        if store.bounds().head != Position::new(self.published.records.len() as u64) {
            self.published.records.extend(unanswered);
        }
        store.note_time(at(self.time));
        let rules = self.config.rules.clone();
        self.published.check(store, &rules, self.time);
    }

    fn use_store(&mut self, store: &DiskStore) {
        store.note_time(at(self.time));
        wait_for_topics(store);
        self.settle(store);
        for _ in 0..self.dice.below(60) {
            self.time += self.dice.below(30);
            if self.dice.one_in(6) {
                let _ = store.retain(at(self.time));
                wait_for_indexes(store, Some(&self.disk));
                let mut keeper = store.keeper.lock().unwrap();
                while keeper.step(&store.shared, &mut |_| Ok(())) {
                    self.jobs += 1;
                }
                drop(keeper);
                if self.disk.has_stopped() || self.dice.one_in(4) {
                    let rules = self.config.rules.clone();
                    self.published.check(store, &rules, self.time);
                }
                continue;
            }
            if let Err(error) = self.append(store) {
                assert!(self.disk.has_stopped(), "{error}");
                let rules = self.config.rules.clone();
                self.published.check(store, &rules, self.time);
                return;
            }
        }
    }

    /// Appends some events. If that fails, they may be there after a restart.
    pub(super) fn append(&mut self, store: &DiskStore) -> Result<(), AppendError> {
        let next = self.published.records.len() as u64 + 1;
        let count = 1 + self.dice.below(12);
        let mut drafts: Vec<_> =
            (next..next + count).map(|n| some_draft(&mut self.dice, n)).collect();
        let mut fold = Fold::of(store, &self.published.records);
        for draft in &mut drafts {
            let may_end = draft.kind == Kind::Event && draft.key.is_none() && self.dice.one_in(10);
            draft.ttl_s = may_end.then_some(NonZeroU32::MIN);
            states::give_keys(&mut self.dice, &fold, store, draft);
            fold.add(store, draft);
        }
        let with_time = drafts.iter().cloned().map(|draft| (draft, self.time)).collect();
        match store.append(drafts, at(self.time)) {
            Ok(_) => {
                self.unanswered.clear();
                self.published.records.extend::<Vec<_>>(with_time);
                Ok(())
            }
            Err(error) => {
                self.unanswered = with_time;
                Err(error)
            }
        }
    }
}

/// Waits until the background thread has written all indexes, or cannot.
pub(super) fn wait_for_indexes(store: &DiskStore, disk: Option<&SimulatedDisk>) {
    let started = std::time::Instant::now();
    let is_missing = || {
        let state = store.shared.read_state();
        state.complete().any(|segment| matches!(segment.index, crate::segment::Index::Memory(_)))
    };
    while is_missing() && !disk.is_some_and(SimulatedDisk::has_stopped) {
        assert!(started.elapsed() < Duration::from_secs(30), "the indexes are not written");
        std::thread::yield_now();
    }
}

/// Waits until the background thread has counted the topics.
pub(super) fn wait_for_topics(store: &DiskStore) {
    let known = store.catalog().topics("", None, 100).unwrap().len();
    let started = std::time::Instant::now();
    while store.catalog().topic_count() < known {
        assert!(started.elapsed() < Duration::from_secs(30), "the topics are not counted");
        std::thread::yield_now();
    }
}

/// Kills and power cuts at any step of a job, and of opening.
#[test]
fn what_a_rule_promises_survives_a_stop_at_any_step() {
    let mut jobs = 0;
    for seed in seeds(SEEDS) {
        let _running = Running(seed);
        let mut life = Life::new(seed, with_rules(some_rules()));
        for _ in 0..8 {
            life.live(if seed % 2 == 0 { 60 } else { 400 });
        }
        life.disk.set_trouble(Trouble::None);
        let store = open(&life.disk, &life.config).unwrap();
        life.use_store(&store);
        keep(&store);
        life.settle(&store);
        jobs += life.jobs;
    }
    let lives = seeds(SEEDS).count() as u64;
    assert!(lives < SEEDS || jobs > 3 * lives, "{jobs} jobs");
}

#[test]
fn other_rules_apply_after_a_restart_and_no_rules_are_rules_too() {
    for seed in seeds(SEEDS / 3) {
        let _running = Running(seed);
        let mut life = Life::new(seed, with_rules(some_rules()));
        let others = vec![
            Rule { promise: last(2), ..rule("few", &["topic/*"]) },
            Rule { age: Some(Duration::from_millis(100)), ..rule("none", &["**"]) },
        ];
        for round in 0..9 {
            life.config.rules = match round % 3 {
                0 => some_rules(),
                1 => Vec::new(),
                _ => others.clone(),
            };
            // What other rules dropped before cannot be promised.
            life.disk.set_trouble(Trouble::None);
            let store = open(&life.disk, &life.config).unwrap();
            for _ in 0..20 {
                life.time += 20;
                let next = life.published.records.len() as u64 + 1;
                let drafts: Vec<_> =
                    (next..next + 10).map(|n| some_draft(&mut life.dice, n)).collect();
                let time = life.time;
                life.published.records.extend(drafts.iter().cloned().map(|draft| (draft, time)));
                store.append(drafts, at(life.time)).unwrap();
                store.retain(at(life.time)).unwrap();
            }
            keep(&store);
            wait_for_topics(&store);
            life.published.check(&store, &[], u64::MAX / 2);
            drop(store);
        }
    }
}

/// Each mistake that rules could be applied with is found.
#[test]
fn these_tests_find_each_planted_mistake() {
    for mistake in Mistake::ALL {
        let found = (0..200).any(|seed| {
            let life = move || {
                let _planted = mistake.plant();
                let mut life = Life::new(seed, with_rules(some_rules()));
                for _ in 0..6 {
                    life.live(150);
                }
                life.disk.set_trouble(Trouble::None);
                let store = open(&life.disk, &life.config).unwrap();
                life.use_store(&store);
            };
            std::panic::catch_unwind(life).is_err()
        });
        assert!(found, "{mistake:?} is not found");
    }
}
