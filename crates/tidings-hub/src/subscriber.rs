use crate::close_reason::CloseReason;
use crate::encoded_page::EncodedPage;
use crate::half_sent::HalfSent;
use crate::index::GroupId;
use crate::notice::Pending;
use crate::position::Position;
use crate::ring::Cursor;
use crate::timer::Tick;

/// One connection that reads events, as its shard knows it.
///
/// The number of a closed subscriber is reused with another generation, so an old id finds no
/// subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriberId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl SubscriberId {
    /// A small number that no other subscriber of the shard has at the same time.
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// The id as one number, to be passed through a system call.
    pub fn to_u64(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.index)
    }

    /// Undoes [`to_u64`](Self::to_u64).
    pub fn from_u64(number: u64) -> Self {
        Self { index: number as u32, generation: (number >> 32) as u32 }
    }
}

/// A subscriber is *live*, a place in its group's ring, or *catching up*, a place in the log.
///
/// A slow subscriber is no larger than a fast one: bytes that a sink does not take are not kept but
/// found again, in the ring or in the log.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) generation: u32,
    pub(crate) group: GroupId,
    /// Index in the group's list of live members, while it is in it.
    pub(crate) slot: u32,
    pub(crate) phase: Phase,
    /// Whether its sink is full for now.
    pub(crate) blocked: bool,
    /// Whether it is in the queue of subscribers with something to write.
    pub(crate) queued: bool,
    pub(crate) heartbeat_due: bool,
    /// Number of pages of history read since it was last live: later ones are larger.
    pub(crate) pages: u8,
    /// While live: ring offset up to which it has everything.
    pub(crate) offset: u64,
    /// While catching up, or live and blocked: position of the last record it has in full.
    pub(crate) position: Position,
    /// While catching up, or live and blocked: the part that it has of the next record.
    pub(crate) half: HalfSent,
    /// Losses up to here are known to it: it was told, or asked for what there is.
    pub(crate) told: Position,
    /// Bytes for it alone. Nearly always absent.
    pub(crate) outbox: Option<Box<Outbox>>,
    pub(crate) last_sent: Tick,
    /// Its entry in the timer wheel.
    pub(crate) timer: Tick,
    pub(crate) closes_at: Tick,
    pub(crate) closes_for: CloseReason,
}

impl Subscriber {
    /// Notes its place in the log, to the byte, when it leaves the ring or may be overtaken.
    pub(crate) fn stand_at(&mut self, cursor: Cursor) {
        self.position = cursor.mark.position;
        self.half = cursor.half;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It gets the frames that enter its group's ring.
    Live,
    /// It needs a page of history.
    Behind,
    /// A page of history is being read for it.
    Reading,
    /// It has a page of history in its outbox.
    Page,
}

/// Bytes for one subscriber alone, in the order they go out.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Control bytes from the hub itself: the preface, a reset, the rest of a heartbeat. Small.
    pub(crate) control: Vec<u8>,
    pub(crate) control_sent: usize,
    /// What the control bytes have of events that were compressed together.
    pub(crate) kept: Option<Kept>,
    /// History, dropped as soon as the sink takes no more.
    pub(crate) page: Option<EncodedPage>,
    pub(crate) page_sent: usize,
    /// Notices to be turned into control bytes as soon as it is between two events.
    pub(crate) notices: Vec<Pending>,
}

/// Events of which a subscriber has a part, and keeps the rest because it could not be found again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// The last record before them.
    pub(crate) after: Position,
    pub(crate) events: u64,
}

impl Outbox {
    /// Whether there is nothing in it and nothing to be put into it.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_written() && self.notices.is_empty()
    }

    /// Whether everything in it was sent.
    pub(crate) fn is_written(&self) -> bool {
        self.control_left().is_empty() && self.page.is_none()
    }

    pub(crate) fn control_left(&self) -> &[u8] {
        &self.control[self.control_sent..]
    }
}
