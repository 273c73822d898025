//! A stream over time: which bytes came when, and what they were.
//!
//! A sender writes whole blocks, as they happen, and pauses between them. A proxy that gathers
//! bytes until a buffer is full, or until some time has passed, leaves traces that show without the
//! sender's clock:
//!
//! - a *clump* (bytes that arrive without a pause) that ends in the middle of a block: a sender
//!   does not pause there, but a full buffer does;
//! - a clump with several heartbeats: the sender makes them one interval apart.
//!
//! Where events carry a time, in the id or the data, there is a third: the times within one clump
//! are far apart. Only differences of such times are used, so it does not matter whose clock is
//! right. Bytes right after the connection may well be history, which arrives together although it
//! was made at different times; they do not count.

use std::time::Duration;

/// Everything received from a stream, over all its connections.
#[derive(Debug, Default)]
pub struct Watch {
    /// Number of bytes, on all connections.
    pub bytes: u64,
    /// Number of events: blocks with data.
    pub events: u64,
    pub(crate) comments: u64,
    pub(crate) id_only: u64,
    pub(crate) retries: u64,
    pub(crate) resets: u64,
    /// The ids of the last events that had one, oldest first.
    pub(crate) ids: Vec<String>,
    /// The last event ID, as a browser would have it.
    pub(crate) last_id: String,
    /// Time of the first byte.
    pub first_byte: Option<Duration>,
    pub(crate) last_byte: Option<Duration>,
    /// Longest pause within a connection, from its response on.
    pub longest_pause: Duration,
    /// Clumps, except the first of each connection.
    pub(crate) clumps: Vec<Clump>,
    /// Pauses in the middle of a block: their length, and the number of bytes since the previous
    /// pause.
    pub(crate) cuts: Vec<(Duration, usize)>,
    /// Time at which each of the expected texts was seen in an event.
    pub seen: Vec<Option<Duration>>,
    expected: Vec<String>,

    clump: Option<Clump>,
    is_settled: bool,
    opened: Duration,
    /// Wall-clock time at the start, in milliseconds.
    epoch_ms: i64,

    line: Vec<u8>,
    /// Whether it is the first line of its connection, which may begin with a byte order mark (HTML
    /// §9.2.6).
    is_first_line: bool,
    after_cr: bool,
    block: Block,
}

/// Bytes that arrived without a pause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clump {
    pub(crate) begin: Duration,
    pub(crate) end: Duration,
    pub(crate) bytes: usize,
    pub(crate) events: u32,
    pub(crate) comments: u32,
    pub(crate) id_only: u32,
    /// Earliest and latest time in its events, in milliseconds.
    pub(crate) times: Option<(i64, i64)>,
}

#[derive(Debug, Default)]
struct Block {
    has_fields: bool,
    has_data: bool,
    id: Option<String>,
    event_type: String,
    data: String,
}

impl Watch {
    /// A watch that looks for the texts `expected` in events. `epoch_ms` is the wall-clock time at
    /// the start, to recognise times in events.
    pub(crate) fn new(expected: Vec<String>, epoch_ms: i64) -> Self {
        Self { seen: vec![None; expected.len()], expected, epoch_ms, ..Self::default() }
    }

    /// Begins a new connection. An unfinished block of the one before is dropped.
    pub(crate) fn open(&mut self, at: Duration) {
        self.finish_clump();
        self.line.clear();
        self.is_first_line = true;
        self.block = Block::default();
        self.after_cr = false;
        self.opened = at;
        self.is_settled = false;
    }

