//! What retention by rules has dropped: for each topic the position of the newest dropped event.
//!
//! With it a subscriber that comes back learns of a loss only if something it could have had is
//! gone. Private events are counted apart: they are a loss only to readers that may have such. So
//! is what no later event supersedes, or superseded when it was dropped: only that is a loss to
//! readers of the state.
//!
//! The number of topics is bounded. Where there are more, the oldest losses of the lane with the
//! most become its *floor*: any reader of that lane that comes from before it learns of a loss.

use std::collections::BTreeMap;
use std::ops::Bound;

use tidings_hub::{Draft, Interest, Kind, Matcher, Position, Topic, Visibility};

use crate::limits::LOST_TOPICS_MAX;
use crate::rules::Rules;

/// The losses of all lanes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    pub(crate) lanes: Vec<LaneLosses>,
    /// Position up to which any event, on any topic, may be lost.
    pub(crate) floor: Position,
}

/// The losses of one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LaneLosses {
    /// Position up to which any event of this lane may be lost.
    pub(crate) floor: Position,
    /// The newest of all.
    newest: Position,
    /// The newest that is not private.
    newest_public: Position,
    /// The newest that is missing in a state.
    newest_of_state: Position,
    topics: BTreeMap<Topic, Lost>,
}

/// The newest losses of one topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lost {
    public: Position,
    private: Position,
    /// Missing in a state.
    of_state: Position,
}

/// The readers to which something is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LostTo {
    /// Readers of history.
    History,
    /// Readers of the state.
    State,
}

impl Losses {
    pub(crate) fn of(lanes: usize) -> Self {
        Self { lanes: vec![LaneLosses::default(); lanes], floor: Position::ZERO }
    }

    /// Notes that the record at `position` is dropped from `lane`, and whether what superseded it
    /// stays.
    pub(crate) fn note(
        &mut self,
        lane: usize,
        record: &Draft,
        position: Position,
        is_superseded: bool,
    ) {
        // No reader gets the silent end of a topic.
        if matches!(record.kind, Kind::SilentEnd | Kind::Erased) {
            return;
        }
        let is_private = record.visibility == Visibility::Private;
        let lane = &mut self.lanes[lane];
        for topic in record.topics() {
            let (public, private) =
                if is_private { (Position::ZERO, position) } else { (position, Position::ZERO) };
            let of_state = if is_superseded { Position::ZERO } else { position };
            lane.add(topic, Lost { public, private, of_state });
        }
    }

    /// Adds the losses of a job.
    pub(crate) fn add(&mut self, others: &Self, rules: &Rules) {
        self.floor = self.floor.max(others.floor);
        for (lane, other) in self.lanes.iter_mut().zip(&others.lanes) {
            lane.raise_floor(other.floor);
            for (topic, lost) in &other.topics {
                lane.add(topic, *lost);
            }
        }
        self.fold(LOST_TOPICS_MAX, rules);
    }

    /// Raises the floor of the lanes with the most topics until no more than `topics_max` are left.
    fn fold(&mut self, topics_max: usize, rules: &Rules) {
        while self.lanes.iter().map(|lane| lane.topics.len()).sum::<usize>() > topics_max {
            let most = self.lanes.iter().enumerate().max_by_key(|(_, lane)| lane.topics.len());
            let number = most.expect("there are topics").0;
            let lane = &mut self.lanes[number];
            let mut positions: Vec<_> = lane.topics.values().map(|lost| lost.newest()).collect();
            let middle = positions.len() / 2;
            let (_, floor, _) = positions.select_nth_unstable(middle);
            let floor = *floor;
            let mut has_foreign = false;
            lane.topics.retain(|topic, lost| {
                let stays = lost.newest() > floor;
                // An event is found under topics that are not of its lane.
                has_foreign |= !stays && rules.lane_of(topic) != number;
                stays
            });
            lane.raise_floor(floor);
            if has_foreign {
                self.floor = self.floor.max(floor);
            }
        }
    }

    /// The same losses, sorted into the lanes of other rules.
    pub(crate) fn sorted_by(&self, rules: &Rules) -> Self {
        let mut sorted = Self::of(rules.lanes());
        // Which topics a floor is for depends on the rules.
        sorted.floor = self.lanes.iter().map(|lane| lane.floor).fold(self.floor, Position::max);
        for (topic, lost) in self.lanes.iter().flat_map(|lane| &lane.topics) {
            let lane = if topic.is_of_notes() { 0 } else { rules.lane_of(topic) };
            sorted.lanes[lane].add(topic, *lost);
        }
        sorted
    }

