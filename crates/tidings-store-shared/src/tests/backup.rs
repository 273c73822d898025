//! What a backup of a hub's folder is good for, whatever the hub does between its steps: a hub that
//! starts from it has what the others have, and a log of one hub can be restored from it.
//!
//! A longer run: `scripts/test-long backup`

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tidings_hub::{
    Draft, Erase, Eraser as _, Erasing, EventId, Log as _, Position, Random, ReadQuery, SharedLog,
    Timestamp,
};
use tidings_store_disk::{DiskConfig, DiskStore};

use super::erase::{all_bytes, copy, event, killable, name, numbers};
use super::memory_journal::MemoryJournal;
use super::seeds::{Running, seeds};
use crate::backup::{BackupError, backup, restore};
use crate::mistake::{Mistake, do_between, kill_after};
use crate::test_folder::TestFolder;
use crate::{SharedConfig, SharedStore};

const SEEDS: u64 = 100;
const TOPICS: u64 = 2;
/// The hub that is backed up, and one that is never killed.
const HUBS: usize = 2;
/// The hub that starts from the backup.
const NEW: usize = 2;

/// What is wrong in the end, if anything is.
type Verdict = Result<(), String>;

#[test]
fn a_hub_that_starts_from_a_backup_has_what_the_others_have() {
    let mut made = 0;
    for seed in seeds(SEEDS) {
        let _running = Running(seed);
        made += run(seed).unwrap_or_else(|wrong| panic!("{wrong}"));
    }
    let runs = seeds(SEEDS).count() as u64;
    assert!(runs < SEEDS || made > runs / 2, "{made} backups of {runs} were made");
}

#[test]
fn each_planted_mistake_of_a_backup_is_found() {
    for mistake in Mistake::OF_BACKUPS {
        let _planted = mistake.plant();
        assert!(PLANS.iter().any(|plan| plan.run().is_err()), "{mistake:?} is not found");
    }
}

#[test]
fn what_a_planted_mistake_makes_wrong_is_right_without_one() {
    for plan in PLANS {
        plan.run().unwrap();
    }
}

#[test]
fn a_hub_that_is_still_fetching_the_log_is_not_backed_up() {
    let world = World::new(1);
    drop(world.open(0));
    fs::write(world.path(0).join("incomplete"), "").unwrap();
    let to = world.path(NEW);
    let refused = backup(&world.path(0), &to).unwrap_err();
    assert!(matches!(refused, BackupError::Incomplete { .. }), "{refused}");
    assert!(!to.exists() && !to.with_extension("partial").exists());
    // What is there is not written over.
    fs::create_dir(&to).unwrap();
    assert!(matches!(backup(&world.path(0), &to), Err(BackupError::Exists { .. })));
}