    /// Takes bytes that arrived.
    pub(crate) fn feed(&mut self, at: Duration, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let pause = self.clump.as_ref().map_or(Duration::MAX, |clump| at.saturating_sub(clump.end));
        if pause > CLUMP_PAUSE {
            if let Some(clump) = &self.clump
                && self.is_inside_block()
                && pause >= CUT_PAUSE
                && self.cuts.len() < KEPT_MAX
            {
                self.cuts.push((pause, clump.bytes));
            }
            self.finish_clump();
            self.clump = Some(Clump { begin: at, end: at, ..Clump::default() });
        }
        let heard = self.last_byte.filter(|last| *last > self.opened).unwrap_or(self.opened);
        self.longest_pause = self.longest_pause.max(at.saturating_sub(heard));
        self.first_byte.get_or_insert(at);
        self.last_byte = Some(at);
        self.bytes += bytes.len() as u64;
        if let Some(clump) = &mut self.clump {
            clump.end = at;
            clump.bytes += bytes.len();
        }
        for &byte in bytes {
            match byte {
                b'\n' if std::mem::take(&mut self.after_cr) => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    self.line_end(at);
                }
                _ => {
                    self.after_cr = false;
                    if self.line.len() < TEXT_BYTES_MAX {
                        self.line.push(byte);
                    }
                }
            }
        }
    }

    /// Ends the watch.
    pub(crate) fn finish(&mut self) {
        self.finish_clump();
    }

    /// Number of comments and of blocks with only an id.
    pub fn heartbeats(&self) -> u64 {
        self.comments + self.id_only
    }

    fn is_inside_block(&self) -> bool {
        !self.line.is_empty() || self.block.has_fields
    }

    fn finish_clump(&mut self) {
        let Some(clump) = self.clump.take() else { return };
        // The first clump may be history, which comes all at once.
        if self.is_settled && self.clumps.len() < KEPT_MAX {
            self.clumps.push(clump);
        }
        self.is_settled = true;
    }

    fn line_end(&mut self, at: Duration) {
        let is_first = std::mem::take(&mut self.is_first_line);
        let line = self.line.strip_prefix(BYTE_ORDER_MARK).filter(|_| is_first);
        let line = String::from_utf8_lossy(line.unwrap_or(&self.line)).into_owned();
        self.line.clear();
        if line.is_empty() {
            return self.block_end(at);
        }
        if line.starts_with(':') {
            self.comments += 1;
            self.count(|clump| clump.comments += 1);
            return;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        let block = &mut self.block;
        block.has_fields = true;
        match name {
            "data" => {
                block.has_data = true;
                if block.data.len() < TEXT_BYTES_MAX {
                    block.data.push_str(value);
                    block.data.push('\n');
                }
            }
            "id" if !value.contains('\0') => block.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut block.event_type),
            "retry" => self.retries += 1,
            _ => {}
        }
    }

    fn block_end(&mut self, at: Duration) {
        let block = std::mem::take(&mut self.block);
        if let Some(id) = &block.id {
            self.last_id.clone_from(id);
        }
        if !block.has_data {
            if block.id.is_some() {
                self.id_only += 1;
                self.count(|clump| clump.id_only += 1);
            }
            return;
        }
        self.events += 1;
        if is_reset(&block.event_type) {
            self.resets += 1;
        }
        for (text, seen) in self.expected.iter().zip(&mut self.seen) {
            if seen.is_none() && block.data.contains(text) {
                *seen = Some(at);
            }
        }
        let now = self.epoch_ms + i64::try_from(at.as_millis()).unwrap_or(0);
        let id = block.id.as_deref().unwrap_or_default();
        let time = time_in(id, now).or_else(|| time_in(&block.data, now));
        self.count(|clump| {
            clump.events += 1;
            if let Some(time) = time {
                let (from, to) = clump.times.unwrap_or((time, time));
                clump.times = Some((from.min(time), to.max(time)));
            }
        });
        if let Some(id) = block.id {
            if self.ids.len() == IDS_KEPT {
                self.ids.remove(0);
            }
            self.ids.push(id);
        }
    }

    fn count(&mut self, count: impl FnOnce(&mut Clump)) {
        if let Some(clump) = &mut self.clump {
            count(clump);
        }
    }
}

/// Whether an event of this type says that others are missing.
pub(crate) fn is_reset(event_type: &str) -> bool {
    let event_type = event_type.to_ascii_lowercase();
    ["reset", "gap", "lost", "missed"].iter().any(|word| event_type.contains(word))
}

