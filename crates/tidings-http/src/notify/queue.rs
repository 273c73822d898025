//! What waits to be told.

use std::collections::VecDeque;

use super::fact::{Fact, Kind};
use crate::limits::{
    NOTIFY_BATCH_BYTES_MAX, NOTIFY_BATCH_FACTS_MAX, NOTIFY_QUEUE_BYTES_MAX, NOTIFY_QUEUE_FACTS_MAX,
};

/// The facts that wait, with a bound: beyond it the oldest go, and are counted.
#[derive(Debug)]
pub(super) struct Queue {
    facts: VecDeque<Fact>,
    bytes: usize,
    /// Facts lost since the last message.
    lost: u64,
    /// Number of the last message.
    seq: u64,
    /// Whether no message of this process was accepted yet.
    is_first: bool,
}

/// What one message has.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) seq: u64,
    pub(super) lost: u64,
    pub(super) is_first: bool,
    facts: Vec<Fact>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { facts: VecDeque::new(), bytes: 0, lost: 0, seq: 0, is_first: true }
    }

    /// Adds a fact. Returns how many are lost by that.
    pub(super) fn push(&mut self, fact: Fact) -> u64 {
        self.bytes += size(&fact);
        self.facts.push_back(fact);
        let mut lost = 0;
        while self.facts.len() > NOTIFY_QUEUE_FACTS_MAX || self.bytes > NOTIFY_QUEUE_BYTES_MAX {
            let Some(oldest) = self.facts.pop_front() else { break };
            self.bytes -= size(&oldest);
            lost += 1;
        }
        self.lost += lost;
        lost
    }

    /// The next message, if there is something to tell.
    pub(super) fn next(&mut self) -> Option<Batch> {
        if self.facts.is_empty() && self.lost == 0 && !self.is_first {
            return None;
        }
        let mut facts = Vec::new();
        let mut bytes = 0;
        while facts.len() < NOTIFY_BATCH_FACTS_MAX
            && let Some(next) = self.facts.front()
            && (facts.is_empty() || bytes + next.json.len() < NOTIFY_BATCH_BYTES_MAX)
        {
            bytes += next.json.len() + 1;
            self.bytes -= size(next);
            facts.extend(self.facts.pop_front());
        }
        self.seq += 1;
        let lost = std::mem::take(&mut self.lost);
        Some(Batch { seq: self.seq, lost, is_first: self.is_first, facts })
    }

    pub(super) fn accepted(&mut self) {
        self.is_first = false;
    }

    /// A message is given up: what it had is lost. Returns how many facts that is.
    pub(super) fn dropped(&mut self, batch: &Batch) -> u64 {
        let facts = batch.facts.len() as u64;
        self.lost += batch.lost + facts;
        facts
    }

    /// Forgets everything: nothing will be told any more.
    pub(super) fn clear(&mut self) {
        *self = Self { is_first: false, ..Self::new() };
    }

    pub(super) fn len(&self) -> usize {
        self.facts.len()
    }
}

impl Batch {
    /// As a message of the process `run`, of this moment.
    pub(super) fn body(&self, run: u32, timestamp: &str) -> Vec<u8> {
        let listed = |kind: Kind| {
            let facts = self.facts.iter().filter(|fact| fact.kind == kind);
            facts.map(|fact| &*fact.json).collect::<Vec<_>>().join(",")
        };
        let (connected, gone) = (listed(Kind::Connected), listed(Kind::Gone));
        let began = if self.is_first { r#""began":true,"# } else { "" };
        let Self { seq, lost, .. } = self;
        format!(
            r#"{{"type":"tidings.connections","timestamp":"{timestamp}","data":{{"run":"{run:08x}","seq":{seq},{began}"lost":{lost},"connected":[{connected}],"gone":[{gone}]}}}}"#
        )
        .into_bytes()
    }
}

/// What a fact takes in memory, about.
fn size(fact: &Fact) -> usize {
    fact.json.len() + size_of::<Fact>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::Value;

    use super::*;

    fn fact(number: usize, length: usize) -> Fact {
        let json = format!(r#"{{"n":{number},"x":"{}"}}"#, "x".repeat(length)).into();
        Fact { kind: Kind::Connected, json }
    }

    fn told(batch: &Batch) -> Value {
        serde_json::from_slice(&batch.body(0x5f21_c0de, "2026-01-02T03:04:05.678Z")).unwrap()
    }

    #[test]
    fn beyond_the_bound_the_oldest_facts_go_and_the_next_message_says_how_many() {
        for (number, length) in [(NOTIFY_QUEUE_FACTS_MAX + 7, 0), (5000, 10_000)] {
            let mut queue = Queue::new();
            let lost: u64 = (0..number).map(|n| queue.push(fact(n, length))).sum();
            assert!(lost > 0 && queue.len() <= NOTIFY_QUEUE_FACTS_MAX);
            assert!(queue.bytes <= NOTIFY_QUEUE_BYTES_MAX);
            assert_eq!(queue.len() as u64 + lost, number as u64);
            let first = told(&queue.next().unwrap());
            assert_eq!(first["data"]["lost"], lost);
            assert_eq!(first["data"]["connected"][0]["n"], lost, "the oldest that is left");
            assert_eq!(told(&queue.next().unwrap())["data"]["lost"], 0);
        }
    }

    #[test]
    fn messages_have_a_bound_and_together_everything_in_order() {
        let mut queue = Queue::new();
        (0..3000).for_each(|n| _ = queue.push(fact(n, n % 900)));
        let mut seen = Vec::new();
        let mut seq = 0;
        while queue.len() > 0 {
            let batch = queue.next().unwrap();
            seq += 1;
            assert!(batch.facts.len() <= NOTIFY_BATCH_FACTS_MAX);
            let body = batch.body(1, "now");
            assert!(body.len() <= NOTIFY_BATCH_BYTES_MAX + 1024, "{}", body.len());
            let told = told(&batch);
            assert_eq!(
                (&told["data"]["seq"], &told["data"]["run"]),
                (&seq.into(), &"5f21c0de".into())
            );
            let connected = told["data"]["connected"].as_array().unwrap().clone();
            seen.extend(connected.iter().map(|fact| fact["n"].as_u64().unwrap()));
        }
        assert_eq!(seen, (0..3000).collect::<Vec<_>>());
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn the_first_message_says_so_until_one_is_accepted_and_what_is_given_up_is_lost() {
        let mut queue = Queue::new();
        let first = queue.next().expect("a new process has something to say");
        assert_eq!(told(&first)["data"]["began"], true);
        _ = queue.push(fact(1, 0));
        let second = queue.next().unwrap();
        assert_eq!(queue.dropped(&second), 1);
        let third = told(&queue.next().unwrap());
        assert_eq!((&third["data"]["began"], &third["data"]["lost"]), (&true.into(), &1.into()));
        queue.accepted();
        assert!(queue.next().is_none());
        _ = queue.push(fact(2, 0));
        assert_eq!(told(&queue.next().unwrap())["data"].get("began"), None);
    }
}
