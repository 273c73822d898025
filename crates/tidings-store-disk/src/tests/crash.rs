use super::*;
use crate::Durability;
use crate::disk::Disk as _;
use crate::disk::simulated::Trouble;

/// Number of lives.
const SEEDS: u64 = 30;

/// Appends, retention and reopening, with a kill or a power cut at any moment; afterwards
/// everything acknowledged is there, and an unacknowledged append is there as a whole or not at
/// all.
#[test]
fn nothing_acknowledged_is_lost_by_a_power_cut() {
    for seed in seeds(SEEDS) {
        let _running = Running(seed);
        let retention = if seed % 3 == 0 { 60 << 10 } else { u64::MAX };
        Life::new(seed, small(retention)).live(6, true);
    }
}

#[test]
fn nothing_that_reached_the_operating_system_is_lost_by_a_kill() {
    for seed in seeds(SEEDS / 2) {
        let _running = Running(seed);
        let config = DiskConfig { durability: Durability::Os, ..small(u64::MAX) };
        Life::new(seed, config).live(6, false);
    }
}

/// Without `fsync` a power cut can lose the end of the log, but leaves no gap and no half append.
#[test]
fn a_log_that_is_not_synced_loses_at_most_its_end() {
    for seed in seeds(SEEDS) {
        let _running = Running(seed);
        let config = DiskConfig { durability: Durability::Os, ..small(u64::MAX) };
        let mut life = Life::new(seed, config);
        for _ in 0..4 {
            life.live(1, true);
        }
    }
}

struct Life {
    dice: Dice,
    disk: SimulatedDisk,
    config: DiskConfig,
    acknowledged: Vec<Draft>,
    unanswered: Vec<Draft>,
    may_have_lost_its_end: bool,
    time: u64,
}

impl Life {
    fn new(seed: u64, config: DiskConfig) -> Self {
        let dice = Dice(seed);
        let disk = SimulatedDisk::new(seed + 1_000_000);
        Self {
            dice,
            disk,
            config,
            acknowledged: Vec::new(),
            unanswered: Vec::new(),
            may_have_lost_its_end: false,
            time: 1_000,
        }
    }

    fn live(&mut self, times: u64, with_power_cuts: bool) {
        for _ in 0..times {
            // The first opening creates the log, which a crash may interrupt too.
            let trouble = match self.dice.below(3) {
                0 => Trouble::None,
                1 => Trouble::StopsAfter(1 + self.dice.below(12)),
                _ => Trouble::StopsAfter(1 + self.dice.below(150)),
            };
            self.disk.set_trouble(trouble);
            match open(&self.disk, &self.config) {
                Ok(store) => self.use_store(&store),
                Err(error) => {
                    let stopped = matches!(error, OpenError::Io { .. }) && self.disk.has_stopped();
                    assert!(stopped, "{error}");
                }
            }
            let power_cut = with_power_cuts && self.dice.one_in(2);
            self.disk = if power_cut {
                self.may_have_lost_its_end |= self.config.durability == Durability::Os;
                self.disk.after_power_cut()
            } else {
                self.disk.after_kill()
            };
        }
        let store = open(&self.disk, &self.config).unwrap();
        self.settle(&store);
    }

    fn use_store(&mut self, store: &DiskStore) {
        self.settle(store);
        for _ in 0..self.dice.below(40) {
            if self.dice.one_in(10) {
                let _ = store.retain(at(self.time));
                continue;
            }
            self.time += self.dice.below(20);
            let next = self.acknowledged.len() as u64 + 1;
            let count = 1 + self.dice.below(12);
            let drafts: Vec<_> =
                (next..next + count).map(|n| some_draft(&mut self.dice, n)).collect();
            match store.append(drafts.clone(), at(self.time)) {
                Ok(appended) => {
                    assert_eq!(appended[0].position, Position::new(next));
                    self.acknowledged.extend(drafts);
                }
                Err(error) => {
                    assert!(self.disk.has_stopped(), "{error}");
                    self.unanswered = drafts;
                    // Everything acknowledged can still be read, and nothing else.
                    assert_eq!(store.bounds().head, Position::new(next - 1));
                    Expected(&self.acknowledged).check(store).unwrap();
                    assert!(store.append(vec![some_draft(&mut self.dice, 0)], at(0)).is_err());
                    return;
                }
            }
        }
        if self.dice.one_in(2) {
            Expected(&self.acknowledged).check(store).unwrap();
        }
    }

