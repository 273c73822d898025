use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use tidings_hub::{
    CheckError, Draft, Erase, Eraser as _, Erasing, EventId, Key, Kind, Log as _, Position, Random,
    ReadQuery, Repeats, SharedLog, Timestamp, Topic,
};
use tidings_store_disk::DiskConfig;

use super::memory_journal::MemoryJournal;
use super::seeds::{Running, seeds};
use crate::limits::ERASURES_MAX;
use crate::mistake::{Killed, Mistake, kill_after};
use crate::test_folder::TestFolder;
use crate::whole_file::REPLACED;
use crate::{SharedConfig, SharedStore};

/// Runs of the simulation; `scripts/test-long erase` makes more.
const SEEDS: u64 = 12;
const STEPS: u32 = 50;
const TOPICS: u64 = 3;
const HUBS: usize = 3;

/// What is wrong in the end, if anything is.
type Verdict = Result<(), String>;

#[test]
fn what_is_erased_is_gone_at_every_hub_and_nothing_else_is() {
    for seed in seeds(SEEDS) {
        let _running = Running(seed);
        run(seed).unwrap_or_else(|wrong| panic!("{wrong}"));
    }
}

#[test]
fn each_planted_mistake_is_found() {
    for mistake in Mistake::ALL {
        let _planted = mistake.plant();
        let directed = || lost_erasure().is_err() || put_back_cache().is_err();
        let found = directed() || (1..=200).any(|seed| run(seed).is_err());
        assert!(found, "{mistake:?} is not found");
    }
}

#[test]
fn an_erasure_that_the_log_lost_does_not_reach_what_took_its_place() {
    lost_erasure().unwrap();
}

#[test]
fn a_cache_that_was_put_back_has_nothing_that_was_erased_since() {
    put_back_cache().unwrap();
}

#[test]
fn a_hub_follows_more_erasures_than_its_list_takes() {
    let world = World::new(1);
    let hub = world.open(0).unwrap();
    publish(&hub, event(1, 0, None));
    for _ in 0..=ERASURES_MAX {
        erase(&hub, 0, Erasing::At(vec![Position::new(1)]), Position::new(1));
    }
    let cold = world.open(1).unwrap();
    assert_eq!(numbers(&cold), []);
    assert_eq!(fetching(&cold), None);
    assert!(!world.path(1).join("erasing").exists());
}

/// Every hub of a cluster that erases a lot meets that when its folder was lost.
#[test]
fn a_hub_that_fetches_a_log_writes_its_list_of_erasures_for_many_of_them_at_once() {
    let world = World::new(1);
    let hub = world.open(0).unwrap();
    let count = 3 * ERASURES_MAX as u64;
    let drafts = (1..=count).map(|n| event(n, 0, None)).collect();
    hub.append(drafts, Timestamp::from_millis(1)).unwrap();
    let erasures = (1..=count).map(|at| Erase {
        topic: name(0),
        what: Erasing::At(vec![Position::new(at)]),
        upto: Position::new(at),
    });
    world.journal.erase(erasures);
    publish(&hub, event(count + 1, 0, None));
    let before = REPLACED.get();
    let cold = world.open(1).unwrap();
    let replaced = REPLACED.get() - before;
    assert_eq!(numbers(&cold), [count + 1]);
    assert!(!world.path(1).join("erasing").exists());
    assert!(replaced < 20, "{replaced} files were replaced");
}

#[test]
fn an_id_with_its_check_stays_a_place_after_its_event_was_erased() {
    let world = World::new(1);
    let [one, two] = [0, 1].map(|hub| world.open(hub).unwrap());
    publish(&one, event(1, 0, None));
    let mark = (&one as &dyn tidings_hub::Log).mark(Position::new(1)).unwrap();
    assert!(mark.check.is_some());
    erase(&one, 0, Erasing::At(vec![Position::new(1)]), Position::new(1));
    two.follow(&mut world.journal.clone());
    drop(one);
    // From memory, from the disk, and fetched anew.
    for hub in [&two, &world.open(0).unwrap(), &world.open(2).unwrap()] {
        assert_eq!(numbers(hub), []);
        assert!((hub as &dyn tidings_hub::Log).fits(mark).unwrap());
    }
}

