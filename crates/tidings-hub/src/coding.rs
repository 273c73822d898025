use tidings_codec::gzip::{self, Checksum};

use crate::framing::Framing;
use crate::record::Record;
use crate::visibility::Visibility;

/// How the body of a stream is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// As it is.
    Identity,
    /// As gzip; events that go to the same subscribers may refer to one another.
    Gzip(Sharing),
}

/// Which events may refer to one another when they are compressed. Where a secret and a text of
/// somebody else's choice do, the length of the result tells about the secret (BREACH).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Those on the same topics that are not private.
    Topic,
    /// All that are not private.
    All,
}

impl Sharing {
    /// Whether `record` may refer to any other event, or another event to it.
    pub(crate) fn admits(record: &Record) -> bool {
        record.visibility != Visibility::Private && !record.kind.ends_topic()
    }

    /// Whether `record` may refer to the one before it.
    pub fn joins(self, before: &Record, record: &Record) -> bool {
        Self::admits(before)
            && Self::admits(record)
            && (self == Self::All || before.topics().eq(record.topics()))
    }
}

impl Coding {
    /// Appends a block of the hub's own, wrapped. It is short and often for one subscriber alone,
    /// so it is stored and not compressed.
    pub(crate) fn wrap(self, framing: Framing, out: &mut Vec<u8>, block: &[u8]) {
        match self {
            Self::Identity => framing.wrap(out, block),
            Self::Gzip(_) => {
                let mut stored = Vec::with_capacity(block.len() + gzip::STORED_OVERHEAD_BYTES);
                gzip::stored(&mut stored, block);
                framing.wrap(out, &stored);
            }
        }
    }

    /// Appends the bytes that end a body whose text has the checksum `sum`.
    pub(crate) fn end(self, framing: Framing, out: &mut Vec<u8>, sum: Checksum) {
        if let Self::Gzip(_) = self {
            let mut end = Vec::new();
            gzip::end(&mut end, sum);
            framing.wrap(out, &end);
        }
        out.extend_from_slice(framing.end());
    }

    pub(crate) fn is_gzip(self) -> bool {
        self != Self::Identity
    }
}
