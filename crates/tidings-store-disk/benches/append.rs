//! Costs of the disk store. Asserts first that its answers are right, then times it.
//!
//! `cargo bench -p tidings-store-disk [-- FOLDER]`; the folder says which disk is measured.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tidings_hub::{Draft, Interest, Log, Matcher, Position, ReadQuery, Timestamp, Topic};
use tidings_store_disk::{DiskConfig, DiskStore, Durability};

const TOPICS: u64 = 1_000;
const PAYLOAD: usize = 200;
const STORED: u64 = 1_000_000;
const TURN: Duration = Duration::from_millis(200);
const TURNS: usize = 8;

fn main() {
    let folder = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("tidings-bench-{}", std::process::id()));
    let bench = Bench { events: Events::new(), folder };
    bench.append();
    bench.resume();
    let _ = fs::remove_dir_all(&bench.folder);
}

struct Bench {
    events: Events,
    folder: PathBuf,
}

impl Bench {
    fn fresh(&self) -> &Path {
        let _ = fs::remove_dir_all(&self.folder);
        fs::create_dir_all(&self.folder).unwrap();
        &self.folder
    }

    fn config(&self, durability: Durability) -> DiskConfig {
        DiskConfig { durability, ..DiskConfig::new(&self.folder) }
    }

    fn append(&self) {
        println!(
            "append, {PAYLOAD}-byte events, {TOPICS} topics: thousand events/s (CPU µs/event)"
        );
        println!(
            "{:>6} {:>18} {:>18} {:>18} {:>18}",
            "batch", "floor fsync", "fsync", "floor os", "os"
        );
        for batch in [1, 8, 32, 64, 256, 1024] {
            let mut line = format!("{batch:>6}");
            for durability in [Durability::Fsync, Durability::Os] {
                self.fresh();
                let mut floor = Floor::new(&self.folder, batch, durability);
                let store = DiskStore::open(self.config(durability)).unwrap();
                let mut n = 0;
                let mut append = || {
                    let drafts = self.events.batch(n, batch);
                    n += batch;
                    store.append(drafts, Timestamp::from_millis(n)).unwrap();
                };
                // In turns, so that other load on the machine affects both.
                let (mut floor_spent, mut store_spent) = (Spent::default(), Spent::default());
                for _ in 0..TURNS {
                    floor_spent.turn(batch, || floor.append());
                    store_spent.turn(batch, &mut append);
                }
                line += &format!(" {:>18} {:>18}", floor_spent.figure(), store_spent.figure());
                assert_eq!(store.bounds().head, Position::new(n));
                let last = page(&store, n - 1, None);
                assert_eq!(*last[0].data, *self.events.event(n - 1).data);
            }
            println!("{line}");
        }
    }

    fn resume(&self) {
        self.fresh();
        let store = DiskStore::open(self.config(Durability::Os)).unwrap();
        for n in (0..STORED).step_by(64) {
            store.append(self.events.batch(n, 64), Timestamp::from_millis(n)).unwrap();
        }
        drop(store);
        let start = Instant::now();
        let store = DiskStore::open(self.config(Durability::Fsync)).unwrap();
        println!("open at {STORED} events: {:.0?}", start.elapsed());

        let topic = self.events.topics[500].clone();
        let interest = Interest::new(vec![Matcher::Exact(topic.clone())], vec![]);
        for what in ["first", "second"] {
            let start = Instant::now();
            let records = page(&store, STORED / 2, Some(&interest));
            let (took, count) = (start.elapsed(), records.len());
            assert_eq!(records[0].topic, topic);
            assert!(records[0].position() > Position::new(STORED / 2));
            println!(
                "resume from the middle on one of {TOPICS} topics, {what} time: page of {count} \
                 after {took:.0?}"
            );
        }
        let missed = |from: Option<&Interest>| {
            let start = Instant::now();
            let (mut after, mut count, mut longest) = (STORED / 2, 0, Duration::ZERO);
            while after < STORED {
                let start = Instant::now();
                let query = query(after, from);
                let page = store.read(&query).unwrap();
                longest = longest.max(start.elapsed());
                count += page.records.len();
                after = page.reached.get();
            }
            (count, start.elapsed(), longest)
        };
        let (count, took, longest) = missed(Some(&interest));
        assert_eq!(count as u64, STORED / 2 / TOPICS);
        println!("all {count} missed events of that topic: {took:.0?}, longest page {longest:.0?}");
        let pattern = Interest::new(vec![Matcher::parse("bench/1/*").unwrap()], vec![]);
        let (count, took, longest) = missed(Some(&pattern));
        assert_eq!(count as u64, STORED / 2 / 10);
        println!("{count} missed events of a pattern: {took:.0?}, longest page {longest:.0?}");
        let (count, took, longest) = missed(None);
        assert_eq!(count as u64, STORED / 2);
        let rate = count as f64 / took.as_secs_f64() / 1e6;
        println!("scan of {count} events: {rate:.1} million/s, longest page {longest:.0?}");

        let times = 100;
        let start = Instant::now();
        for n in 0..times {
            let after = store.catalog().seek_last(&interest, 100).unwrap();
            assert!(after > Position::ZERO, "{n}");
        }
        println!("seek the last 100 of a topic: {:.0?}", start.elapsed() / times);
        let start = Instant::now();
        for n in 0..times {
            let topic = &self.events.topics[n as usize];
            assert_eq!(store.catalog().topic(topic).unwrap().unwrap().records, STORED / TOPICS);
        }
        println!("state of a topic: {:.0?}", start.elapsed() / times);
        let start = Instant::now();
        let all = store.catalog().topics("", None, 1_000).unwrap();
        assert_eq!(all.len() as u64, TOPICS);
        println!("page of 1,000 topics: {:.0?}", start.elapsed());
        let bytes = store.health().bytes as f64 / STORED as f64;
        println!("bytes on disk per event: {bytes:.0}");
    }
}