#[test]
fn a_hub_that_cannot_erase_yet_serves_nobody_until_it_has() {
    let world = World::new(1);
    let one = world.open(0).unwrap();
    publish(&one, event(1, 0, None));
    drop(world.open(1).unwrap());
    erase(&one, 0, Erasing::All, Position::new(1));
    // A backup of the copy is being made.
    let copying = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(world.path(1).join("log/copying"))
        .unwrap();
    copying.lock_shared().unwrap();
    let two = world.open(1).unwrap();
    two.follow(&mut world.journal.clone());
    assert_eq!(fetching(&two), Some(1));
    let pending = || SharedLog::following(&two).erasures;
    assert_eq!(pending(), 1);
    drop(copying);
    two.follow(&mut world.journal.clone());
    assert_eq!((fetching(&two), pending()), (None, 0));
    assert_eq!(numbers(&two), []);
}

/// A log, folders for hubs, and what is in the log.
struct World {
    journal: MemoryJournal,
    folder: TestFolder,
    random: Random,
    events: BTreeMap<u64, Known>,
    /// Numbers of the keys in use: a key that was erased is not used again.
    keys: [u64; TOPICS as usize],
}

#[derive(Debug)]
struct Known {
    position: Position,
    topic: u64,
    key: Option<u64>,
    is_erased: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            journal: MemoryJournal::default(),
            folder: TestFolder::new(),
            random: Random::new(seed),
            events: BTreeMap::new(),
            keys: [1, 2, 3],
        }
    }

    fn path(&self, hub: usize) -> PathBuf {
        self.folder.path().join(hub.to_string())
    }

    fn open(&self, hub: usize) -> Option<SharedStore> {
        let config = SharedConfig {
            create: true,
            cache: DiskConfig {
                segment_bytes: Some(2 << 10),
                recent_bytes_max: 2 << 10,
                ..DiskConfig::new("")
            },
            ..SharedConfig::new(self.path(hub))
        };
        let journal = Box::new(self.journal.clone());
        killable(|| SharedStore::open(config, journal).unwrap())
    }

    /// As after `kill -9`: what was written is there, and nothing is closed.
    fn kill(&self, hub: usize, store: Option<SharedStore>) {
        if let Some(store) = &store {
            // Its thread removes no file while they are copied.
            store.wait_for_background();
        }
        let (path, copied) = (self.path(hub), self.path(hub).with_extension("copy"));
        copy(&path, &copied);
        drop(store);
        fs::remove_dir_all(&path).unwrap();
        fs::rename(copied, path).unwrap();
    }

    fn publish(&mut self, store: &SharedStore) {
        let n = self.events.len() as u64 + 1;
        let topic = self.random.below(TOPICS);
        let key = (self.random.below(3) == 0).then(|| self.keys[topic as usize]);
        let position = publish(store, event(n, topic, key));
        self.events.insert(n, Known { position, topic, key, is_erased: false });
    }

    /// Erases something at a hub that may be killed meanwhile. Returns whether it is alive.
    fn erase(&mut self, store: &SharedStore) -> bool {
        let plain: Vec<_> = self.events.values().filter(|event| event.key.is_none()).collect();
        let topic = self.random.below(TOPICS);
        let (topic, what, upto) = match self.random.below(4) {
            0 => {
                let reset = Draft { kind: Kind::Erasure, ..Draft::new(name(topic), "") };
                (topic, Erasing::All, publish(store, reset).previous())
            }
            1 => {
                let key = self.keys[topic as usize];
                self.keys[topic as usize] += TOPICS;
                let key = key_name(key);
                let removal = Draft {
                    kind: Kind::Removal,
                    key: Some(key.clone()),
                    ..Draft::new(name(topic), "")
                };
                (topic, Erasing::Key(key), publish(store, removal))
            }
            _ if plain.is_empty() => return true,
            _ => {
                let one = &plain[self.random.below(plain.len() as u64) as usize];
                (one.topic, Erasing::At(vec![one.position]), one.position)
            }
        };
        let before = self.journal.erasures();
        let is_alive = self.with_kill(|| {
            erase(store, topic, what.clone(), upto);
        });
        if self.journal.erasures() > before {
            for known in self.events.values_mut().filter(|known| known.topic == topic) {
                known.is_erased |= known.position <= upto
                    && match &what {
                        Erasing::All => true,
                        Erasing::At(positions) => positions.contains(&known.position),
                        Erasing::Key(key) => known.key.map(key_name).as_ref() == Some(key),
                    };
            }
        }
        is_alive
    }

    /// Does something, and perhaps is killed.
    fn with_kill(&mut self, act: impl FnOnce()) -> bool {
        let is_killed = self.random.below(2) == 0;
        kill_after(is_killed.then(|| self.random.below(14) as u32));
        let is_alive = killable(act).is_some();
        kill_after(None);
        is_alive
    }

    /// Whether a hub that has followed everything has what it should, and no more.
    fn see(&self, store: &SharedStore) -> Verdict {
        let there = numbers(store);
        let meant = self.events.iter().filter(|(_, event)| !event.is_erased).map(|(n, _)| *n);
        let meant: Vec<_> = meant.collect();
        if there == meant { Ok(()) } else { Err(format!("there is {there:?}, not {meant:?}")) }
    }

    /// Whether a hub's folder has nothing of what is erased, and whether ids stay used.
    fn look_into(&self, hub: usize, store: &SharedStore) -> Verdict {
        let bytes = all_bytes(&self.path(hub));
        for (n, known) in self.events.iter().filter(|(_, known)| known.is_erased) {
            for word in ["payload", "ident"].map(|word| format!("{word}-{n}-")) {
                if bytes.windows(word.len()).any(|window| window == word.as_bytes()) {
                    return Err(format!("{word} is in a file of hub {hub}"));
                }
            }
            let again = [event(*n, known.topic, known.key)];
            let refused = Repeats::new().check(store, &again);
            if !matches!(refused, Err(CheckError::IdErased { .. })) {
                return Err(format!("the id of {n} is free at hub {hub}: {refused:?}"));
            }
        }
        Ok(())
    }
}

