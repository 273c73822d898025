//! The world: a store, two shards, readers, and everything that can happen to them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tidings_codec::{EventId, encode};
use tidings_hub::{
    Attach, Audience, CloseReason, Coding, ControlStyle, Draft, EncodedPage, Epoch, EventForm,
    EventType, Frame, FrameBatch, Framing, Interest, Kind, Log, Matcher, MemoryStore, Notice,
    Outcome, Position, Random, ReadError, ReadOrder, ReadQuery, Record, ResetReason, Shard,
    ShardConfig, Sharing, Start, StreamForm, SubscriberId, Timestamp, Topic, Visibility,
};

use crate::reader::{Appetite, Reader};
use crate::sparse_log::{Bug, SparseLog};
use crate::truth::{Fate, Truth};

const TOPICS: [&str; 6] = ["a", "b", "a/x", "a/y", "b/x", "b/x/y"];
const WISHES: [&str; 8] = ["a", "b", "a/x", "a/*", "b/**", "*", "**", "*/x"];

/// Number of times each thing happened.
#[derive(Default, Debug, Clone, Copy)]
pub(crate) struct Counters {
    events: usize,
    resets: usize,
    pages: usize,
    resumes: usize,
    restarts: usize,
    ends: usize,
    overtaken: usize,
    blocked: usize,
    gaps: usize,
    beats_possible: usize,
    vanished: usize,
    /// A new connection got the number of one whose close was not handled yet.
    numbers_reused: usize,
    /// A record vanished from the middle of the log, or was rewritten.
    holes: usize,
    rewrites: usize,
    /// A compressed stream came to its end.
    trailers: usize,
    notices: usize,
}

impl Counters {
    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.resets += other.resets;
        self.pages += other.pages;
        self.resumes += other.resumes;
        self.restarts += other.restarts;
        self.ends += other.ends;
        self.overtaken += other.overtaken;
        self.blocked += other.blocked;
        self.gaps += other.gaps;
        self.beats_possible += other.beats_possible;
        self.vanished += other.vanished;
        self.numbers_reused += other.numbers_reused;
        self.holes += other.holes;
        self.rewrites += other.rewrites;
        self.trailers += other.trailers;
        self.notices += other.notices;
    }

    pub(crate) fn assert_everything_happened(&self) {
        let all = [
            self.events,
            self.resets,
            self.pages,
            self.resumes,
            self.restarts,
            self.ends,
            self.overtaken,
            self.blocked,
            self.gaps,
            self.beats_possible,
            self.vanished,
            self.numbers_reused,
            self.holes,
            self.rewrites,
            self.trailers,
            self.notices,
        ];
        assert!(all.iter().all(|count| *count > 0), "something never happened: {self:?}");
    }
}

pub(crate) struct World {
    random: Random,
    now_ms: u64,
    epoch: Epoch,
    store: Arc<dyn Log>,
    /// The store, if it is one whose log has holes.
    sparse: Option<Arc<SparseLog>>,
    /// Everything ever published, including what retention dropped.
    log: Truth,
    /// Each owns the readers that are connected to it.
    shards: Vec<Shard<Reader>>,
    orders: Vec<VecDeque<ReadOrder>>,
    /// Readers that are not connected.
    away: Vec<Reader>,
    readers_count: usize,
    /// Connections made so far.
    connections: usize,
    /// Events that readers got from shards that no longer exist.
    events_before: usize,
    /// Events that readers could read before their blocks were whole, which never came.
    early: usize,
    pub(crate) counters: Counters,
}

impl World {
    pub(crate) fn new(seed: u64, bug: Bug) -> Self {
        let mut random = Random::new(seed);
        let epoch = Epoch::from_random(random.next_u64());
        let retention = [20_000, 200_000, 100_000_000][random.below(3) as usize];
        let store = MemoryStore::new(epoch, retention, Duration::from_secs(1_000_000));
        let is_sparse = bug != Bug::Nothing || random.below(2) == 0;
        let sparse = is_sparse.then(|| Arc::new(SparseLog::new(epoch, bug)));
        let store: Arc<dyn Log> = match &sparse {
            Some(sparse) => Arc::<SparseLog>::clone(sparse),
            None => Arc::new(store),
        };
        let mut world = Self {
            random,
            now_ms: 0,
            epoch,
            store,
            log: Truth::new(sparse.is_some()),
            sparse,
            shards: Vec::new(),
            orders: Vec::new(),
            away: Vec::new(),
            readers_count: 0,
            connections: 0,
            events_before: 0,
            early: 0,
            counters: Counters::default(),
        };
        world.start_shards();
        let interests = [world.make_interest(), world.make_interest()];
        for _ in 0..1 + world.below(8) {
            let reader = world.make_reader(&interests);
            world.away.push(reader);
        }
        world.readers_count = world.away.len();
        world
    }