/// A time near `now_ms` in a text: seconds or milliseconds since 1970, or RFC 3339. Returns
/// milliseconds since 1970.
fn time_in(text: &str, now_ms: i64) -> Option<i64> {
    let is_near = |ms: &i64| (ms - now_ms).abs() < DAY_MS;
    let digits = text.split(|c: char| !c.is_ascii_digit()).find_map(|run| {
        let number: i64 = run.parse().ok()?;
        match run.len() {
            10 => Some(number * 1000),
            13 => Some(number),
            _ => None,
        }
        .filter(is_near)
    });
    digits.or_else(|| {
        text.match_indices('T').find_map(|(at, _)| {
            let rest = text.get(at.checked_sub(10)?..)?;
            let is_part = |c: char| c.is_ascii_digit() || "-:.TZ+".contains(c);
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let time: jiff::Timestamp = rest[..end].parse().ok()?;
            Some(time.as_millisecond()).filter(is_near)
        })
    })
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Bytes closer together than this are one clump.
const CLUMP_PAUSE: Duration = Duration::from_millis(100);

/// A pause inside a block that is too long to be an accident of the network.
const CUT_PAUSE: Duration = Duration::from_millis(500);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Bytes of a line or an event that are examined. At the edge: the rest is counted but not
/// examined.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Clumps and cuts that are kept. At the edge: enough is known.
const KEPT_MAX: usize = 10_000;

/// Ids that are kept.
const IDS_KEPT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(pieces: &[(u64, &str)]) -> Watch {
        let mut watch = Watch::new(vec!["mark-0".to_owned()], 1_800_000_000_000);
        watch.open(Duration::ZERO);
        for (ms, text) in pieces {
            watch.feed(Duration::from_millis(*ms), text.as_bytes());
        }
        watch.finish();
        watch
    }

    #[test]
    fn blocks_are_counted_by_what_they_are() {
        let watch = watch(&[
            (1, ": hi\n\nretry: 5\n\nid: 0\n\n"),
            (2, "id: 1\r\ndata: a\r\n\r\ndata: mark-0 b\r\rid: 2\nevent: x.reset\ndata\n\n"),
            (3, "id: 3\ndata: cut"),
        ]);
        assert_eq!((watch.comments, watch.retries, watch.id_only), (1, 1, 1));
        assert_eq!((watch.events, watch.resets), (3, 1));
        assert_eq!((watch.ids.concat(), watch.last_id), ("12".to_owned(), "2".to_owned()));
        assert_eq!(watch.seen, [Some(Duration::from_millis(2))]);
    }

    #[test]
    fn a_byte_order_mark_at_the_beginning_of_a_connection_is_not_part_of_a_field() {
        let watch = watch(&[(1, "\u{feff}id: 1\ndata: a\n\n\u{feff}id: 2\ndata: b\n\n")]);
        assert_eq!((watch.events, watch.last_id.as_str()), (2, "1"));
        let mut again = watch;
        again.open(Duration::from_millis(5));
        again.feed(Duration::from_millis(6), "\u{feff}id: 3\ndata: c\n\n".as_bytes());
        assert_eq!(again.last_id, "3");
    }

    #[test]
    fn a_pause_inside_a_block_is_a_cut_and_one_between_blocks_is_not() {
        let watch = watch(&[(0, "data: a\n\n"), (900, "data: b\n\nda"), (2000, "ta: c\n\n")]);
        assert_eq!(watch.cuts, [(Duration::from_millis(1100), 11)]);
        // A comment need not be followed by a blank line.
        let watch = watch_comment();
        assert_eq!(watch.cuts, []);
    }

    fn watch_comment() -> Watch {
        watch(&[(0, ":\n"), (900, ":\n"), (2000, "data: c\n\n")])
    }

    #[test]
    fn a_clump_has_the_times_of_its_events_and_the_first_one_does_not_count() {
        let history = "id: 1799999000000-0\ndata: x\n\nid: 1800000000000-0\ndata: x\n\n";
        let live = "data: {\"at\":\"2027-01-15T08:00:05.250Z\"}\n\ndata: {\"at\":1800000009}\n\n\
                    : p\n\n";
        let watch = watch(&[(0, history), (5000, live)]);
        assert_eq!(watch.clumps.len(), 1);
        let clump = &watch.clumps[0];
        assert_eq!(clump.times, Some((1_800_000_005_250, 1_800_000_009_000)));
        assert_eq!((clump.events, clump.comments), (2, 1));
    }

    #[test]
    fn numbers_that_are_not_recent_times_are_ignored() {
        for text in ["1234567890", "order 18000000000001", "12T30", "éT", "T"] {
            assert_eq!(time_in(text, 1_800_000_000_000), None, "{text}");
        }
    }
}