/// One run: hubs publish and erase, follow, are killed, and lose their folders.
fn run(seed: u64) -> Verdict {
    let mut world = World::new(seed);
    let mut hubs: [Option<SharedStore>; HUBS] = [const { None }; HUBS];
    hubs[0] = world.open(0);
    for _ in 0..STEPS {
        let at = world.random.below(HUBS as u64) as usize;
        let Some(store) = hubs[at].take() else {
            let is_killed = world.random.below(2) == 0;
            kill_after(is_killed.then(|| world.random.below(30) as u32));
            let store = world.open(at);
            kill_after(None);
            match store {
                Some(store) => {
                    world.see(&store)?;
                    hubs[at] = Some(store);
                }
                None => world.kill(at, None),
            }
            continue;
        };
        let is_alive = match world.random.below(10) {
            0..=4 => {
                world.publish(&store);
                true
            }
            5 | 6 => world.erase(&store),
            7 => {
                let mut journal = world.journal.clone();
                world.with_kill(|| store.follow(&mut journal))
            }
            8 => false,
            _ => {
                drop(store);
                fs::remove_dir_all(world.path(at)).unwrap();
                continue;
            }
        };
        if is_alive {
            hubs[at] = Some(store);
        } else {
            world.kill(at, Some(store));
        }
    }
    for (at, hub) in hubs.iter_mut().enumerate() {
        let store = hub.take().or_else(|| world.open(at)).unwrap();
        store.follow(&mut world.journal.clone());
        world.see(&store)?;
        store.wait_for_background();
        world.look_into(at, &store)?;
    }
    Ok(())
}

