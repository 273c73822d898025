use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings_hub::{
    Draft, EventId, Fate, Interest, Kind, Log, Matcher, Position, ReadQuery, Record, Repeats,
    Timestamp, Topic, TopicState, Visibility,
};

use super::{Dice, Retention, Stores, at, interest, topic};

/// A store without regard to cost: a list.
#[derive(Debug, Default)]
pub struct Model {
    records: Vec<Record>,
    /// Number of records that retention dropped. The store decides, but may only drop the oldest.
    dropped: usize,
    /// The time, which decides what is part of history.
    now: Timestamp,
}

impl Model {
    /// The answer that the store should give to an append.
    fn append(&mut self, drafts: &[Draft], now: Timestamp) -> Vec<Position> {
        let now = self.records.last().map_or(now, |last| now.max(last.time()));
        let mut positions = Vec::new();
        for draft in drafts {
            let position = self.head().next();
            self.records.push(Record::new(draft.clone(), position, now));
            positions.push(position);
        }
        positions
    }

    /// The fate that the store should find for a draft.
    fn fate(&self, draft: &Draft) -> Result<Fate, ()> {
        let Some(id) = draft.id.as_ref().filter(|_| draft.once) else {
            return Ok(Fate::Store);
        };
        let on: Vec<_> = draft.topics().cloned().map(Matcher::Exact).collect();
        match self.find(id, &on) {
            None => Ok(Fate::Store),
            Some(known) if known.says_the_same(draft) => Ok(Fate::Repeats(known.position())),
            Some(_) => Err(()),
        }
    }

    fn head(&self) -> Position {
        Position::new(self.records.len() as u64)
    }

    fn there(&self) -> &[Record] {
        &self.records[self.dropped..]
    }

    fn find(&self, id: &EventId, on: &[Matcher]) -> Option<&Record> {
        let is_on = |topic: &Topic| on.iter().any(|matcher| matcher.matches(topic));
        self.there()
            .iter()
            .find(|record| record.id.as_ref() == Some(id) && record.topics().any(is_on))
    }

    fn admitted<'a>(
        &'a self,
        interest: Option<&'a Interest>,
    ) -> impl DoubleEndedIterator<Item = &'a Record> {
        let is_history = |record: &Record| !record.is_over(self.now);
        let admits = move |record: &&Record| {
            interest.is_none_or(|interest| interest.admits(record) && is_history(record))
        };
        self.there().iter().filter(admits)
    }

    fn topic(&self, topic: &Topic) -> Option<TopicState> {
        let on_topic = |record: &&Record| record.topics().any(|t| t == topic);
        let last = self.there().iter().rfind(on_topic)?;
        Some(TopicState {
            topic: topic.clone(),
            records: self.there().iter().filter(on_topic).count() as u64,
            bytes: self.there().iter().filter(on_topic).map(|record| record.cost() as u64).sum(),
            first: self.there().iter().find(on_topic)?.position(),
            last: last.position(),
            ended: last.kind.ends_topic(),
        })
    }

    /// `found`, with the bytes that the model has. Each store has its own: at least the data, and
    /// no more than the records take in memory.
    fn with_bytes(&self, found: TopicState) -> TopicState {
        let is_on = |record: &&Record| record.topics().any(|topic| *topic == found.topic);
        let on_topic = || self.there().iter().filter(is_on);
        let data: u64 = on_topic().map(|record| record.data.len() as u64).sum();
        let cost = on_topic().map(|record| record.cost() as u64).sum();
        assert!((data..=cost).contains(&found.bytes), "{} of {data} to {cost}", found.bytes);
        TopicState { bytes: cost, ..found }
    }

    fn topics(&self) -> Vec<TopicState> {
        let mut names: Vec<_> = self.there().iter().flat_map(|record| record.topics()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| self.topic(name).expect("it has records")).collect()
    }
}