/// A log, folders for hubs, and what is in the log.
struct World {
    journal: MemoryJournal,
    folder: TestFolder,
    random: Random,
    hubs: [Option<SharedStore>; HUBS],
    events: Vec<Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    topic: u64,
    position: Position,
    /// Number of blocks up to its own.
    blocks: usize,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    There,
    Erased,
    Lost,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            journal: MemoryJournal::default(),
            folder: TestFolder::new(),
            random: Random::new(seed),
            hubs: [const { None }; HUBS],
            events: Vec::new(),
        }
    }

    fn path(&self, hub: usize) -> PathBuf {
        self.folder.path().join(hub.to_string())
    }

    fn open(&self, hub: usize) -> SharedStore {
        let config = SharedConfig {
            create: true,
            cache: DiskConfig {
                segment_bytes: Some(2 << 10),
                recent_bytes_max: 2 << 10,
                ..DiskConfig::new("")
            },
            ..SharedConfig::new(self.path(hub))
        };
        SharedStore::open(config, Box::new(self.journal.clone())).unwrap()
    }

    /// A hub that has followed everything.
    fn hub(&mut self, hub: usize) -> &mut SharedStore {
        let mut store = self.hubs[hub].take().unwrap_or_else(|| self.open(hub));
        while let Some(store_again) = self.see_halt(hub, store) {
            store = store_again;
        }
        self.hubs[hub].as_mut().unwrap()
    }

    /// Follows. Returns another store if that one has stopped.
    fn see_halt(&mut self, hub: usize, store: SharedStore) -> Option<SharedStore> {
        store.follow(&mut self.journal.clone());
        if store.halt().is_none() {
            self.hubs[hub] = Some(store);
            return None;
        }
        drop(store);
        Some(self.open(hub))
    }

    /// One thing that can happen while a backup is made.
    fn act(&mut self) {
        let at = self.random.below(HUBS as u64) as usize;
        match self.random.below(14) {
            0..=3 => self.publish(at),
            4 | 5 => self.erase(at),
            6 | 7 => self.follow_and_be_killed(),
            8 => self.fork(),
            9 => {
                self.hub(at);
            }
            10 => self.hubs[0] = None,
            11 | 12 => self.follow_without_erasing(),
            _ => self.damage(),
        }
    }

    fn publish(&mut self, at: usize) {
        let n = self.events.len() as u64 + 1;
        let topic = self.random.below(TOPICS);
        let append = |store: &SharedStore| {
            store.append(vec![event(n, topic, None)], Timestamp::from_millis(1))
        };
        let appended = append(self.hub(at)).or_else(|_| append(self.hub(at))).unwrap();
        let (position, blocks) = (appended[0].position, self.journal.len());
        self.events.push(Known { topic, position, blocks, fate: Fate::There });
    }

    fn erase(&mut self, at: usize) {
        let there: Vec<_> =
            self.events.iter().filter(|event| event.fate == Fate::There).copied().collect();
        if there.is_empty() {
            return;
        }
        let Known { topic, position: upto, .. } =
            there[self.random.below(there.len() as u64) as usize];
        let what = match self.random.below(2) {
            0 => Erasing::All,
            _ => Erasing::At(vec![upto]),
        };
        for known in &mut self.events {
            let is_meant = known.topic == topic
                && (known.position == upto || what == Erasing::All && known.position < upto);
            if is_meant && known.fate == Fate::There {
                known.fate = Fate::Erased;
            }
        }
        let erase = Erase { topic: name(topic), what, upto };
        self.hub(at).erase(&erase, &|| true).unwrap();
    }

    /// The hub that is backed up follows, and is killed in the midst of it, as by `kill -9`.
    fn follow_and_be_killed(&mut self) {
        let store = self.hubs[0].take().unwrap_or_else(|| self.open(0));
        kill_after(Some(self.random.below(16) as u32));
        let mut journal = self.journal.clone();
        let is_alive = killable(|| store.follow(&mut journal)).is_some();
        kill_after(None);
        if is_alive && store.halt().is_none() {
            self.hubs[0] = Some(store);
            return;
        }
        // What was written is there, and nothing is closed.
        store.wait_for_background();
        let (path, copied) = (self.path(0), self.path(0).with_extension("killed"));
        copy(&path, &copied);
        drop(store);
        fs::remove_dir_all(&path).unwrap();
        fs::rename(copied, path).unwrap();
    }

    /// The hub that is backed up follows everything, and cannot erase yet.
    fn follow_without_erasing(&mut self) {
        self.hub(0);
        let mut options = fs::OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let copying = options.open(self.path(0).join("log/copying")).unwrap();
        copying.lock_shared().unwrap();
        self.erase(1);
        self.publish(1);
        self.hubs[0].as_ref().unwrap().follow(&mut self.journal.clone());
    }

    /// The log loses some of its newest events.
    fn fork(&mut self) {
        let newest = (self.journal.len() - self.journal.special()) as u64;
        let count = self.random.below(newest.min(3) + 1) as usize;
        self.lose(count);
    }

    /// The log loses this many of its newest blocks.
    fn lose(&mut self, count: usize) {
        let kept = self.journal.len() - count;
        self.journal.lose_after(kept);
        for known in &mut self.events {
            if known.blocks > kept && known.fate == Fate::There {
                known.fate = Fate::Lost;
            }
        }
    }

    /// The copy of the hub that is backed up cannot be read, and is fetched anew.
    fn damage(&mut self) {
        self.hub(0);
        self.hubs[0] = None;
        fs::write(self.path(0).join("log/format"), "damaged").unwrap();
        self.hub(0);
    }

    fn with(&self, fate: Fate) -> Vec<u64> {
        let events = (1..).zip(&self.events).filter(|(_, event)| event.fate == fate);
        events.map(|(n, _)| n).collect()
    }
}

/// What happens before a backup, and after its first step.
struct Plan {
    before: fn(&mut World),
    then: fn(&mut World),
}

/// Each makes one mistake show itself.
const PLANS: [Plan; 4] = [
    // An erasure that was noted is carried out after the cache was copied too early.
    Plan { before: World::note_erasure, then: World::follow },
    // An erasure is noted after the list was copied too early.
    Plan { before: World::publish_and_follow, then: World::follow_without_erasing },
    // What the log lost is learned after the file with it was copied too early.
    Plan { before: World::lose_more_than_is_known, then: World::learn_what_was_lost },
    // The hub cuts its copy after the cursor was copied.
    Plan { before: World::publish_and_follow, then: World::cut },
];

impl Plan {
    fn run(&self) -> Result<u64, String> {
        let (before, then) = (self.before, self.then);
        let mut steps = 0;
        let between = move |world: &mut World| {
            if steps == 1 {
                then(world);
            }
            steps += 1;
        };
        let before = |world: &mut World| {
            before(world);
            false
        };
        back_up(World::new(1), before, between)
    }
}

impl World {
    fn follow(&mut self) {
        self.hub(0);
    }

    fn publish_and_follow(&mut self) {
        for _ in 0..3 {
            self.publish(0);
            self.hub(1);
        }
    }

    fn note_erasure(&mut self) {
        self.publish_and_follow();
        self.follow_without_erasing();
    }

    /// The log loses two events, of which the hub that is backed up had one.
    fn lose_more_than_is_known(&mut self) {
        self.publish_and_follow();
        self.publish(1);
        self.hub(0);
        self.publish(1);
        self.lose(2);
        self.hub(0);
    }