/// The log loses an erasure that a hub has noted and not carried out, and gets other events.
fn lost_erasure() -> Verdict {
    let world = World::new(1);
    let [one, two] = [0, 1].map(|hub| world.open(hub).unwrap());
    publish(&one, event(1, 0, None));
    two.follow(&mut world.journal.clone());
    let kept = world.journal.len();
    publish(&one, event(2, 0, None));
    erase(&one, 0, Erasing::All, Position::new(2));
    // Two blocks with two places each, and the one where it is on the list.
    kill_after(Some(4));
    let mut journal = world.journal.clone();
    assert!(killable(|| two.follow(&mut journal)).is_none());
    assert!(world.path(1).join("erasing").exists() || Mistake::CursorFirst.is_planted());
    world.kill(1, Some(two));
    drop(one);
    world.journal.lose_after(kept);
    let three = world.open(2).unwrap();
    publish(&three, event(3, 0, None));
    let two = world.open(1).unwrap();
    let there = numbers(&two);
    if there == [1, 3] { Ok(()) } else { Err(format!("there is {there:?}")) }
}

/// The folder of a cache is put back as it was before something was erased, and no event came
/// since.
fn put_back_cache() -> Verdict {
    let world = World::new(1);
    let hub = world.open(0).unwrap();
    publish(&hub, event(1, 0, None));
    publish(&hub, event(2, 0, None));
    drop(hub);
    let (cache, copied) = (world.path(0).join("log"), world.path(0).join("copied"));
    copy(&cache, &copied);
    let hub = world.open(0).unwrap();
    erase(&hub, 0, Erasing::At(vec![Position::new(1)]), Position::new(1));
    hub.prove_head().unwrap();
    drop(hub);
    fs::remove_dir_all(&cache).unwrap();
    fs::rename(copied, cache).unwrap();
    let there = numbers(&world.open(0).unwrap());
    if there == [2] { Ok(()) } else { Err(format!("there is {there:?}")) }
}

pub(super) fn killable<T>(act: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(done) => Some(done),
        Err(payload) if payload.is::<Killed>() => None,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

pub(super) fn name(topic: u64) -> Topic {
    Topic::new(format!("users/{topic}")).unwrap()
}

fn key_name(key: u64) -> Key {
    Key::new(&format!("key-{key}-")).unwrap()
}

pub(super) fn event(n: u64, topic: u64, key: Option<u64>) -> Draft {
    Draft {
        id: EventId::new(format!("ident-{n}-")).ok(),
        once: true,
        key: key.map(key_name),
        ..Draft::new(name(topic), format!("payload-{n}-{}", "x".repeat(n as usize * 7 % 300)))
    }
}

/// Publishes, and once more if another hub was faster, as an engine does.
fn publish(store: &SharedStore, draft: Draft) -> Position {
    let append = || store.append(vec![draft.clone()], Timestamp::from_millis(1));
    let appended = append().or_else(|_| append());
    appended.unwrap()[0].position
}

fn erase(store: &SharedStore, topic: u64, what: Erasing, upto: Position) {
    store.erase(&Erase { topic: name(topic), what, upto }, &|| true).unwrap();
}

/// The numbers of the events that can be read.
pub(super) fn numbers(store: &SharedStore) -> Vec<u64> {
    let page = store.read(&ReadQuery::everything()).unwrap();
    let data = page.records.iter().filter_map(|record| record.data.strip_prefix("payload-"));
    data.map(|data| data.split_once('-').unwrap().0.parse().unwrap()).collect()
}

fn fetching(store: &SharedStore) -> Option<u64> {
    SharedLog::following(store).fetching
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// What is in all files of a folder.
pub(super) fn all_bytes(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => bytes.extend(all_bytes(&entry.path())),
            false => bytes.extend(fs::read(entry.path()).unwrap()),
        }
    }
    bytes
}