/// Makes events ahead of time, so that making them is not measured.
struct Events {
    topics: Vec<Topic>,
    payloads: Vec<String>,
}

impl Events {
    fn new() -> Self {
        let topics = (0..TOPICS).map(|n| Topic::new(format!("bench/{}/{n}", n % 10)).unwrap());
        let payloads = (0..997).map(|n| format!("{n:0>PAYLOAD$}"));
        Self { topics: topics.collect(), payloads: payloads.collect() }
    }

    fn event(&self, n: u64) -> Draft {
        // Spreads the topics in no particular order.
        let topic = (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % TOPICS;
        let topic = if n >= STORED { topic } else { (n * 7 + n / TOPICS) % TOPICS };
        Draft::new(self.topics[topic as usize].clone(), &*self.payloads[(n % 997) as usize])
    }

    fn batch(&self, from: u64, count: u64) -> Vec<Draft> {
        (from..from + count).map(|n| self.event(n)).collect()
    }
}

fn query(after: u64, interest: Option<&Interest>) -> ReadQuery<'_> {
    let upto = Position::new(u64::MAX);
    let after = Position::new(after);
    ReadQuery {
        after,
        upto,
        interest,
        records_max: 4096,
        bytes_max: 1 << 20,
        ..ReadQuery::everything()
    }
}

fn page(
    store: &DiskStore,
    after: u64,
    interest: Option<&Interest>,
) -> Vec<std::sync::Arc<tidings_hub::Record>> {
    store.read(&query(after, interest)).unwrap().records
}

/// The floor: one thread that only writes the same bytes and syncs.
struct Floor {
    file: File,
    bytes: Vec<u8>,
    offset: u64,
    length: u64,
    durability: Durability,
}

impl Floor {
    fn new(folder: &Path, batch: u64, durability: Durability) -> Self {
        let path = folder.join("floor");
        let file = OpenOptions::new().create_new(true).write(true).open(path).unwrap();
        let bytes = vec![b'x'; batch as usize * (PAYLOAD + 20)];
        Self { file, bytes, offset: 0, length: 0, durability }
    }

    fn append(&mut self) {
        let end = self.offset + self.bytes.len() as u64;
        if end > self.length {
            self.length = end.next_multiple_of(4 << 20);
            self.file.set_len(self.length).unwrap();
        }
        self.file.write_all_at(&self.bytes, self.offset).unwrap();
        if self.durability == Durability::Fsync {
            self.file.sync_data().unwrap();
        }
        self.offset = end;
    }
}

/// Time that one side took.
#[derive(Default)]
struct Spent {
    events: u64,
    wall: Duration,
    cpu: f64,
}

impl Spent {
    /// Does `work`, which handles `batch` events, for a while.
    fn turn(&mut self, batch: u64, mut work: impl FnMut()) {
        work();
        let (start, cpu) = (Instant::now(), cpu_seconds());
        while start.elapsed() < TURN {
            work();
            self.events += batch;
        }
        self.wall += start.elapsed();
        self.cpu += cpu_seconds() - cpu;
    }

    fn figure(&self) -> String {
        let rate = self.events as f64 / self.wall.as_secs_f64() / 1e3;
        format!("{rate:.1} ({:.2})", self.cpu / self.events as f64 * 1e6)
    }
}

/// CPU time of the whole process so far, as Linux counts it.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1;
    let ticks: f64 = fields.split(' ').skip(11).take(2).map(|n| n.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}
