//! A stream of real NATS servers as a journal: what `tidings_store_shared::Journal` promises, with
//! servers that are killed.
#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stderr)]
#![allow(dead_code, reason = "the world has more than is needed here")]

mod world;

use std::thread;
use std::time::{Duration, Instant};

use tidings_store_nats::{NatsJournal, Severity};
use tidings_store_shared::{AppendFault, Journal as _, JournalError, Seq, SeqBounds};

use world::{Cluster, append, eventually, read_all};

#[test]
fn a_block_is_stored_only_behind_the_last_one_and_a_repetition_only_once() {
    let Some(cluster) = Cluster::start() else { return };
    let mut one = cluster.journal("cas");
    let mut two = NatsJournal::connect(&cluster.client("cas")).unwrap();
    eventually(|| two.bounds().is_ok());
    let empty = SeqBounds { first: Seq::new(1), last: Seq::ZERO };
    assert_eq!(one.bounds().unwrap(), Some(empty));
    assert_eq!(append(&mut one, 0, 1, 1).unwrap(), 1);
    assert!(matches!(append(&mut two, 0, 2, 1), Err(AppendFault::Behind)));
    assert!(matches!(append(&mut two, 5, 2, 2), Err(AppendFault::Behind)));
    assert_eq!(append(&mut two, 1, 2, 3).unwrap(), 2);
    assert_eq!(append(&mut two, 1, 2, 3).unwrap(), 2, "a repetition gets its own sequence");
    let expected = [(1, "1/1".to_owned()), (2, "2/3".to_owned())];
    assert_eq!(read_all(&mut one, 0), expected);
    let bounds = SeqBounds { first: Seq::new(1), last: Seq::new(2) };
    assert_eq!(one.bounds().unwrap(), Some(bounds));
}

#[test]
fn a_reader_that_is_far_behind_gets_every_block_and_one_behind_the_trim_what_is_left() {
    let Some(cluster) = Cluster::start() else { return };
    let mut journal = cluster.journal("far");
    let count = 300;
    for seq in 0..count {
        assert_eq!(append(&mut journal, seq, 1, seq).unwrap(), seq + 1);
    }
    let mut reader = NatsJournal::connect(&cluster.client("far")).unwrap();
    // The replicas may be a moment behind the leader.
    eventually(|| reader.bounds().is_ok_and(|bounds| bounds.unwrap().last == Seq::new(count)));
    let all = read_all(&mut reader, 0);
    let expected: Vec<_> = (0..count).map(|seq| (seq + 1, format!("1/{seq}"))).collect();
    assert_eq!(all, expected);
    let little = reader.read(Seq::ZERO, 1).unwrap();
    assert_eq!(little.len(), 1, "one block at least, and no further one");
    journal.trim(Seq::new(101)).unwrap();
    journal.trim(Seq::new(50)).unwrap();
    assert_eq!(read_all(&mut reader, 0)[..], expected[100..]);
    let bounds = SeqBounds { first: Seq::new(101), last: Seq::new(count) };
    assert_eq!(journal.bounds().unwrap(), Some(bounds));
    // Trimmed to nothing, it still knows where it was.
    journal.trim(Seq::new(count + 1)).unwrap();
    let bounds = SeqBounds { first: Seq::new(count + 1), last: Seq::new(count) };
    assert_eq!(journal.bounds().unwrap(), Some(bounds));
    assert_eq!(append(&mut journal, count, 1, count).unwrap(), count + 1);
}

#[test]
fn a_reader_that_waits_hears_of_a_block_of_another_writer() {
    let Some(cluster) = Cluster::start() else { return };
    let mut writer = cluster.journal("bell");
    let mut reader = NatsJournal::connect(&cluster.client("bell")).unwrap();
    eventually(|| reader.bounds().is_ok());
    let heard = thread::spawn(move || {
        let began = Instant::now();
        while reader.read(Seq::ZERO, 1).unwrap().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(60), "it never hears of it");
            reader.wait(Seq::ZERO, Duration::from_secs(60)).unwrap();
        }
    });
    append(&mut writer, 0, 1, 1).unwrap();
    heard.join().unwrap();
}

