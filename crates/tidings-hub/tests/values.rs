//! Values that grow by pieces, read as a state in small pages while they change: whatever happens
//! in between, what a reader has at the end is the fold of all events.

mod watched_log;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use tidings_hub::{
    Draft, Epoch, Interest, Key, Kind, Log, MemoryStore, Page, Piece, Pointer, Position, ReadQuery,
    Record, StatePage, StatePoll, StateRead, Timestamp, Topic,
};
use watched_log::WatchedLog;

/// What a publisher does to a key.
#[derive(Clone, Debug)]
enum Change {
    Whole(String),
    Append(String),
    Remove,
}

/// A change to a key; those with even numbers grow as text, the others at `/d`.
type Step = (u8, Change);

/// Texts by key.
type Map = BTreeMap<u8, String>;

/// A log, and what its publishers know of it.
struct World {
    store: MemoryStore,
    /// The values of all keys, and the same as of each position.
    now: Map,
    then: Vec<Map>,
}

impl World {
    fn new() -> Self {
        let epoch = Epoch::parse("k7q2ma").expect("a valid epoch");
        let store = MemoryStore::new(epoch, usize::MAX, Duration::from_secs(3600));
        Self { store, now: Map::new(), then: vec![Map::new()] }
    }

    fn publish(&mut self, step: &Step) {
        if let Some(draft) = self.draft(step) {
            let appended = self.store.append(vec![draft], Timestamp::default());
            appended.expect("memory takes everything");
        }
    }

    /// The next draft of the log; `None` if the step changes nothing.
    fn draft(&mut self, (key, change): &Step) -> Option<Draft> {
        let topic = Topic::new("a").expect("a valid topic");
        let data = |text: &str| match key % 2 {
            0 => text.to_owned(),
            _ => format!("{{\"d\":\"{text}\"}}"),
        };
        let mut draft = Draft::new(topic, "");
        draft.key = Key::new(&format!("k{key}")).ok();
        match change {
            Change::Remove if !self.now.contains_key(key) => return None,
            Change::Remove => {
                draft.kind = Kind::Removal;
                self.now.remove(key);
            }
            Change::Whole(text) => {
                draft.data = data(text).into();
                self.now.insert(*key, text.clone());
            }
            Change::Append(text) => {
                draft.data = data(text).into();
                let value = self.now.entry(*key).or_default();
                let at = (key % 2 == 1).then(|| Pointer::new("/d").expect("a pointer"));
                draft.piece = Some(Box::new(Piece { at, from: value.len() as u64 }));
                value.push_str(text);
            }
        }
        self.then.push(self.now.clone());
        Some(draft)
    }
}

/// What a reader has.
#[derive(Default)]
struct Reader {
    map: Map,
    position: Position,
    successor: Position,
}

impl Reader {
    /// Reads a page up to `upto`; of it, `arrive` events come before the connection breaks.
    fn read(
        &mut self,
        store: &dyn Log,
        state: StateRead,
        upto: Position,
        pages: Pages,
        arrive: usize,
    ) {
        let interest = Interest::everything();
        let query = ReadQuery {
            after: self.position,
            upto,
            told: Position::ZERO,
            interest: Some(&interest),
            records_max: pages.records,
            bytes_max: pages.bytes,
        };
        let page = state.read(store, &query).expect("memory can be read");
        let StatePage { page, successor, .. } = page;
        self.successor = self.successor.max(successor);
        let is_cut = arrive < page.records.len();
        assert!(page.reached > self.position || page.reached >= upto, "a page makes progress");
        for record in page.records.iter().take(arrive) {
            self.take(record);
            self.position = record.position();
        }
        if !is_cut {
            self.position = page.reached;
        }
    }

    /// Reads the state as a stream does.
    fn read_all(&mut self, store: &dyn Log, pages: Pages) {
        let mut state = StateRead {
            from: Position::ZERO,
            has_removals: false,
            has_superseded: false,
            half: None,
        };
        let mut upto = store.bounds().head;
        loop {
            self.read(store, state, upto, pages, usize::MAX);
            if self.position >= upto && self.successor <= upto {
                return;
            }
            if self.position >= upto {
                upto = self.successor;
                state = StateRead { has_removals: true, has_superseded: true, ..state };
            }
        }
    }

    /// Asks for page after page.
    fn poll_all(&mut self, store: &dyn Log, pages: Pages) {
        let interest = Interest::everything();
        loop {
            let query = ReadQuery {
                after: self.position,
                upto: store.bounds().head,
                told: Position::ZERO,
                interest: Some(&interest),
                records_max: pages.records,
                bytes_max: pages.bytes,
            };
            let has_removals = self.position > Position::ZERO;
            let poll = StatePoll::read(store, &query, has_removals).expect("memory can be read");
            poll.page.records.iter().for_each(|record| self.take(record));
            self.position = poll.page.reached;
            if poll.is_complete {
                return;
            }
        }
    }

    fn take(&mut self, record: &Record) {
        assert_eq!(record.piece, None, "an event of a state is a whole value");
        let key = record.key.as_ref().expect("all have keys").as_str();
        let key: u8 = key.trim_start_matches('k').parse().expect("a number");
        if record.kind.is_removal() {
            self.map.remove(&key);
            return;
        }
        let text = match key % 2 {
            0 => record.data.to_string(),
            _ => record.data.trim_start_matches("{\"d\":\"").trim_end_matches("\"}").to_owned(),
        };
        self.map.insert(key, text);
    }
}