    /// The other hub lists the second one, and the hub that is backed up follows that.
    fn learn_what_was_lost(&mut self) {
        self.hub(1);
        self.publish(1);
        self.hub(0);
    }

    /// The log loses an event that the hub which is backed up had, and that hub finds it out.
    fn cut(&mut self) {
        self.lose(1);
        self.publish(0);
        self.publish(0);
    }
}

/// One random run. Returns the number of backups that were made.
fn run(seed: u64) -> Result<u64, String> {
    let before = |world: &mut World| {
        for _ in 0..8 {
            world.act();
        }
        if world.random.below(2) == 0 {
            return false;
        }
        world.hub(0);
        if world.random.below(2) == 0 {
            world.follow_without_erasing();
        }
        true
    };
    let between = |world: &mut World| {
        if world.random.below(2) == 0 {
            world.act();
        }
    };
    back_up(World::new(seed), before, between)
}

/// Backs up a hub, and looks what the backup is good for. `before` says whether the hub has
/// followed everything.
fn back_up(
    mut world: World,
    before: impl FnOnce(&mut World) -> bool,
    mut between: impl FnMut(&mut World) + 'static,
) -> Result<u64, String> {
    for hub in 0..HUBS {
        world.hub(hub);
    }
    // What the hub has not followed when the backup begins may be in it or not.
    let has_all = before(&mut world);
    let (mut erased, mut there) = (Vec::new(), Vec::new());
    if has_all {
        (erased, there) = (world.with(Fate::Erased), world.with(Fate::There));
    }
    let path = world.path(0);
    let [to, alone] = ["copy", "alone"].map(|name| world.folder.path().join(name));
    let world = Rc::new(RefCell::new(world));
    let acting = Rc::clone(&world);
    let hook = do_between(move || between(&mut acting.borrow_mut()));
    let made = backup(&path, &to);
    drop(hook);
    match made {
        Ok(_) => {}
        // It restarts all the time here.
        Err(BackupError::Changing { .. } | BackupError::Incomplete { .. }) => return Ok(0),
        Err(error) => return Err(format!("{error}: {error:?}")),
    }
    let mut world = world.borrow_mut();
    see_restored(&world, &to, &alone, &erased, &there)?;
    fs::rename(to, world.path(NEW)).unwrap();
    see_new_hub(&mut world)?;
    Ok(1)
}

/// A log for one hub is restored from the backup.
fn see_restored(world: &World, from: &Path, to: &Path, erased: &[u64], there: &[u64]) -> Verdict {
    restore(from, to).map_err(|error| format!("not restored: {error:?}"))?;
    let log = DiskStore::open(DiskConfig::new(to)).unwrap();
    let page = log.read(&ReadQuery::everything()).unwrap();
    let has = |n: u64| {
        let word = format!("payload-{n}-");
        page.records.iter().any(|record| record.data.starts_with(&word))
    };
    log.wait_for_background();
    let bytes = all_bytes(to);
    for n in erased {
        let word = format!("payload-{n}-");
        if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
            return Err(format!("{n} was erased, and is in the restored log"));
        }
    }
    let still = world.with(Fate::There);
    match there.iter().find(|n| still.contains(n) && !has(**n)) {
        Some(n) => Err(format!("{n} is not in the restored log")),
        None => Ok(()),
    }
}

/// A hub starts from the backup.
fn see_new_hub(world: &mut World) -> Verdict {
    let mut new = world.open(NEW);
    // Each can make the other start again.
    for _ in 0..3 {
        world.hub(1);
        new.follow(&mut world.journal.clone());
        if new.halt().is_some() {
            drop(new);
            new = world.open(NEW);
        }
    }
    let other = world.hubs[1].as_ref().unwrap();
    if new.identity().epoch != other.identity().epoch {
        return Err(format!("it is called {:?}, not {:?}", new.identity(), other.identity()));
    }
    for (store, hub) in [(&new, "the new hub"), (other, "the other hub")] {
        let has = numbers(store);
        let meant = world.with(Fate::There);
        if has != meant {
            return Err(format!("{hub} has {has:?}, not {meant:?}"));
        }
        for n in meant {
            if SharedLog::fork_before(store, &id(n)).unwrap().is_some() {
                return Err(format!("{hub} takes {n} for lost"));
            }
        }
    }
    for n in world.with(Fate::Lost) {
        let [new, other] =
            [&new, other].map(|store| SharedLog::fork_before(store, &id(n)).unwrap());
        if new != other {
            return Err(format!("{n} was lost at {other:?}, and for the new hub at {new:?}"));
        }
    }
    new.wait_for_background();
    let bytes = all_bytes(&world.path(NEW));
    for n in world.with(Fate::Erased) {
        let word = format!("payload-{n}-");
        if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
            return Err(format!("{n} was erased, and is in a file of the new hub"));
        }
    }
    Ok(())
}

fn id(n: u64) -> EventId {
    let Draft { id, .. } = event(n, 0, None);
    id.unwrap()
}
