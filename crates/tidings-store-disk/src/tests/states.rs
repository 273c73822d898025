//! What readers of the state get of a log to which rules are applied.

use std::collections::{BTreeMap, HashMap};

use tidings_hub::{Piece, SlotHash, StateRead};

use super::rules::Published;
use super::*;
use crate::rules::Rules;
use crate::{Promise, Rule};

/// The events that stand for their slots: of keys, and without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fold(HashMap<SlotHash, String>);

impl Fold {
    /// That of all records.
    pub(super) fn of(store: &DiskStore, records: &[(Draft, u64)]) -> Self {
        let mut fold = Self::default();
        for (draft, _) in records {
            fold.add(store, draft);
        }
        fold
    }

    /// Adds the next record.
    pub(super) fn add(&mut self, store: &DiskStore, draft: &Draft) {
        let Some(slot) = store.slots().slot_of(draft) else { return };
        if draft.kind.is_removal() {
            self.0.remove(&slot);
            return;
        }
        // The end of a topic is a slot that no page of a state has.
        if draft.kind.ends_topic() {
            return;
        }
        match &draft.piece {
            Some(piece) if piece.from > 0 => {
                let value = self.0.get_mut(&slot).unwrap();
                assert_eq!(piece.from, value.len() as u64);
                value.push_str(&draft.data);
            }
            _ => drop(self.0.insert(slot, draft.data.to_string())),
        }
    }
}

/// Gives many events on topics with a state a key, and makes some of them pieces of a value.
pub(super) fn give_keys(dice: &mut Dice, fold: &Fold, store: &DiskStore, draft: &mut Draft) {
    if draft.topic.as_str() == "topic/6" && draft.ttl_s.is_none() && !dice.one_in(4) {
        draft.key = Some(Key::new(&format!("k{}", dice.below(4))).unwrap());
        draft.kind = if dice.one_in(5) { Kind::Removal } else { Kind::Event };
    }
    if draft.key.is_some() && draft.kind == Kind::Event && dice.one_in(2) {
        let before = store.slots().slot_of(draft).and_then(|slot| fold.0.get(&slot));
        let from = before.map_or(0, |text| text.len() as u64);
        draft.piece = Some(Box::new(Piece { at: None, from }));
    }
}

impl Published {
    /// Where a rule promises the state, readers get it, from the beginning and from each place;
    /// nowhere does a key come back with an older value.
    pub(super) fn check_states(
        &self,
        store: &DiskStore,
        here: &BTreeMap<Position, Arc<Record>>,
        rules: &[Rule],
    ) {
        store.slots().complete(store).unwrap();
        let sorted = Rules(rules.to_vec());
        let has_state = |topic: &Topic| {
            let rule = sorted.lane_of(topic).checked_sub(1).map(|rule| &rules[rule]);
            rule.is_some_and(|rule| rule.promise == Some(Promise::State))
        };
        let all = Fold::of(store, &self.records);
        for number in 0..9 {
            let topic = Topic::new(format!("topic/{number}")).unwrap();
            let exact = vec![Matcher::Exact(topic.clone())];
            let interest = Interest::new(exact, vec![Matcher::All]);
            let of_topic = |fold: &Fold, keys_only: bool| {
                let of_topic = self.records.iter().filter(|(draft, _)| draft.topic == topic);
                let of_topic = of_topic.filter(|(draft, _)| draft.key.is_some() || !keys_only);
                let slots = of_topic.filter_map(|(draft, _)| store.slots().slot_of(draft));
                let values = slots.filter_map(|slot| Some((slot, fold.0.get(&slot)?.clone())));
                Fold(values.collect())
            };
            let mut read = Fold::default();
            read_state(store, &interest, &topic, Position::ZERO, &mut read);
            let keys = of_topic(&read, true).0.len() as u64;
            assert_eq!(store.slots().keys_of(&topic), keys, "keys of {topic}");
            if !has_state(&topic) {
                for (slot, value) in &of_topic(&read, true).0 {
                    assert_eq!(all.0.get(slot), Some(value), "{topic}: an older value");
                }
                continue;
            }
            let mut expected = of_topic(&all, false);
            // What replaced the event before may be over.
            let mut events = self.records.iter().rev();
            let is_event = |draft: &Draft| draft.kind == Kind::Event && draft.key.is_none();
            let newest = events.find(|(draft, _)| draft.topic == topic && is_event(draft));
            if let Some((newest, time)) = newest
                && newest.is_over(at(*time), store.shared.now())
            {
                expected.0.remove(&store.slots().slot_of(newest).unwrap());
            }
            assert_eq!(of_topic(&read, false), expected, "{topic}");
            for after in (0..self.records.len()).step_by(1 + self.records.len() / 8) {
                let place = Position::new(after as u64);
                let mut held = of_topic(&Fold::of(store, &self.records[..after]), true);
                match store.lost_of_state(&interest, place).unwrap() {
                    None => {
                        read_state(store, &interest, &topic, place, &mut held);
                        assert_eq!(of_topic(&held, true), of_topic(&all, true), "after {after}");
                    }
                    Some(lost) => assert!(
                        (after + 1..=self.records.len()).any(|number| {
                            let draft = &self.records[number - 1].0;
                            let is_missed = draft.topic != topic || draft.kind.is_removal();
                            is_missed
                                && draft.topics().any(|on| *on == topic)
                                && !here.contains_key(&Position::new(number as u64))
                        }),
                        "{topic}: nothing is lost after {after}, up to {lost}"
                    ),
                }
            }
        }
    }
}

/// Adds to `held` what a reader gets that comes from `after`.
fn read_state(
    store: &DiskStore,
    interest: &Interest,
    topic: &Topic,
    after: Position,
    held: &mut Fold,
) {
    let head = store.bounds().head;
    let has_removals = after > Position::ZERO;
    let read = StateRead { from: after, has_removals, has_superseded: false, half: None };
    let mut reached = after;
    while reached < head {
        let query = ReadQuery {
            after: reached,
            upto: head,
            told: head,
            interest: Some(interest),
            records_max: 7,
            bytes_max: 20_000,
        };
        let state = read.read(store, &query).unwrap();
        assert!(state.page.reached > reached, "a read makes progress");
        reached = state.page.reached;
        for record in state.page.records.iter().filter(|record| record.topic == *topic) {
            let Some(slot) = store.slots().slot_of(record) else { continue };
            match record.kind.is_removal() {
                true => drop(held.0.remove(&slot)),
                false => drop(held.0.insert(slot, record.data.to_string())),
            }
        }
    }
}