/// How large a page is.
#[derive(Clone, Copy, Debug)]
struct Pages {
    records: usize,
    bytes: usize,
}

fn step() -> impl Strategy<Value = Step> {
    let text = || "[a-zé😀]{0,6}";
    let change = prop_oneof![
        6 => text().prop_map(Change::Append),
        2 => text().prop_map(Change::Whole),
        1 => Just(Change::Remove),
    ];
    (0..4_u8, change)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 0..12)
}

proptest! {
    #[test]
    fn a_state_that_is_read_while_it_changes_is_the_fold_of_all_events(
        before in steps(),
        between in proptest::collection::vec((steps(), 0..5_usize), 0..12),
        records in 1..5_usize,
        bytes in 1..2000_usize,
        has_half in any::<bool>(),
    ) {
        let pages = Pages { records, bytes };
        let mut world = World::new();
        before.iter().for_each(|step| world.publish(step));
        let mut reader = Reader::default();
        let mut state = StateRead {
            from: Position::ZERO,
            has_removals: false,
            has_superseded: false,
            half: None,
        };
        let mut upto = world.store.bounds().head;
        let mut between = between.iter();
        let mut rounds = 0;
        loop {
            rounds += 1;
            prop_assert!(rounds < 1000, "the state does not end");
            // The connection may break within a page, and even within an event.
            let (changes, arrive) = match between.next() {
                Some((changes, arrive)) => (changes.as_slice(), *arrive),
                None => (&[][..], usize::MAX),
            };
            reader.read(&world.store, state, upto, pages, arrive);
            changes.iter().for_each(|step| world.publish(step));
            if has_half && reader.position < upto {
                half_sent_event_is_the_same(&mut reader, &world, state, upto, pages)?;
            }
            if reader.position < upto {
                continue;
            }
            if reader.successor <= upto {
                break;
            }
            upto = reader.successor;
            state = StateRead { has_removals: true, has_superseded: true, ..state };
        }
        let then = &world.then[upto.get() as usize];
        prop_assert_eq!(&reader.map, then, "at {}", upto);
    }

    #[test]
    fn a_state_is_the_fold_of_all_events_whatever_comes_while_a_page_is_put_together(
        before in steps(),
        coming in proptest::collection::vec(step(), 0..40),
        paces in proptest::collection::vec(0..4_usize, 0..40),
        records in 1..5_usize,
        is_polled in any::<bool>(),
    ) {
        let pages = Pages { records, bytes: usize::MAX };
        let mut world = World::new();
        before.iter().for_each(|step| world.publish(step));
        let coming: Vec<_> = coming.iter().filter_map(|step| world.draft(step)).collect();
        let World { store, then, .. } = world;
        let store = WatchedLog::new(store, busy(coming, paces));
        let mut reader = Reader::default();
        match is_polled {
            true => reader.poll_all(&store, pages),
            false => reader.read_all(&store, pages),
        }
        let upto = reader.position;
        prop_assert_eq!(&reader.map, &then[upto.get() as usize], "at {}", upto);
    }

    #[test]
    fn a_reader_that_comes_back_has_the_fold_again(
        before in steps(),
        away in steps(),
        records in 1..5_usize,
    ) {
        let pages = Pages { records, bytes: usize::MAX };
        let mut world = World::new();
        before.iter().for_each(|step| world.publish(step));
        let from = world.store.bounds().head;
        let map = world.now.clone();
        away.iter().for_each(|step| world.publish(step));
        let mut reader = Reader { map, position: from, successor: Position::ZERO };
        let upto = world.store.bounds().head;
        let state = StateRead { from, has_removals: true, has_superseded: false, half: None };
        while reader.position < upto {
            reader.read(&world.store, state, upto, pages, usize::MAX);
        }
        prop_assert_eq!(&reader.map, &world.now);
    }
}

/// Appends what is coming at each read, as many as its pace says, between what the read finds and
/// what its caller then makes of it. Nothing once the paces have run out.
fn busy(
    coming: Vec<Draft>,
    paces: Vec<usize>,
) -> impl Fn(&MemoryStore, &Page) + Send + Sync + 'static {
    let rest = Mutex::new((coming.into_iter(), paces.into_iter()));
    move |log, _| {
        let mut rest = rest.lock().expect("nobody panics");
        let (coming, paces) = &mut *rest;
        let drafts = coming.take(paces.next().unwrap_or(0)).collect();
        log.append(drafts, Timestamp::default()).expect("memory takes everything");
    }
}

/// The next event of the page is half sent, then things change, and it is read again: it must be
/// the same event with the same bytes, or none, and then the connection is closed.
fn half_sent_event_is_the_same(
    reader: &mut Reader,
    world: &World,
    state: StateRead,
    upto: Position,
    pages: Pages,
) -> Result<(), TestCaseError> {
    let interest = Interest::everything();
    let query = ReadQuery {
        after: reader.position,
        upto,
        told: Position::ZERO,
        interest: Some(&interest),
        records_max: pages.records,
        bytes_max: pages.bytes,
    };
    let first = state.read(&world.store, &query).expect("memory can be read");
    let Some(half) = first.page.records.first() else { return Ok(()) };
    let again = StateRead { half: Some(half.position()), ..state };
    let again = again.read(&world.store, &query).expect("memory can be read");
    prop_assert_eq!(again.page.records.len(), 1);
    prop_assert_eq!(&again.page.records[0], half);
    reader.take(half);
    reader.position = half.position();
    reader.successor = reader.successor.max(first.successor);
    Ok(())
}