#[test]
fn a_stream_that_is_not_there_is_missing_and_is_not_created_by_reading_or_writing() {
    let Some(cluster) = Cluster::start() else { return };
    let _ready = cluster.journal("other");
    let mut journal = NatsJournal::connect(&cluster.client("none")).unwrap();
    eventually(|| matches!(journal.bounds(), Ok(None)));
    assert!(matches!(journal.read(Seq::ZERO, 1), Err(JournalError::Missing)));
    assert!(matches!(journal.trim(Seq::new(2)), Err(JournalError::Missing)));
    assert!(matches!(append(&mut journal, 0, 1, 1), Err(AppendFault::NotStored(_))));
    assert!(matches!(journal.bounds(), Ok(None)));
}

#[test]
fn every_acknowledged_block_is_there_in_order_after_leaders_were_killed() {
    let Some(mut cluster) = Cluster::start() else { return };
    let mut journal = cluster.journal("kill");
    let mut acknowledged = Vec::new();
    let (mut last, mut number) = (0, 0);
    for round in 0..3 {
        let goal = acknowledged.len() + 50;
        let mut is_killed = None;
        let began = Instant::now();
        while acknowledged.len() < goal {
            assert!(began.elapsed() < Duration::from_secs(90), "round {round} never ends");
            if acknowledged.len() == goal - 25 && is_killed.is_none() {
                let leader = cluster.leader(&journal);
                cluster.kill(leader);
                is_killed = Some(leader);
            }
            match append(&mut journal, last, 1, number) {
                Ok(seq) => {
                    acknowledged.push((seq, format!("1/{number}")));
                    last = seq;
                    number += 1;
                }
                // Nothing is stored: the same again.
                Err(AppendFault::NotStored(_)) => thread::sleep(Duration::from_millis(20)),
                // A repetition of the same is stored once, whatever came of the first.
                Err(AppendFault::Undecided { .. }) => {}
                Err(fault) => panic!("there is no other writer: {fault}"),
            }
        }
        cluster.start_server(is_killed.unwrap());
        // The next one can be killed only when this one is back.
        eventually(|| journal.current_replicas().is_ok_and(|current| current == 2));
    }
    eventually(|| read_all(&mut journal, 0).len() == acknowledged.len());
    assert_eq!(read_all(&mut journal, 0), acknowledged);
}

#[test]
fn a_hub_finds_out_what_is_wrong_with_the_servers() {
    let Some(cluster) = Cluster::start() else { return };
    let mut journal = cluster.journal("well");
    let findings = journal.findings().unwrap();
    let severities: Vec<_> = findings.iter().map(|finding| finding.severity).collect();
    let expected = if cluster.is_old() { vec![Severity::Unsafe] } else { Vec::new() };
    assert_eq!(severities, expected, "{findings:?}");
}

#[test]
fn without_servers_nothing_is_stored_and_the_connection_comes_by_itself() {
    let Some(mut cluster) = Cluster::start() else { return };
    let mut journal = cluster.journal("away");
    append(&mut journal, 0, 1, 1).unwrap();
    for number in 0..3 {
        cluster.kill(number);
    }
    eventually(|| matches!(append(&mut journal, 1, 1, 2), Err(AppendFault::NotStored(_))));
    assert!(matches!(journal.bounds(), Err(JournalError::Away { .. })));
    // A hub can start then, too.
    let mut late = NatsJournal::connect(&cluster.client("away")).unwrap();
    assert!(matches!(late.bounds(), Err(JournalError::Away { .. })));
    for number in 0..3 {
        cluster.start_server(number);
    }
    eventually(|| append(&mut journal, 1, 1, 3).is_ok());
    eventually(|| read_all(&mut late, 0).len() == 2);
}