    /// Position of the newest loss after `after` that a reader with `interest` could have had;
    /// without an interest, of any.
    pub(crate) fn after(
        &self,
        after: Position,
        interest: Option<&Interest>,
        to: LostTo,
        rules: &Rules,
    ) -> Option<Position> {
        let mut newest = self.floor;
        for (number, lane) in self.lanes.iter().enumerate() {
            let newest_of_lane = match to {
                LostTo::History => lane.newest,
                LostTo::State => lane.newest_of_state,
            };
            if newest_of_lane <= after.max(newest) {
                continue;
            }
            let Some(interest) = interest else {
                newest = newest.max(newest_of_lane);
                continue;
            };
            if lane.floor > after && rules.may_want(interest, number) {
                newest = newest.max(lane.floor);
            }
            newest = newest.max(lane.newest_for(interest, to));
        }
        Some(newest).filter(|newest| *newest > after)
    }

    /// Whether something is lost to readers of the state that was not in `before`.
    pub(crate) fn purges_more_than(&self, before: &Self) -> bool {
        let newest = |losses: &Self| {
            let lanes = losses.lanes.iter().map(|lane| lane.newest_of_state);
            lanes.fold(losses.floor, Position::max)
        };
        newest(self) > newest(before)
    }

    /// The text of the file that holds them, without its checksum.
    pub(crate) fn encode(&self) -> String {
        use std::fmt::Write as _;
        let lost = self.lanes.iter().flat_map(|lane| lane.topics.values());
        let is_simple = lost.into_iter().all(|lost| lost.of_state == lost.newest());
        let format = if is_simple { FORMAT_1 } else { FORMAT_2 };
        let mut text = format!("tidings losses\n{format}\nfloor {}\n", self.floor);
        for (number, lane) in self.lanes.iter().enumerate() {
            let _ = writeln!(text, "lane {number} {}", lane.floor);
            for (topic, Lost { public, private, of_state }) in &lane.topics {
                let _ = match is_simple {
                    true => writeln!(text, "{public} {private} {topic}"),
                    false => writeln!(text, "{public} {private} {of_state} {topic}"),
                };
            }
        }
        text
    }

    /// Decodes [`encode`](Self::encode)'s text; `None` if it is not one.
    pub(crate) fn decode(text: &str, lanes: usize) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != "tidings losses" {
            return None;
        }
        let is_simple = match lines.next()? {
            FORMAT_1 => true,
            FORMAT_2 => false,
            _ => return None,
        };
        let mut losses = Self::of(lanes);
        losses.floor = position(lines.next()?.strip_prefix("floor ")?)?;
        let mut lane = None;
        for line in lines {
            if let Some(words) = line.strip_prefix("lane ") {
                let (number, floor) = words.split_once(' ')?;
                let found = losses.lanes.get_mut(number.parse::<usize>().ok()?)?;
                found.raise_floor(position(floor)?);
                lane = Some(found);
                continue;
            }
            let mut words = line.splitn(if is_simple { 3 } else { 4 }, ' ');
            let mut next = || position(words.next()?);
            let (public, private) = (next()?, next()?);
            let of_state = if is_simple { public.max(private) } else { next()? };
            let lost = Lost { public, private, of_state };
            lane.as_mut()?.add(&Topic::stored(words.next()?).ok()?, lost);
        }
        Some(losses)
    }
}

/// The second line of the text, if nothing that was dropped was superseded.
const FORMAT_1: &str = "format 1";

/// The same, with a third number for each topic.
const FORMAT_2: &str = "format 2";

impl Lost {
    fn newest(self) -> Position {
        self.public.max(self.private)
    }
}

fn position(text: &str) -> Option<Position> {
    text.parse().ok().map(Position::new)
}

impl LaneLosses {
    fn add(&mut self, topic: &Topic, lost: Lost) {
        let entry = match self.topics.get_mut(topic) {
            Some(entry) => entry,
            None => self.topics.entry(topic.clone()).or_default(),
        };
        entry.public = entry.public.max(lost.public);
        entry.private = entry.private.max(lost.private);
        entry.of_state = entry.of_state.max(lost.of_state);
        self.newest = self.newest.max(lost.newest());
        if !topic.is_of_notes() {
            self.newest_public = self.newest_public.max(lost.public);
            self.newest_of_state = self.newest_of_state.max(lost.of_state);
        }
    }

    fn raise_floor(&mut self, floor: Position) {
        self.floor = self.floor.max(floor);
        self.newest = self.newest.max(floor);
        self.newest_public = self.newest_public.max(floor);
        self.newest_of_state = self.newest_of_state.max(floor);
    }

