//! The checker of subscribers' transcripts notices each kind of fault, and only that one.

use std::collections::HashSet;

use tidings_testkit::checker::{Findings, Run, check};
use tidings_testkit::transcript::{Entry, Seen, fingerprint};

fn seen(number: u64) -> Seen {
    Seen { number, id: fingerprint(&format!("k7q2ma:{number}.abcd")) }
}

fn event(number: u64) -> Entry {
    Entry::Event(seen(number))
}

fn reset(after: u64) -> Entry {
    Entry::Reset { after: Some(seen(after).id) }
}

/// Two hubs with the events 1 to 5, all acknowledged.
fn run() -> Run {
    let log: Vec<_> = (1..=5).map(seen).collect();
    let published = (1..=5).collect();
    Run { logs: vec![log.clone(), log.clone()], acknowledged: log, published, lost: HashSet::new() }
}

fn findings(transcript: &[Entry]) -> Findings {
    check(&run(), [transcript])
}

fn events(numbers: &[u64]) -> Vec<Entry> {
    numbers.iter().copied().map(event).collect()
}

#[test]
fn a_subscriber_with_the_whole_log_is_no_finding() {
    let all = findings(&events(&[1, 2, 3, 4, 5]));
    assert_eq!(all, Findings::default());
    assert!(!all.is_wrong());
}

#[test]
fn events_that_are_missing_anywhere_are_lost() {
    for missing in [&[2, 3, 4, 5][..], &[1, 2, 4, 5], &[1, 2, 3, 4]] {
        let found = findings(&events(missing));
        assert_eq!(found, Findings { lost: 1, ..Findings::default() }, "{missing:?}");
        assert!(found.is_wrong());
    }
    assert_eq!(findings(&[]).lost, 5);
}

#[test]
fn an_event_twice_is_a_finding() {
    for twice in [&[1, 2, 2, 3, 4, 5][..], &[1, 2, 3, 1, 4, 5], &[1, 2, 3, 4, 5, 5]] {
        let found = findings(&events(twice));
        assert_eq!(found, Findings { twice: 1, ..Findings::default() }, "{twice:?}");
        assert!(found.is_wrong());
    }
}

#[test]
fn another_order_is_a_finding() {
    let found = findings(&events(&[1, 3, 2, 4, 5]));
    assert_eq!(found, Findings { out_of_order: 1, ..Findings::default() });
    assert!(found.is_wrong());
}

#[test]
fn what_nobody_published_is_a_finding_wherever_it_is() {
    let mut transcript = events(&[1, 2, 3, 4, 5]);
    transcript.insert(2, event(77));
    transcript.push(Entry::Foreign);
    let found = findings(&transcript);
    assert_eq!(found, Findings { foreign: 2, ..Findings::default() });
    let mut run = run();
    run.published.remove(&3);
    let found = check(&run, [&events(&[1, 2, 3, 4, 5])[..]]);
    assert_eq!(found, Findings { foreign: 1, ..Findings::default() });
    assert!(found.is_wrong());
}

#[test]
fn another_id_than_in_the_log_is_a_finding() {
    let mut transcript = events(&[1, 2, 3, 4, 5]);
    transcript[2] = Entry::Event(Seen { number: 3, id: seen(4).id });
    let found = findings(&transcript);
    assert_eq!(found, Findings { other_id: 1, ..Findings::default() });
    assert!(found.is_wrong());
}

#[test]
fn a_reset_needs_a_cause() {
    let mut transcript = events(&[1, 2, 3]);
    transcript.push(reset(3));
    transcript.extend(events(&[1, 2, 3, 4, 5]));
    let found = findings(&transcript);
    assert_eq!(found, Findings { needless_resets: 1, ..Findings::default() });
    assert!(found.is_wrong());
    // A newcomer has nothing to lose.
    let mut transcript = vec![Entry::Reset { after: None }];
    transcript.extend(events(&[1, 2, 3, 4, 5]));
    assert_eq!(findings(&transcript).needless_resets, 1);
}

#[test]
fn a_holder_of_a_lost_event_must_be_told() {
    let mut run = run();
    run.lost = HashSet::from([seen(50)]);
    run.published.insert(50);
    let told = [event(1), event(50), reset(50), event(2), event(3), event(4), event(5)];
    let found = check(&run, [&told[..]]);
    assert_eq!(found, Findings { resets: 1, ..Findings::default() });
    assert!(!found.is_wrong());
    let went_on = events(&[1, 50, 2, 3, 4, 5]);
    let found = check(&run, [&went_on[..]]);
    assert_eq!(found, Findings { untold: 1, ..Findings::default() });
    assert!(found.is_wrong());
    let left_alone = events(&[1, 2, 3, 4, 5, 50]);
    assert_eq!(check(&run, [&left_alone[..]]).untold, 1);
}

#[test]
fn a_reset_without_anything_after_it_is_a_loss() {
    let mut run = run();
    run.lost = HashSet::from([seen(50)]);
    let transcript = [event(1), event(50), reset(50)];
    let found = check(&run, [&transcript[..]]);
    assert_eq!(found, Findings { resets: 1, lost: 1, ..Findings::default() });
    // After one, anything may be missing up to where it goes on, and nothing from there.
    let transcript = [event(1), event(50), reset(50), event(3), event(5)];
    let found = check(&run, [&transcript[..]]);
    assert_eq!(found, Findings { resets: 1, lost: 1, ..Findings::default() });
}

#[test]
fn the_log_itself_is_checked() {
    let all = events(&[1, 2, 3, 4, 5]);
    let mut differs = run();
    differs.logs[1].swap(0, 1);
    assert_eq!(check(&differs, [&all[..]]).logs_that_differ, 1);
    let mut missing = run();
    missing.acknowledged.push(seen(6));
    assert_eq!(check(&missing, [&all[..]]).acknowledged_and_missing, 1);
    missing.lost.insert(seen(6));
    assert!(!check(&missing, [&all[..]]).is_wrong());
    let mut twice = run();
    for log in &mut twice.logs {
        log.push(Seen { number: 3, id: seen(6).id });
    }
    let found = check(&twice, std::iter::empty());
    assert_eq!(found, Findings { twice_in_the_log: 1, ..Findings::default() });
    assert!(found.is_wrong());
}
