//! Stores in separate processes, which end badly.
//!
//! A child is this test program, running only [`child_appends`].

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use tidings_hub::{AppendError, Log as _, Position, with_causes};
use tidings_store_disk::{DiskConfig, DiskStore, Durability};
use tidings_testkit::store_suite::{Dice, at, draft};

use super::{check, event};
use crate::stores::Folder;

const KILLS: u64 = 60;

/// The variable with the folder that a child appends to.
const FOLDER: &str = "TIDINGS_TEST_FOLDER";
/// The variable that says whether it uses `fsync`.
const FSYNC: &str = "TIDINGS_TEST_FSYNC";

/// Not a test by itself, but the child's work: appends without end, and prints what was
/// acknowledged.
#[test]
fn child_appends() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let fsync = std::env::var(FSYNC).is_ok();
    let config = DiskConfig {
        durability: if fsync { Durability::Fsync } else { Durability::Os },
        segment_bytes: Some(128 << 10),
        ..DiskConfig::new(folder)
    };
    let store = DiskStore::open(config).unwrap();
    let mut dice = Dice::new(u64::from(std::process::id()));
    // Ends the line begun by the test harness.
    println!();
    for _ in 0..1_000_000 {
        let next = store.bounds().head.get() + 1;
        let count = 1 + dice.below(40);
        let drafts = (next..next + count).map(|n| draft(&format!("topic/{}", n % 7), &event(n)));
        match store.append(drafts.collect(), at(next)) {
            Ok(appended) => println!("acknowledged {}", appended[appended.len() - 1].position),
            Err(error @ AppendError::Full { .. }) => {
                // Reading still works.
                let bounds = check(&store);
                assert_eq!(bounds.head.next(), Position::new(next));
                let failure = store.health().failure.unwrap();
                assert_eq!(with_causes(&failure), with_causes(&error));
                println!("failed {}", with_causes(&error));
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn child(through: Option<&str>, folder: &Folder, fsync: bool) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut command = match through {
        Some(script) => {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(script).arg(program);
            shell
        }
        None => Command::new(program),
    };
    command.args(["disk::child::child_appends", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder.path()).stdout(Stdio::piped());
    if fsync {
        command.env(FSYNC, "1");
    }
    command.spawn().unwrap()
}

#[test]
fn no_acknowledged_event_is_lost_by_kill_9() {
    for fsync in [true, false] {
        let folder = Folder::new();
        let mut dice = Dice::new(fsync.into());
        let mut acknowledged = 0;
        for round in 0..KILLS / 2 {
            let mut child = child(None, &folder, fsync);
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut answers = dice.below(60);
            for line in lines.by_ref() {
                if let Some(position) = line.unwrap().strip_prefix("acknowledged ") {
                    acknowledged = position.parse().unwrap();
                    if answers == 0 {
                        break;
                    }
                    answers -= 1;
                }
            }
            child.kill().unwrap();
            // Lines it printed before it ended count too.
            for line in lines {
                if let Some(position) = line.unwrap().strip_prefix("acknowledged ") {
                    acknowledged = position.parse().unwrap();
                }
            }
            child.wait().unwrap();
            let store = DiskStore::open(folder.config()).unwrap();
            let bounds = check(&store);
            assert_eq!(bounds.first, Position::new(1));
            assert!(
                bounds.head >= Position::new(acknowledged),
                "round {round}: {acknowledged} acknowledged, {} there",
                bounds.head
            );
        }
        assert!(acknowledged > 1_000, "the children did something");
    }
}

/// A limit on file size stands in for a full disk: the write fails the same way, half done.
#[test]
fn a_full_disk_rejects_events_with_a_reason_and_still_serves_readers() {
    // In units of 512 bytes: less than a segment.
    for blocks in [140, 170, 200] {
        let folder = Folder::new();
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut child = child(Some(&script), &folder, true);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines: Vec<_> = lines.map(Result::unwrap).collect();
        assert!(child.wait().unwrap().success(), "{lines:?}");
        let said = |what: &str| lines.iter().filter_map(|l| l.strip_prefix(what)).next_back();
        let failed = said("failed ").unwrap();
        assert!(failed.contains(".log") && failed.contains("large"), "{failed}");
        let acknowledged = said("acknowledged ").unwrap().parse().unwrap();
        // With room again, it continues.
        let store = DiskStore::open(folder.config()).unwrap();
        assert!(check(&store).head >= Position::new(acknowledged));
        super::fill(&store, 20);
    }
}
