//! Which records stay.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use tidings_hub::{Draft, Kind, Position, ReadQuery, Timestamp, Topic};

use crate::error::Fault;
use crate::limits::SEGMENT_AGE_SHARE;
use crate::mistake::Mistake;
use crate::record::TopicTexts;
use crate::rules::{Policy, REST, Rules};
use crate::segment::Sealed;
use crate::state::Shared;

use super::source::Source;

/// Decides for the records of a job, which it must be asked in log order.
pub(super) struct Choice {
    policies: Vec<Policy>,
    now: Timestamp,
    mode: Mode,
    protected: Protected,
    ends: HashMap<Topic, Option<Timestamp>, RandomState>,
}

/// What is asked of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Everything stays.
    All,
    /// Nothing stays.
    Nothing,
    /// What the policies say.
    ByPolicy,
}

/// The outcome for one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stays; at that time, if there is one, it is to be looked at again.
    Stays(Option<Timestamp>),
    /// It goes.
    Goes,
    /// It goes, and nobody could have had it any more.
    IsOver,
}

impl Choice {
    /// Reads the `files` if lanes keep the last events of their topics. With `trimmed`, they are
    /// all files of that lane, and it is held to its bytes.
    pub(super) fn make(
        shared: &Shared,
        rules: &Rules,
        files: &[Arc<Sealed>],
        mode: Mode,
        trimmed: Option<usize>,
        go_on: &mut dyn FnMut() -> Result<(), Fault>,
    ) -> Result<Self, Fault> {
        let hot_bytes = shared.read_state().hot_bytes();
        let policies: Vec<_> =
            (0..rules.lanes()).map(|lane| rules.policy(lane, &shared.config, hot_bytes)).collect();
        let now = shared.now();
        let keeps_last = policies.iter().any(|policy| policy.keep_last > 0);
        let mut protected = Protected::default();
        if mode == Mode::ByPolicy && keeps_last {
            protected.find(rules, &policies, files, now, go_on)?;
            if let Some(lane) = trimmed {
                protected.trim(policies[lane].bytes);
            }
        }
        Ok(Self { policies, now, mode, protected, ends: HashMap::default() })
    }

    /// Whether the next record stays.
    pub(super) fn judge(
        &mut self,
        shared: &Shared,
        lane: usize,
        record: &Draft,
        position: Position,
        time: Timestamp,
    ) -> Result<Verdict, Fault> {
        let is_protected = self.protected.take_next();
        if self.mode == Mode::All {
            return Ok(Verdict::Stays(None));
        }
        if record.kind == Kind::Erased {
            // Its place says which id a publisher may not use again, for as long as other events.
            let is_young = self.policies[REST].is_young(time, self.now);
            let stays = is_young && self.mode == Mode::ByPolicy;
            return Ok(if stays { Verdict::Stays(None) } else { Verdict::IsOver });
        }
        if record.is_over(time, self.now) {
            return Ok(Verdict::IsOver);
        }
        if self.mode == Mode::Nothing {
            return Ok(Verdict::Goes);
        }
        let policy = self.policies[lane];
        if policy.keep_last > 0 {
            return Ok(if is_protected {
                Verdict::Stays(None)
            } else if policy.is_young(time, self.now) && position > self.protected.trimmed_upto {
                Verdict::Stays(Some(self.again(policy, time)))
            } else {
                Verdict::Goes
            });
        }
        if policy.is_young(time, self.now) {
            return Ok(Verdict::Stays(None));
        }
        // All of an ended topic goes together.
        Ok(match self.end_of(shared, &record.topic)? {
            Some(end) if policy.is_young(end, self.now) => {
                Verdict::Stays(Some(self.again(policy, end)))
            }
            _ => Verdict::Goes,
        })
    }

    /// When something of that time is to be looked at again: not for a while in any case.
    fn again(&self, policy: Policy, time: Timestamp) -> Timestamp {
        let pause = policy.age_ms / u64::from(SEGMENT_AGE_SHARE);
        let soonest = Timestamp::from_millis(self.now.as_millis().saturating_add(pause.max(1)));
        policy.ends(time).max(soonest)
    }

    /// When the topic ended, if it has.
    fn end_of(&mut self, shared: &Shared, topic: &Topic) -> Result<Option<Timestamp>, Fault> {
        if let Some(end) = self.ends.get(topic) {
            return Ok(*end);
        }
        let state = shared.topic(topic)?.filter(|state| state.ended);
        let end = match state {
            None => None,
            Some(state) => {
                let query = ReadQuery { told: state.last, ..ReadQuery::one(state.last) };
                let page = shared.read(&query).map_err(|error| {
                    Fault::damaged(&shared.config.path, format_args!("the end of {topic}: {error}"))
                })?;
                page.records.first().map(|record| record.time())
            }
        };
        self.ends.insert(topic.clone(), end);
        Ok(end)
    }
}

