use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use tidings_hub::{Draft, Key, Kind, Log, Matcher, Position, ReadQuery, Topic};
use tidings_store_disk::{DiskConfig, Promise, Rule};
use tidings_store_shared::{Block, Content, SharedConfig};
use tidings_testkit::shared_log::Engine;
use tidings_testkit::store_suite::Dice;

use super::truth::Truth;

/// Time after which the engine does not lose a block any more, in milliseconds; the hubs wait
/// longer.
pub(crate) const FIRM_MS: u64 = 40;

/// Longest age of any event that nothing promises to keep, in milliseconds.
pub(crate) const AGE_MS: u64 = 200;

const TOPICS: [&str; 6] = ["t0", "t1", "last/0", "last/1", "state/0", "short/0"];

/// Events of each topic under `last/` that are kept.
const LAST: usize = 2;

/// The configuration of a hub with rules; `patience` is how long it waits before it applies them.
pub(crate) fn config(config: SharedConfig, patience: u64) -> SharedConfig {
    let rule = |topics: &str, age: Option<u64>, promise| Rule {
        name: topics.into(),
        topics: vec![Matcher::parse(topics).unwrap()],
        age: age.map(Duration::from_millis),
        bytes: None,
        promise,
    };
    let last = NonZeroU32::new(LAST as u32).map(Promise::Last);
    let rules = vec![
        rule("last/*", None, last),
        rule("state/*", Some(AGE_MS / 4), Some(Promise::State)),
        rule("short/*", Some(AGE_MS / 4), None),
    ];
    SharedConfig {
        rules_patience: Duration::from_millis(patience),
        cache: DiskConfig {
            retention_age: Duration::from_millis(AGE_MS),
            hot_bytes: Some(1),
            rules,
            ..config.cache
        },
        ..config
    }
}

/// What a client reads.
pub(crate) fn topic_of_client(number: usize) -> Option<Topic> {
    let name = ["last/0", "state/0", "short/0"][number / 2 % 3];
    number.is_multiple_of(2).then(|| Topic::new(name).unwrap())
}

/// An event on any topic. Its data say all that matters of it.
pub(crate) fn draft(dice: &mut Dice, number: u64) -> Draft {
    let on = TOPICS[dice.below(TOPICS.len() as u64) as usize];
    let mut draft = Draft::new(Topic::new(on).unwrap(), format!("{on} {number}"));
    if on.starts_with("state/") {
        let key = format!("k{}", dice.below(4));
        let is_removal = dice.one_in(6);
        draft.data = format!("{on} {number} {key}{}", if is_removal { " -" } else { "" }).into();
        draft.kind = if is_removal { Kind::Removal } else { Kind::Event };
        draft.key = Some(Key::new(&key).unwrap());
    }
    draft
}

/// Number of the newest blocks that the engine may lose: those that are not firm at `now`.
pub(crate) fn not_firm(engine: &Engine, now: u64) -> u64 {
    let is_firm = |bytes: &[u8]| {
        let block = Block::decode(bytes).ok();
        // Blocks without events have the time of the one before.
        block.is_none_or(|block| {
            block.time.as_millis() + FIRM_MS <= now || !matches!(block.content, Content::Events(_))
        })
    };
    let all = engine.observe();
    all.iter().rev().take_while(|(_, entry)| !is_firm(&entry.block)).count() as u64
}

/// The positions after `begun` that rules promise to keep.
fn promised(truth: &Truth, begun: u64) -> Vec<u64> {
    let mut last: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut keys: BTreeMap<&str, Option<u64>> = BTreeMap::new();
    for (position, payload) in &truth.payloads {
        let words: Vec<_> = payload.split(' ').collect();
        match words[..] {
            [on, _] if on.starts_with("last/") => last.entry(on).or_default().push(*position),
            [_, _, key] => drop(keys.insert(key, Some(*position))),
            [_, _, key, _] => drop(keys.insert(key, None)),
            _ => {}
        }
    }
    let newest = last.values().flat_map(|all| all.iter().rev().take(LAST));
    let all = newest.copied().chain(keys.values().flatten().copied());
    all.filter(|position| *position > begun).collect()
}

/// Number of promised events that `log`, a copy which begins after `begun`, does not have.
pub(crate) fn broken(log: &dyn Log, truth: &Truth, begun: u64) -> u64 {
    let is_missing = |position: &&u64| {
        let page = log.read(&ReadQuery::one(Position::new(**position))).unwrap();
        page.records.is_empty()
    };
    promised(truth, begun).iter().filter(is_missing).count() as u64
}