    pub(crate) fn step(&mut self) {
        match self.below(100) {
            0..25 => self.publish(),
            25..50 => self.deliver(),
            50..70 => {
                let shard = self.below(2);
                let writes = self.below(20);
                self.flush(shard, writes);
            }
            70..78 => self.feed(),
            78..86 => self.serve_reads(),
            86..91 => self.connect(),
            91..92 => self.vanish(),
            92..93 => self.notify(),
            93..95 => self.pass_time(),
            95..99 => self.make_holes(),
            _ => self.restart(),
        }
    }

    /// Lets all readers read and everything arrive; then no reader may lack anything.
    pub(crate) fn settle(&mut self) {
        for _ in 0..3000 {
            for (shard, id) in self.connected() {
                self.shards[shard].owner_mut(id).unwrap().appetite = Appetite::Fast;
            }
            let before: Vec<_> = self.readers().map(|reader| reader.cursor).collect();
            self.feed();
            self.deliver();
            self.deliver();
            self.serve_reads();
            for shard in 0..2 {
                self.flush(shard, usize::MAX);
            }
            let idle = self.orders.iter().all(VecDeque::is_empty)
                && self.shards.iter().all(|shard| shard.head() == self.store.bounds().head)
                && self.readers().map(|reader| reader.cursor).eq(before);
            if idle {
                break;
            }
        }
        for (_, reader) in self.shards.iter().flat_map(Shard::owners) {
            reader.assert_complete(&self.log);
            let ended = reader.interest.ended_topics(&*self.store).unwrap().len();
            assert_ne!(ended, reader.interest.wanted().len(), "a reader of nothing else is closed");
        }
        for shard in &self.shards {
            assert_eq!(shard.rings_bytes(), 0, "rings drop what all subscribers have");
        }
        self.counters.events = self.events();
        let delivered: u64 = self.shards.iter().map(Shard::deliveries).sum();
        let events = self.events() - self.events_before;
        let counted = events - self.early..=events;
        assert!(counted.contains(&(delivered as usize)), "{delivered} deliveries, {counted:?}");
        self.counters.notices = self.readers().map(|reader| reader.notices).sum();
        self.counters.resets = self.readers().map(|reader| reader.resets).sum();
        assert_eq!(self.readers().count(), self.readers_count, "no owner is lost");
    }

    /// Number of events that all readers got.
    fn events(&self) -> usize {
        self.readers().map(|reader| reader.events).sum()
    }

    /// All readers, wherever they are.
    fn readers(&self) -> impl Iterator<Item = &Reader> {
        let connected = self.shards.iter().flat_map(|shard| {
            let closed = shard.closings().map(|closing| &closing.owner);
            shard.owners().map(|(_, reader)| reader).chain(closed)
        });
        self.away.iter().chain(connected)
    }

    /// The shards and ids of all subscribers.
    fn connected(&self) -> Vec<(usize, SubscriberId)> {
        let ids = |(number, shard): (usize, &Shard<Reader>)| -> Vec<_> {
            shard.owners().map(|(id, _)| (number, id)).collect()
        };
        self.shards.iter().enumerate().flat_map(ids).collect()
    }

    fn below(&mut self, bound: u64) -> usize {
        self.random.below(bound) as usize
    }

    fn start_shards(&mut self) {
        let config = ShardConfig {
            epoch: self.epoch,
            head: self.store.bounds().head.into(),
            heartbeat_ms: 15_000,
            connection_age_max_ms: None,
            ring_bytes_max: tidings_hub::limits::RING_BYTES_MAX,
            window_bytes_max: tidings_hub::limits::WINDOW_BYTES_MAX,
            seed: self.random.next_u64(),
        };
        self.shards = (0..2).map(|_| Shard::new(config.clone(), self.now_ms)).collect();
        self.orders = vec![VecDeque::new(), VecDeque::new()];
    }