/// Which records are among the last of their topics, in the order of the files.
#[derive(Default)]
struct Protected {
    files: Vec<OfFile>,
    /// Position up to which the others go, because their lane has too many bytes.
    trimmed_upto: Position,
    file: usize,
    record: usize,
}

#[derive(Default)]
struct OfFile {
    bits: Vec<u64>,
    records: usize,
    last: Position,
    protected_bytes: u64,
    other_bytes: u64,
}

impl Protected {
    /// Goes through the files, the newest first.
    fn find(
        &mut self,
        rules: &Rules,
        policies: &[Policy],
        files: &[Arc<Sealed>],
        now: Timestamp,
        go_on: &mut dyn FnMut() -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut seen = Seen::default();
        for file in files.iter().rev() {
            let one = [vec![Arc::clone(file)]];
            let mut source = Source::of(&one);
            let mut texts = TopicTexts::default();
            let mut records = Vec::new();
            let mut found = OfFile { last: file.last, ..OfFile::default() };
            while let Some(entry) = source.next()? {
                if records.len() % 1024 == 0 {
                    go_on()?;
                }
                let head = entry.view.head(&mut texts);
                let head = head.ok_or_else(|| file.log.unreadable(entry.position))?;
                let keep_last = policies[rules.lane_of_record(&head)].keep_last;
                // A record with a time to live does not count: when it is over there would be one
                // too few.
                let counts = head.kind.is_event()
                    && (head.ttl_s.is_none() || Mistake::TimeToLiveCounts.is_planted())
                    && !is_end(&head);
                let is_young = policies[rules.lane_of_record(&head)].is_young(entry.time, now);
                records.push(Seeing {
                    topic: if keep_last > 0 { seen.number_of(&head.topic) } else { 0 },
                    keep_last,
                    counts,
                    ends: head.kind.ends_topic(),
                    bytes: entry.raw.len() as u32,
                    is_young,
                });
            }
            found.bits = vec![0; records.len().div_ceil(64)];
            found.records = records.len();
            for (number, record) in records.iter().enumerate().rev() {
                if record.keep_last == 0 {
                    continue;
                }
                if seen.protects(record) {
                    found.bits[number / 64] |= 1 << (number % 64);
                    found.protected_bytes += u64::from(record.bytes);
                } else if record.is_young {
                    found.other_bytes += u64::from(record.bytes);
                }
            }
            self.files.push(found);
        }
        self.files.reverse();
        Ok(())
    }

    /// Gives up the oldest of the others until no more than `bytes_max` bytes are left.
    fn trim(&mut self, bytes_max: u64) {
        let mut bytes: u64 =
            self.files.iter().map(|file| file.protected_bytes + file.other_bytes).sum();
        for file in &self.files {
            if bytes <= bytes_max {
                break;
            }
            bytes -= file.other_bytes;
            self.trimmed_upto = file.last;
        }
    }

    /// Whether the next record is protected.
    fn take_next(&mut self) -> bool {
        while self.files.get(self.file).is_some_and(|file| self.record >= file.records) {
            (self.file, self.record) = (self.file + 1, 0);
        }
        let Some(file) = self.files.get(self.file) else {
            return false;
        };
        let number = self.record;
        self.record += 1;
        file.bits[number / 64] & (1 << (number % 64)) != 0
    }
}

/// Whether it only says that its topic has ended.
fn is_end(record: &Draft) -> bool {
    record.kind.ends_topic() && record.kind != Kind::LastEvent
}

/// A record, as far as it matters for this.
struct Seeing {
    topic: u32,
    keep_last: u32,
    counts: bool,
    ends: bool,
    bytes: u32,
    is_young: bool,
}

/// How many of the newest records of each topic were seen.
#[derive(Default)]
struct Seen {
    topics: HashMap<Topic, u32, RandomState>,
    /// By number: how many count, and whether there was any.
    counts: Vec<(u32, bool)>,
}

impl Seen {
    fn number_of(&mut self, topic: &Topic) -> u32 {
        if let Some(number) = self.topics.get(topic) {
            return *number;
        }
        let number = self.counts.len() as u32;
        self.counts.push((0, false));
        self.topics.insert(topic.clone(), number);
        number
    }

    /// Whether the record before those seen of its topic is one of the last. The end of a topic
    /// stays as long as it is the last: without it the topic would go on.
    fn protects(&mut self, record: &Seeing) -> bool {
        let (count, any) = &mut self.counts[record.topic as usize];
        let is_newest = !std::mem::replace(any, true);
        if record.counts && *count < record.keep_last {
            *count += 1;
            return true;
        }
        is_newest && record.ends
    }
}