    fn newest_for(&self, interest: &Interest, to: LostTo) -> Position {
        let may_have_private = !interest.private().is_empty();
        let of = |lost: &Lost| match to {
            LostTo::State => lost.of_state,
            LostTo::History if may_have_private => lost.newest(),
            LostTo::History => lost.public,
        };
        let mut newest = Position::ZERO;
        for matcher in interest.wanted() {
            let found = match matcher {
                Matcher::Exact(topic) => self.topics.get(topic).map(of),
                Matcher::All if to == LostTo::State => Some(self.newest_of_state),
                Matcher::All if !may_have_private => Some(self.newest_public),
                _ => {
                    let prefix = matcher.literal_prefix();
                    let named =
                        self.topics.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
                    let named = named.take_while(|(topic, _)| topic.as_str().starts_with(prefix));
                    let wanted =
                        named.filter(|(topic, _)| !topic.is_of_notes() && matcher.matches(topic));
                    wanted.map(|(_, lost)| of(lost)).max()
                }
            };
            newest = newest.max(found.unwrap_or_default());
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const HISTORY: LostTo = LostTo::History;

    fn draft(topic: &str, visibility: Visibility) -> Draft {
        Draft { visibility, ..Draft::new(Topic::new(topic).unwrap(), "") }
    }

    fn interest(wanted: &str, private: &[&str]) -> Interest {
        let parse = |text: &&str| Matcher::parse(text).unwrap();
        Interest::new(vec![parse(&wanted)], private.iter().map(parse).collect())
    }

    #[test]
    fn a_loss_counts_for_those_that_could_have_had_the_event() {
        let rules = Rules::default();
        let mut losses = Losses::of(1);
        losses.note(0, &draft("a/1", Visibility::ByTopic), Position::new(5), false);
        losses.note(0, &draft("a/2", Visibility::Private), Position::new(9), false);
        let losses = Losses::decode(&losses.encode(), 1).unwrap();
        let after = |wanted: &str, private: &[&str], after: u64| {
            let lost = losses.after(
                Position::new(after),
                Some(&interest(wanted, private)),
                HISTORY,
                &rules,
            );
            lost.map(Position::get)
        };
        assert_eq!(after("a/1", &[], 4), Some(5));
        assert_eq!(after("a/1", &[], 5), None);
        assert_eq!(after("a/2", &[], 0), None);
        assert_eq!(after("a/2", &["a/2"], 0), Some(9));
        assert_eq!(after("a/*", &[], 0), Some(5));
        assert_eq!(after("**", &[], 0), Some(5));
        assert_eq!(after("**", &["x"], 0), Some(9));
        assert_eq!(after("b/**", &["**"], 0), None);
        assert_eq!(losses.after(Position::ZERO, None, HISTORY, &rules), Some(Position::new(9)));
    }

    #[test]
    fn what_was_superseded_is_lost_to_readers_of_history_and_not_of_the_state() {
        let rules = Rules::default();
        let mut losses = Losses::of(1);
        let simple = losses.encode();
        losses.note(0, &draft("a/1", Visibility::ByTopic), Position::new(5), false);
        assert!(losses.encode().starts_with("tidings losses\nformat 1\n"));
        losses.note(0, &draft("a/1", Visibility::Private), Position::new(9), true);
        let losses = Losses::decode(&losses.encode(), 1).unwrap();
        let after = |wanted: &str, to, after: u64| {
            let interest = interest(wanted, &["**"]);
            losses.after(Position::new(after), Some(&interest), to, &rules).map(Position::get)
        };
        for wanted in ["a/1", "a/*", "**"] {
            assert_eq!(after(wanted, LostTo::History, 4), Some(9), "{wanted}");
            assert_eq!(after(wanted, LostTo::State, 4), Some(5), "{wanted}");
            assert_eq!(after(wanted, LostTo::State, 5), None, "{wanted}");
        }
        assert_eq!(Losses::decode(&simple, 1), Some(Losses::of(1)));
    }

    #[test]
    fn beyond_the_bound_the_oldest_losses_become_a_floor() {
        let rules = Rules::default();
        let mut losses = Losses::of(1);
        for n in 1..=100 {
            losses.note(0, &draft(&format!("t/{n}"), Visibility::ByTopic), Position::new(n), false);
        }
        losses.fold(60, &rules);
        let lost = |topic: &str, after| {
            losses.after(Position::new(after), Some(&interest(topic, &[])), HISTORY, &rules)
        };
        let floor = losses.lanes[0].floor;
        assert!(losses.lanes[0].topics.len() <= 60 && floor.get() >= 40);
        assert_eq!(lost("never/seen", 3), Some(floor), "cautious");
        assert_eq!(lost("t/100", 99), Some(Position::new(100)));
        assert_eq!(lost("t/99", 99), None);
    }
}