    /// Few interests for many readers, so that groups have members in all states at once.
    fn make_interest(&mut self) -> Interest {
        let mut some = |count: u64| -> Vec<Matcher> {
            let count = self.random.below(count);
            (0..=count)
                .map(|_| WISHES[self.random.below(WISHES.len() as u64) as usize])
                .map(|text| Matcher::parse(text).unwrap())
                .collect()
        };
        Interest::new(some(3), some(2))
    }

    fn make_reader(&mut self, interests: &[Interest]) -> Reader {
        let interest = interests[self.below(interests.len() as u64)].clone();
        let appetite = [Appetite::Fast, Appetite::Slow, Appetite::Stalled][self.below(3)];
        let framing = [Framing::Plain, Framing::Chunked][self.below(4) / 3];
        let coding = match self.below(4) {
            0 | 1 => Coding::Identity,
            2 => Coding::Gzip(Sharing::Topic),
            _ => Coding::Gzip(Sharing::All),
        };
        Reader::new(interest, appetite, framing, coding)
    }

    fn publish(&mut self) {
        let count = if self.below(10) == 0 { self.below(300) } else { 1 + self.below(5) };
        let drafts: Vec<_> = (0..count).map(|_| self.make_draft()).collect();
        let now = Timestamp::from_millis(self.now_ms);
        let appended = self.store.append(drafts.clone(), now).unwrap();
        for (draft, appended) in drafts.into_iter().zip(appended) {
            self.log.push(Record::new(draft, appended.position, now));
        }
        if self.sparse.is_none() {
            self.log.drop_before(self.store.bounds().first);
        }
    }

    fn make_draft(&mut self) -> Draft {
        let topic = |world: &mut Self| Topic::new(TOPICS[world.below(6)]).unwrap();
        let size = if self.below(50) == 0 { 40_000 } else { 200 };
        let length = self.below(size);
        let data = format!("{}\n{}", self.log.len(), "x".repeat(length));
        let mut draft = Draft::new(topic(self), data);
        if self.below(5) == 0 {
            draft.alternates.push(topic(self));
        }
        if self.below(6) == 0 {
            draft.visibility = Visibility::Private;
        }
        if self.below(4) == 0 {
            let id = format!("own-{}", self.random.next_u64());
            draft.id = Some(EventId::new(id).unwrap());
        }
        if self.below(40) == 0 {
            draft.kind = Kind::End;
            // No door takes a private end: whether a topic has ended is known to all its readers.
            draft.visibility = Visibility::ByTopic;
            self.counters.ends += 1;
        }
        draft
    }

