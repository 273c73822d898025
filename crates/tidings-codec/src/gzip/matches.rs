use alloc::boxed::Box;

/// How far back a copy may reach. Two KiB hold the last few events of a stream, and that is where
/// nearly all of their repetitions are.
pub(super) const WINDOW_BYTES: usize = 2048;

/// Shortest and longest copy (RFC 1951 §3.2.5).
pub(super) const LENGTH_MIN: usize = 3;
const LENGTH_MAX: usize = 258;

/// Places that are tried for one copy.
const TRIES_MAX: usize = 24;

const HASHES: usize = 1024;

/// Where in the text before a place the same bytes stand.
///
/// Places are numbers of bytes since the text began, modulo 65,536. That is unambiguous for a
/// window of 2,048, as every place in the window has been entered; and what the tables say is only
/// a proposal: bytes are compared.
#[derive(Debug)]
pub(super) struct Matches {
    /// For each hash of three bytes, the last place that had it.
    newest: Box<[u16; HASHES]>,
    /// For each place in the window, the distance back to the one before it with the same hash.
    earlier: Box<[u16; WINDOW_BYTES]>,
}

/// The text, and which place its first byte has.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) origin: usize,
}

impl Matches {
    pub(super) fn new() -> Self {
        Self { newest: Box::new([0; HASHES]), earlier: Box::new([0; WINDOW_BYTES]) }
    }

    /// Forgets every place. `earlier` needs no clearing: only entered places lead into it.
    pub(super) fn forget(&mut self) {
        self.newest.fill(0);
    }

    /// Enters the place of the byte at `at`, if three bytes begin there.
    pub(super) fn enter(&mut self, text: Text<'_>, at: usize) {
        let Some(hash) = hash(text.bytes, at) else { return };
        let place = text.origin + at;
        self.earlier[place % WINDOW_BYTES] = (place as u16).wrapping_sub(self.newest[hash]);
        self.newest[hash] = place as u16;
    }

    /// The longest repetition that begins at `at`: its length and the distance back, or `None` if
    /// none is worth a copy. Every place before `at` has been entered, and none from there on.
    pub(super) fn longest(&self, text: Text<'_>, at: usize) -> Option<(usize, usize)> {
        let bytes = text.bytes;
        let place = text.origin + at;
        let reach = WINDOW_BYTES.min(at);
        let length_max = LENGTH_MAX.min(bytes.len() - at);
        let mut best = None;
        let mut best_length = LENGTH_MIN - 1;
        let mut distance = 0;
        let mut step = (place as u16).wrapping_sub(self.newest[hash(bytes, at)?]);
        for _ in 0..TRIES_MAX {
            distance += usize::from(step);
            if step == 0 || distance > reach || best_length == length_max {
                break;
            }
            let from = at - distance;
            if bytes[from + best_length] == bytes[at + best_length] {
                let length = common(&bytes[from..], &bytes[at..at + length_max]);
                if length > best_length {
                    best_length = length;
                    best = Some((length, distance));
                }
            }
            step = self.earlier[(place - distance) % WINDOW_BYTES];
        }
        best
    }
}

/// Number of bytes at the beginning of both.
fn common(one: &[u8], other: &[u8]) -> usize {
    let mut length = 0;
    for (a, b) in one.chunks_exact(8).zip(other.chunks_exact(8)) {
        if a != b {
            break;
        }
        length += 8;
    }
    let rest = one[length..].iter().zip(&other[length..]);
    length + rest.take_while(|(a, b)| a == b).count()
}

fn hash(bytes: &[u8], at: usize) -> Option<usize> {
    let [a, b, c] = *bytes.get(at..at + 3)? else { return None };
    let three = u32::from_le_bytes([a, b, c, 0]);
    Some((three.wrapping_mul(0x9e37_79b1) >> 22) as usize)
}