    /// An append that was unacknowledged when the process ended is there as a whole, or not at all.
    fn settle(&mut self, store: &DiskStore) {
        let unanswered = std::mem::take(&mut self.unanswered);
        if self.may_have_lost_its_end {
            self.may_have_lost_its_end = false;
            self.acknowledged.truncate(store.bounds().head.get() as usize);
        }
        if store.bounds().head != Position::new(self.acknowledged.len() as u64) {
            self.acknowledged.extend(unanswered);
        }
        Expected(&self.acknowledged).check(store).unwrap();
    }
}

#[test]
fn a_failed_sync_is_never_retried() {
    for seed in 0..30 {
        eprintln!("seed {seed}");
        let disk = SimulatedDisk::new(seed);
        let config = small(u64::MAX);
        let store = open(&disk, &config).unwrap();
        disk.set_trouble(Trouble::SyncFailsAfter(3 + seed));
        let mut dice = Dice(seed);
        let mut stored = Vec::new();
        let error = loop {
            let draft = some_draft(&mut dice, stored.len() as u64 + 1);
            match store.append(vec![draft.clone()], at(1)) {
                Ok(_) => stored.push(draft),
                Err(error) => break error,
            }
        };
        // The failing sync may be that of a file that is still empty: then the file is created
        // again.
        if !error.is_final() {
            assert_eq!(error.kind(), "away");
            continue;
        }
        let reason = with_causes(&error);
        assert!(reason.contains("input/output error"), "{reason}");
        assert!(reason.contains("/simulated"), "{reason}");
        Expected(&stored).check(&store).unwrap();

        // The trouble is over, but this store cannot know what is on the disk.
        disk.set_trouble(Trouble::None);
        let again = store.append(vec![some_draft(&mut dice, 0)], at(1)).unwrap_err();
        assert_eq!(with_causes(&again), reason);
        assert!(store.retain(at(1)).is_err());
        assert!(store.health().failure.is_some_and(|failure| failure.is_final()));
        drop(store);

        let disk = disk.after_power_cut();
        let store = open(&disk, &config).unwrap();
        assert!(store.health().failure.is_none());
        let head = store.bounds().head.get() as usize;
        assert!(head >= stored.len(), "{head} of {}", stored.len());
        Expected(&stored).check_prefix(&store);
    }
}

impl Expected<'_> {
    /// Everything expected is there; an append that failed may be there too.
    fn check_prefix(&self, store: &DiskStore) {
        let all = read_all(store, None).unwrap();
        assert!(self.0.iter().eq(all[..self.0.len()].iter().map(|record| &***record)));
    }
}

#[test]
fn retention_leaves_no_file_behind() {
    let disk = SimulatedDisk::new(1);
    let config = small(60 << 10);
    let store = open(&disk, &config).unwrap();
    let mut dice = Dice(1);
    for n in 1..2_000 {
        store.append(vec![some_draft(&mut dice, n)], at(n)).unwrap();
    }
    assert!(store.bounds().first > Position::new(1));
    drop(store);
    let mut bytes = 0;
    let names = disk.names().unwrap();
    // An index counts once it is written, which can be after the last retention.
    for name in names.iter().filter(|name| name.ends_with(".log")) {
        bytes += disk.length(name);
    }
    assert!(bytes < 60 << 10, "{bytes} bytes in {names:?}");
    let logs = names.iter().filter(|name| name.ends_with(".log")).count();
    let indexes = names.iter().filter(|name| name.ends_with(".index")).count();
    assert_eq!((logs, names.len()), (indexes + 1, logs + indexes + 1), "{names:?}");
}