/// Does random things to a store and to the model, and compares.
pub(super) fn compare(stores: &dyn Stores, retention: Retention, mut dice: Dice) {
    let mut store = stores.fresh(retention);
    let mut model = Model::default();
    let mut now = 1_000;
    for _ in 0..150 {
        match dice.below(10) {
            0 => store.retain(at(now)).expect("retained"),
            1 => store = stores.reopened(store),
            _ => {
                now += dice.below(60);
                let count = 1 + dice.below(40);
                let drafts: Vec<_> = (0..count).map(|_| random_draft(&mut dice)).collect();
                for draft in &drafts {
                    let fate = Repeats::new().check(&*store, std::slice::from_ref(draft));
                    assert_eq!(fate.map(|fates| fates[0]).map_err(|_| ()), model.fate(draft));
                }
                let expected = model.append(&drafts, at(now));
                let appended = store.append(drafts, at(now)).expect("appended");
                assert!(appended.iter().all(|entry| !entry.duplicate));
                let answers: Vec<_> = appended.iter().map(|entry| entry.position).collect();
                assert_eq!(answers, expected);
            }
        }
        store.note_time(at(now));
        model.now = at(now);
        see_what_was_dropped(&*store, &mut model);
        ask(&*store, &model, &mut dice);
    }
}

fn see_what_was_dropped(store: &dyn Log, model: &mut Model) {
    let bounds = store.bounds();
    assert_eq!(bounds.head, model.head());
    let dropped = bounds.first.get() as usize - 1;
    assert!(dropped >= model.dropped, "what was dropped stays dropped");
    model.dropped = dropped;
}

fn ask(store: &dyn Log, model: &Model, dice: &mut Dice) {
    let wanted = random_interest(dice);
    let wanted = wanted.as_ref();
    let first = model.dropped as u64;
    let after = first + dice.below(model.head().get() - first + 1);
    let upto = after + dice.below(model.head().get() - after + 10);
    check_read(store, model, dice, wanted, (Position::new(after), Position::new(upto)));
    if let Some(wanted) = wanted {
        let count = dice.below(30) as usize;
        let nth = model.admitted(Some(wanted)).rev().take(count).last();
        let expected = nth.map_or(model.head(), |record| record.position().previous());
        assert_eq!(
            store.catalog().seek_last(wanted, count).expect("found"),
            expected,
            "{wanted:?}"
        );
    }
    let since = at(dice.below(8_000));
    let older = model.there().partition_point(|record| record.time() < since) as u64;
    assert_eq!(store.catalog().seek_time(since).expect("found"), Position::new(first + older));
    let id = random_id(dice);
    let on = wanted.map_or(&[Matcher::All][..], Interest::wanted);
    let expected = model.find(&id, on).map(Record::position);
    assert_eq!(store.catalog().find(&id, on).expect("found"), expected, "{id} on {on:?}");
    let topic = random_topic(dice);
    let found = store.catalog().topic(&topic).expect("found");
    let found = found.map(|state| model.with_bytes(state));
    assert_eq!(found, model.topic(&topic));
    let prefix = ["", "a", "a/", "b/1", "c"][dice.below(5) as usize];
    let behind = dice.one_in(2).then(|| random_topic(dice));
    let count = dice.below(8) as usize;
    let mut expected = model.topics();
    count_comes_to(store, expected.len());
    assert_eq!(store.catalog().has_topic(&topic), model.topic(&topic).is_some());
    expected.retain(|state| {
        state.topic.as_str().starts_with(prefix) && behind.as_ref().is_none_or(|b| state.topic > *b)
    });
    expected.truncate(count);
    let found = store.catalog().topics(prefix, behind.as_ref(), count).expect("found");
    let found: Vec<_> = found.into_iter().map(|state| model.with_bytes(state)).collect();
    assert_eq!(found, expected);
}

/// Waits, because a count may be a little late.
fn count_comes_to(store: &dyn Log, expected: usize) {
    let begun = Instant::now();
    while store.catalog().topic_count() != expected {
        let late = begun.elapsed() > Duration::from_secs(20);
        assert!(!late, "{} topics, and {expected} are there", store.catalog().topic_count());
        std::thread::yield_now();
    }
}