    /// Hands a shard the records at the store's tail, or some of them.
    fn deliver(&mut self) {
        for shard in &mut self.shards {
            if shard.is_backlogged() {
                continue;
            }
            let after = shard.head();
            let records_max = 1 + self.random.below(400) as usize;
            let upto = self.store.bounds().head;
            let query = ReadQuery { records_max, ..tail(after, upto) };
            let page = match self.store.read(&query) {
                Ok(page) => page,
                Err(ReadError::Expired { lost, .. }) => {
                    shard.handle_gap(lost.into());
                    self.counters.gaps += 1;
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            let frame = |record| Arc::new(Frame::encode(record, self.epoch));
            let frames = page.records.into_iter().map(frame).collect();
            shard.handle_frames(&FrameBatch { after, frames, upto: page.reached.into() });
        }
    }

    fn flush(&mut self, shard_index: usize, writes: usize) {
        let shard = &mut self.shards[shard_index];
        for _ in 0..writes {
            let Some(transmit) = shard.poll_write() else { break };
            assert!(!transmit.bytes.is_empty());
            let reader = transmit.owner;
            assert_eq!(reader.id, Some(transmit.id), "bytes for another reader");
            assert!(!reader.blocked, "bytes for a sink that is full");
            let taken = reader.take(transmit.bytes, &self.log, self.epoch);
            self.counters.blocked += usize::from(reader.blocked);
            shard.handle_written(taken);
        }
        while let Some(closing) = shard.poll_close() {
            let mut reader = closing.owner;
            assert_eq!(reader.id.take(), Some(closing.id), "the close of another reader");
            self.early += reader.early;
            match closing.reason {
                CloseReason::TopicEnded => {
                    let farewell = closing.farewell.expect("it ends between two events");
                    reader.finish(&farewell);
                    self.counters.trailers += usize::from(reader.coding != Coding::Identity);
                }
                CloseReason::Overtaken => self.counters.overtaken += 1,
                CloseReason::PeerReset => self.counters.vanished += 1,
                other => panic!("closed for {other:?}"),
            }
            self.away.push(reader);
        }
        while let Some((id, reader)) = shard.poll_probe() {
            assert_eq!(reader.id, Some(id), "a probe of another reader");
        }
        while let Some(order) = shard.poll_read() {
            self.orders[shard_index].push_back(order);
        }
    }

    /// Readers take bytes, each as fast as it can.
    fn feed(&mut self) {
        for (shard, id) in self.connected() {
            let reader = self.shards[shard].owner_mut(id).unwrap();
            let appetite = match reader.appetite {
                Appetite::Fast => 1_000_000,
                Appetite::Slow => self.random.below(2000),
                Appetite::Stalled => match self.random.below(20) {
                    0 => 100_000,
                    _ => 0,
                },
            };
            reader.room = appetite as usize;
            if reader.blocked && reader.room > 0 {
                reader.blocked = false;
                self.shards[shard].handle_writable(id);
            }
        }
    }

    fn serve_reads(&mut self) {
        for (shard, orders) in self.shards.iter_mut().zip(&mut self.orders) {
            while let Some(order) = orders.pop_front() {
                self.counters.pages += 1;
                let query = ReadQuery {
                    after: order.after,
                    upto: order.upto,
                    told: order.told,
                    interest: Some(&order.interest),
                    records_max: 1 + self.random.below(50) as usize,
                    bytes_max: 1 + self.random.below(100_000) as usize,
                };
                let mut page = self.store.read(&query);
                // A store need not look whether there is more.
                if let Ok(page) = &mut page
                    && let Some(last) = page.records.last()
                    && page.records.len() == query.records_max
                {
                    page.reached = last.position();
                }
                let page = page.and_then(|page| {
                    EncodedPage::encode(&page, order.form, self.epoch).with_ended(
                        &*self.store,
                        &order.interest,
                        order.form,
                        order.upto,
                    )
                });
                shard.handle_page(order.id, page);
            }
        }
    }

    fn connect(&mut self) {
        if self.away.is_empty() {
            return;
        }
        let at = self.below(self.away.len() as u64);
        let mut reader = self.away.swap_remove(at);
        let dice = self.below(4);
        let start = match (&reader.last_id, dice) {
            (Some(id), 1..) => Start::After(id.clone()),
            (_, 0) => Start::Live,
            (_, 1) => Start::Earliest,
            _ => Start::Last(self.below(20)),
        };
        let resolved = start.resolve(&*self.store, &reader.interest).unwrap();
        let bounds = self.store.bounds();
        match (&start, &resolved.outcome) {
            (Start::After(_), Outcome::Resumed) => {
                // Before the oldest record there is nothing.
                let asked = reader.last_position.unwrap().max(bounds.first.previous());
                assert_eq!(resolved.position, asked, "the id is the cursor");
                reader.cursor = reader.last_position.unwrap();
                assert!(!reader.has_lost(bounds.head, &self.log), "a loss is not told");
                self.counters.resumes += 1;
            }
            (Start::After(_), Outcome::Reset { reason, .. }) => {
                reader.cursor = reader.last_position.unwrap();
                let is_expired = *reason == ResetReason::Expired;
                assert!(
                    !is_expired || reader.has_lost(resolved.told, &self.log),
                    "a needless reset"
                );
                reader.resets += 1;
            }
            _ => {}
        }
        let greeting = self.connections.to_string();
        self.connections += 1;
        let mut words = format!(": {greeting}\n").into_bytes();
        encode::id_only(&mut words, &resolved.position.event_id(self.epoch));
        let form = StreamForm {
            framing: reader.framing,
            control_style: ControlStyle::Native,
            event_form: EventForm::AsPublished,
            coding: reader.coding,
        };
        let mut first = Vec::new();
        let began = form.begin(&mut first, &words);
        let ended = reader.interest.ended_topics(&*self.store).unwrap();
        reader.connect(greeting, resolved.position, resolved.told);
        let attach = Attach {
            audience: Some(Audience(0)),
            interest: reader.interest.clone(),
            form,
            position: resolved.position,
            told: resolved.told,
            state: None,
            ended,
            first,
            began,
            expires_ms: None,
            term_ms: None,
        };
        let shard = self.random.below(5) as usize / 4;
        let shard = &mut self.shards[shard];
        let id = shard.attach(attach, reader);
        shard.owner_mut(id).unwrap().id = Some(id);
        let is_reused = shard.closings().any(|closing| closing.id.index() == id.index());
        self.counters.numbers_reused += usize::from(is_reused);
    }

    /// A notice for everybody who wants its topic.
    fn notify(&mut self) {
        let topic = Topic::new(TOPICS[self.below(6)]).unwrap();
        let mut draft = Draft::new(topic, "x".repeat(self.below(100)));
        draft.event_type = Some(EventType::new("notice").unwrap());
        let notice = Arc::new(Notice { draft, audience: Audience(0), tag: "n".into() });
        for shard in &mut self.shards {
            shard.handle_notice(&notice);
        }
    }

    fn vanish(&mut self) {
        let at = self.below(self.readers_count as u64);
        if let Some((shard, id)) = self.connected().get(at).copied() {
            self.shards[shard].handle_closed(id, CloseReason::PeerReset);
        }
    }

    /// Records vanish from the middle of the log, or are rewritten: in a log with holes.
    fn make_holes(&mut self) {
        let Some(sparse) = self.sparse.clone() else { return };
        let head = self.store.bounds().head.get();
        if head == 0 {
            return;
        }
        for _ in 0..1 + self.below(3) {
            // Often the one that a reader is in the middle of, or one that it needs soon.
            let any = Position::new(1 + self.random.below(head));
            let position = match self.below(3) {
                0 => any,
                _ => self.next_of_a_reader().unwrap_or(any),
            };
            // Ends stay: whether a topic has ended depends on them.
            if self.log.event(position).record.kind.ends_topic() {
                continue;
            }
            let dice = self.below(4);
            let event = self.log.event_mut(position);
            match dice {
                0 => {
                    let length = self.random.below(300) as usize;
                    let data = format!("{position} again\n{}", "y".repeat(length));
                    if sparse.rewrite(position, &data) {
                        event.rewritten.push(data);
                        self.counters.rewrites += 1;
                    }
                }
                1 if sparse.drop_one(position, false) => event.fate = Fate::Expired,
                2.. if sparse.drop_one(position, true) => event.fate = Fate::Lost,
                _ => continue,
            }
            self.counters.holes += 1;
        }
    }

    /// The place of an event that a connected reader has yet to get, or to get the rest of: that of
    /// one whose sink is full, if there is any.
    fn next_of_a_reader(&mut self) -> Option<Position> {
        let mut connected = self.connected();
        let is_blocked = |(shard, id): &(usize, SubscriberId)| {
            self.shards[*shard].owners().any(|(other, reader)| other == *id && reader.blocked)
        };
        if connected.iter().any(is_blocked) {
            connected.retain(is_blocked);
        }
        let at = self.below(connected.len().max(1) as u64);
        let ahead = self.below(6).saturating_sub(3);
        let (shard, id) = *connected.get(at)?;
        let reader = self.shards[shard].owner_mut(id)?;
        let head = Position::new(self.log.len() as u64);
        let next = self.log.admitted(&reader.interest, reader.cursor, head).nth(ahead)?;
        Some(next.record.position())
    }

    fn pass_time(&mut self) {
        self.now_ms += self.random.below(20_000);
        for shard in &mut self.shards {
            shard.handle_time(self.now_ms);
        }
        self.counters.beats_possible += 1;
    }

    /// The hub is killed and started again over the same store.
    fn restart(&mut self) {
        for shard in std::mem::take(&mut self.shards) {
            self.away.extend(shard.into_owners());
        }
        for reader in &mut self.away {
            reader.id = None;
        }
        self.start_shards();
        self.events_before = self.events();
        self.early = 0;
        self.counters.restarts += 1;
    }
}

/// What a shard asks for that is to be handed everything after `after`.
fn tail(after: Position, upto: Position) -> ReadQuery<'static> {
    ReadQuery { after, upto, ..ReadQuery::everything() }
}
