use tidings_codec::gzip::{self, Checksum};

use crate::coding::Coding;
use crate::framing::Framing;

/// The form of a stream: subscribers to the same events in the same form get the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamForm {
    /// How the sink wants its bytes wrapped.
    pub framing: Framing,
    /// What the hub sends of its own.
    pub control_style: ControlStyle,
    /// How the publishers' events are encoded.
    pub event_form: EventForm,
    /// How the body is coded.
    pub coding: Coding,
}

impl StreamForm {
    /// Appends the beginning of a body: `preface`, wrapped. Returns the checksum of its text, for
    /// [`Attach::began`](crate::Attach::began).
    pub fn begin(self, out: &mut Vec<u8>, preface: &[u8]) -> Checksum {
        match self.coding {
            Coding::Identity => self.framing.wrap(out, preface),
            Coding::Gzip(_) => {
                let mut begin = gzip::HEADER.to_vec();
                gzip::stored(&mut begin, preface);
                self.framing.wrap(out, &begin);
            }
        }
        self.sum(preface)
    }

    /// Appends a block of the hub's own, wrapped.
    pub(crate) fn wrap(self, out: &mut Vec<u8>, block: &[u8]) {
        self.coding.wrap(self.framing, out, block);
    }

    /// The checksum of `text` where the end of the stream will need it.
    pub(crate) fn sum(self, text: &[u8]) -> Checksum {
        if self.coding.is_gzip() { Checksum::of(text) } else { Checksum::default() }
    }
}

/// What the hub sends to a subscriber besides the publishers' events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlStyle {
    /// Heartbeats are id-only blocks, so that the cursor of a quiet topic keeps moving. Lost
    /// events, the end of a topic and the time to wait before a reconnection are announced in the
    /// stream.
    Native,
    /// Heartbeats are bare comments. The end of a topic is an event like others, and nothing else
    /// is announced.
    Comments,
    /// Heartbeats are bare comments, and no block is the hub's own: where events are lost the
    /// stream is cut.
    Nothing,
}

/// How the publishers' events are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventForm {
    /// With the type and the data that the publisher gave.
    AsPublished,
    /// As messages whose data is a JSON object with `id`, `topic`, `event`, `data` and `time`.
    /// Events of the hub itself are not wrapped, so that no publisher can forge them.
    Envelope,
}