fn check_read(
    store: &dyn Log,
    model: &Model,
    dice: &mut Dice,
    interest: Option<&Interest>,
    (after, upto): (Position, Position),
) {
    let is_meant = |record: &&Record| record.position() > after && record.position() <= upto;
    let expected: Vec<_> = model.admitted(interest).filter(is_meant).collect();
    let mut found = Vec::<Arc<Record>>::new();
    let mut query = ReadQuery {
        after,
        upto,
        interest,
        records_max: 1 + dice.below(50) as usize,
        bytes_max: 1 + dice.below(20_000) as usize,
        ..ReadQuery::everything()
    };
    while query.after < upto.min(model.head()) {
        let page = store.read(&query).expect("read");
        assert!(page.reached > query.after && page.reached <= upto, "progress, within bounds");
        assert!(page.records.len() <= query.records_max);
        let but_last = page.records.iter().rev().skip(1);
        assert!(but_last.map(|record| record.cost()).sum::<usize>() < query.bytes_max);
        found.extend(page.records);
        let so_far = expected.iter().filter(|record| record.position() <= page.reached).count();
        assert_eq!(found.len(), so_far, "everything up to where the page reached");
        query.after = page.reached;
    }
    // Only a store's own records may have checks.
    let said = |record: &Record| (record.position(), record.time(), Draft::clone(record));
    let found = found.iter().map(|record| said(record));
    assert!(found.eq(expected.iter().map(|record| said(record))));
}

fn random_topic(dice: &mut Dice) -> Topic {
    let first = ["a", "b", "c"][dice.below(3) as usize];
    topic(&format!("{first}/{}", dice.below(12)))
}

fn random_id(dice: &mut Dice) -> EventId {
    EventId::new(format!("id-{}", dice.below(200))).expect("an id")
}

fn random_draft(dice: &mut Dice) -> Draft {
    let length = if dice.one_in(30) { 9_000 } else { 120 };
    let mut draft = Draft::new(random_topic(dice), "x".repeat(dice.below(length) as usize));
    while dice.one_in(5) {
        draft.alternates.push(random_topic(dice));
    }
    if dice.one_in(4) {
        draft.id = Some(random_id(dice));
        draft.once = dice.one_in(2);
    }
    if dice.one_in(6) {
        draft.ttl_s = NonZeroU32::new(1 + dice.below(3) as u32);
    }
    if dice.one_in(10) {
        let kinds = [Kind::End, Kind::LastEvent, Kind::SilentEnd, Kind::Note];
        draft.kind = kinds[dice.below(4) as usize];
    }
    draft.visibility = match dice.below(8) {
        0 | 1 => Visibility::Private,
        2 => Visibility::Public,
        _ => Visibility::ByTopic,
    };
    draft
}

/// Exact, several exact, patterns, everything; with and without grants for private events.
fn random_interest(dice: &mut Dice) -> Option<Interest> {
    const PATTERNS: [&str; 5] = ["a/*", "*/3", "b/**", "**", "c/none/*"];
    if dice.one_in(6) {
        return None;
    }
    let some = |dice: &mut Dice, patterns: bool| {
        let mut words = vec![random_topic(dice).to_string()];
        while dice.one_in(2) {
            words.push(match patterns && dice.one_in(2) {
                true => PATTERNS[dice.below(5) as usize].to_owned(),
                false => random_topic(dice).to_string(),
            });
        }
        words
    };
    let patterns = dice.one_in(2);
    let wanted = some(dice, patterns);
    let private = if dice.one_in(2) { vec!["**".to_owned()] } else { some(dice, true) };
    let wanted: Vec<_> = wanted.iter().map(String::as_str).collect();
    let private: Vec<_> = private.iter().map(String::as_str).collect();
    let interest = interest(&wanted, &private);
    Some(match dice.below(4) {
        0 => interest.within_topics(&[]),
        1 => interest.within_grant(),
        _ => interest,
    })
}
