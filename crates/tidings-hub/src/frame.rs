use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use tidings_codec::encode;
use tidings_codec::gzip::Deflater;

use crate::coding::Coding;
use crate::draft::Kind;
use crate::epoch::Epoch;
use crate::framing::Framing;
use crate::json;
use crate::limits::END_RETRY_MS;
use crate::mark::Mark;
use crate::position::Position;
use crate::record::Record;
use crate::removed::Removed;
use crate::reset::Reset;
use crate::stream_form::{ControlStyle, EventForm, StreamForm};

/// A record as bytes on the wire: encoded once in each form that is asked for, shared by all its
/// recipients.
#[derive(Debug)]
pub struct Frame {
    record: Arc<Record>,
    epoch: Epoch,
    as_published: Encoded,
    /// The other form that a record of its kind has, if any: the envelope of a publisher's event,
    /// the block that is only the id of a removal.
    other: OnceLock<Encoded>,
}

/// An event in one form, and compressed once somebody asks for that.
#[derive(Debug)]
struct Encoded {
    plain: Framed,
    /// Compressed alone: it refers to nothing before it, so the bytes are the same for everybody,
    /// and whenever the record is encoded again.
    key: OnceLock<Framed>,
}

impl Encoded {
    fn new(event: &[u8]) -> Self {
        Self { plain: Framed::new(event), key: OnceLock::new() }
    }

    fn get(&self, framing: Framing, coding: Coding) -> &[u8] {
        match coding {
            Coding::Identity => self.plain.get(framing),
            Coding::Gzip(_) => {
                let compress = || Framed::new(&compressed(self.plain.get(Framing::Plain)));
                self.key.get_or_init(compress).get(framing)
            }
        }
    }
}

/// An event with the framing of a chunk around it.
#[derive(Debug)]
struct Framed {
    bytes: Box<[u8]>,
    inner: Range<usize>,
}

impl Framed {
    fn new(event: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(Framing::Chunked.len(event.len()));
        Framing::Chunked.wrap(&mut bytes, event);
        let end = bytes.len() - b"\r\n".len();
        Self { inner: end - event.len()..end, bytes: bytes.into() }
    }

    fn get(&self, framing: Framing) -> &[u8] {
        match framing {
            Framing::Chunked => &self.bytes,
            Framing::Plain => &self.bytes[self.inner.clone()],
        }
    }
}

impl Frame {
    /// Encodes `record` of the log named `epoch`.
    pub fn encode(record: Arc<Record>, epoch: Epoch) -> Self {
        let mut event = Vec::new();
        let id = record.event_id(epoch);
        match Removed::of(&record) {
            Some(removed) => removed.encode(&id, &mut event),
            None if record.kind == Kind::Erasure => {
                Reset::of_erasure(&record.topic, &id).encode(&mut event)
            }
            None => encode::event(
                &mut event,
                Some(&id),
                record.event_type.as_ref(),
                record.retry_ms,
                &record.data,
            ),
        }
        Self { record, epoch, as_published: Encoded::new(&event), other: OnceLock::new() }
    }

    /// The record.
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// The record's place in the log.
    pub fn position(&self) -> Position {
        self.record.position()
    }

    /// The record's place in the log, with its check if the log has them.
    pub fn mark(&self) -> Mark {
        self.record.mark()
    }

    /// The bytes in `form`; empty if a stream of that form has nothing of the record.
    pub fn bytes(&self, form: StreamForm) -> &[u8] {
        let encoded = self.encoded(form);
        encoded.map_or(&[], |encoded| encoded.get(form.framing, form.coding))
    }

    /// The text of the event in `form`, neither compressed nor wrapped; empty like the bytes.
    pub(crate) fn text(&self, form: StreamForm) -> &[u8] {
        let encoded = self.encoded(form);
        encoded.map_or(&[], |encoded| encoded.plain.get(Framing::Plain))
    }

    fn encoded(&self, form: StreamForm) -> Option<&Encoded> {
        match (self.record.kind, form.control_style, form.event_form) {
            (Kind::SilentEnd | Kind::Note | Kind::Erased, ..)
            | (Kind::End, ControlStyle::Nothing, _) => None,
            // Where the hub has no events of its own, the reader's place still moves.
            (
                Kind::Removal | Kind::LateRemoval | Kind::Erasure,
                ControlStyle::Comments | ControlStyle::Nothing,
                _,
            ) => Some(self.other(id_only)),
            (Kind::End | Kind::Removal | Kind::LateRemoval | Kind::Erasure, ..)
            | (_, _, EventForm::AsPublished) => Some(&self.as_published),
            (Kind::Event | Kind::LastEvent, _, EventForm::Envelope) => Some(self.other(envelope)),
        }
    }

    fn other(&self, encode: fn(&Record, Epoch) -> Vec<u8>) -> &Encoded {
        self.other.get_or_init(|| Encoded::new(&encode(&self.record, self.epoch)))
    }

    /// Whether every encoding of what is at this position has the same bytes in `form`: neither is
    /// the record in place of another, nor is it an end of the hub's own, which also has
    /// [last bytes](Self::last_bytes).
    pub fn is_steady(&self, form: StreamForm) -> bool {
        let has_last_bytes =
            self.record.kind == Kind::End && form.control_style == ControlStyle::Native;
        !self.record.is_rewritten() && !has_last_bytes
    }

    /// The bytes in `form` for a stream that ends with the record: an end of the hub's own says
    /// that there is nothing to come back for.
    pub fn last_bytes(&self, form: StreamForm) -> Cow<'_, [u8]> {
        match self.last_text(form) {
            Cow::Borrowed(_) => self.bytes(form).into(),
            Cow::Owned(text) => {
                let encoded = Encoded::new(&text);
                encoded.get(form.framing, form.coding).to_vec().into()
            }
        }
    }

    /// The text of those bytes.
    pub(crate) fn last_text(&self, form: StreamForm) -> Cow<'_, [u8]> {
        if self.record.kind != Kind::End || form.control_style != ControlStyle::Native {
            return self.text(form).into();
        }
        let mut event = Vec::new();
        encode::event(
            &mut event,
            Some(&self.record.event_id(self.epoch)),
            self.record.event_type.as_ref(),
            Some(END_RETRY_MS),
            &self.record.data,
        );
        event.into()
    }
}

fn compressed(text: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(text.len());
    Deflater::new().block(&mut block, text);
    block
}

/// The event as a message whose data says which event it is of which topic. With an id of the
/// publisher's own it also says the record's position: a reader of several topics cannot tell by
/// such ids which of two events is the later one.
fn envelope(record: &Record, epoch: Epoch) -> Vec<u8> {
    let id = record.event_id(epoch);
    let mut data = String::with_capacity(128 + record.data.len());
    data.push_str("{\"id\":");
    json::push_string(&mut data, id.as_str());
    if record.id.is_some() {
        data.push_str(",\"position\":");
        json::push_string(&mut data, record.position().event_id(epoch).as_str());
    }
    data.push_str(",\"topic\":");
    json::push_string(&mut data, record.topic.as_str());
    for (place, topic) in record.alternates.iter().enumerate() {
        data.push_str(if place == 0 { ",\"alternates\":[" } else { "," });
        json::push_string(&mut data, topic.as_str());
    }
    if !record.alternates.is_empty() {
        data.push(']');
    }
    if let Some(key) = &record.key {
        data.push_str(",\"key\":");
        json::push_string(&mut data, key.as_str());
        data.push_str(if record.is_whole() { ",\"whole\":true" } else { ",\"whole\":false" });
    }
    if let Some(at) = record.piece.as_ref().and_then(|piece| piece.at.as_ref()) {
        data.push_str(",\"at\":");
        json::push_string(&mut data, at.as_str());
    }
    data.push_str(",\"event\":");
    json::push_string(&mut data, record.event_type_or_default());
    data.push_str(",\"data\":");
    json::push_string(&mut data, &record.data);
    data.push_str(",\"time\":");
    json::push_string(&mut data, &record.time().rfc3339());
    data.push('}');
    let mut event = Vec::new();
    encode::event(&mut event, Some(&id), None, record.retry_ms, &data);
    event
}

/// A block that sets the last event id, and is no event.
fn id_only(record: &Record, epoch: Epoch) -> Vec<u8> {
    let mut block = Vec::new();
    encode::id_only(&mut block, &record.event_id(epoch));
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draft, EventId, EventType, Timestamp, Topic};

    const AS_PUBLISHED: StreamForm = StreamForm {
        framing: Framing::Plain,
        control_style: ControlStyle::Native,
        event_form: EventForm::AsPublished,
        coding: Coding::Identity,
    };

    fn frame(kind: Kind, data: &str) -> Frame {
        let mut draft = Draft::new(Topic::new("a").expect("a valid topic"), data);
        draft.kind = kind;
        draft.event_type = (kind == Kind::End).then(|| EventType::new("end").expect("a word"));
        let record = Record::new(draft, Position::new(7), Timestamp::from_millis(1_000));
        Frame::encode(Arc::new(record), Epoch::parse("k7q2ma").expect("valid"))
    }

    #[test]
    fn both_framings_hold_the_same_event() {
        let frame = frame(Kind::Event, "hello\nworld");
        let plain = b"id: k7q2ma:7\ndata: hello\ndata: world\n\n";
        assert_eq!(frame.bytes(AS_PUBLISHED), plain);
        let mut chunk = Vec::new();
        Framing::Chunked.wrap(&mut chunk, plain);
        let chunked = StreamForm { framing: Framing::Chunked, ..AS_PUBLISHED };
        assert_eq!(frame.bytes(chunked), chunk);
        assert!(chunk.starts_with(b"26\r\nid: "), "38 bytes are 0x26");
    }

    #[test]
    fn an_envelope_holds_all_that_is_known_of_the_event_and_the_ends_of_the_hub_have_none() {
        let envelope = StreamForm { event_form: EventForm::Envelope, ..AS_PUBLISHED };
        let expected = concat!(
            "id: k7q2ma:7\n",
            r#"data: {"id":"k7q2ma:7","topic":"a","event":"message","data":"a \"b\"\nc","#,
            r#""time":"1970-01-01T00:00:01.000Z"}"#,
            "\n\n"
        );
        for kind in [Kind::Event, Kind::LastEvent] {
            let frame = frame(kind, "a \"b\"\nc");
            assert_eq!(str::from_utf8(frame.bytes(envelope)), Ok(expected));
            assert_eq!(*frame.last_bytes(envelope), *expected.as_bytes());
        }
        let end = frame(Kind::End, "{}");
        assert_eq!(end.bytes(envelope), b"event: end\nid: k7q2ma:7\ndata: {}\n\n");
    }

    #[test]
    fn an_envelope_has_the_position_of_an_event_with_another_id_and_its_other_topics() {
        let topic = |name| Topic::new(name).expect("a valid topic");
        let mut draft = Draft::new(topic("a"), "1");
        draft.id = Some(EventId::new("own").expect("a word"));
        draft.alternates = vec![topic("b"), topic("c")];
        let record = Record::new(draft, Position::new(7), Timestamp::from_millis(1_000));
        let frame = Frame::encode(Arc::new(record), Epoch::parse("k7q2ma").expect("valid"));
        let envelope = StreamForm { event_form: EventForm::Envelope, ..AS_PUBLISHED };
        let expected = concat!(
            "id: own\n",
            r#"data: {"id":"own","position":"k7q2ma:7","topic":"a","alternates":["b","c"],"#,
            r#""event":"message","data":"1","time":"1970-01-01T00:00:01.000Z"}"#,
            "\n\n"
        );
        assert_eq!(str::from_utf8(frame.bytes(envelope)), Ok(expected));
    }

    #[test]
    fn an_end_stops_reconnections_only_where_the_stream_ends_with_it() {
        let end = frame(Kind::End, "{}");
        assert_eq!(end.bytes(AS_PUBLISHED), b"event: end\nid: k7q2ma:7\ndata: {}\n\n");
        let last = b"event: end\nid: k7q2ma:7\nretry: 86400000\ndata: {}\n\n";
        assert_eq!(*end.last_bytes(AS_PUBLISHED), last[..]);
        let comments = StreamForm { control_style: ControlStyle::Comments, ..AS_PUBLISHED };
        assert_eq!(*end.last_bytes(comments), *end.bytes(AS_PUBLISHED));
    }

    #[test]
    fn a_stream_without_control_blocks_has_no_ends_and_none_has_a_silent_one() {
        let nothing = StreamForm { control_style: ControlStyle::Nothing, ..AS_PUBLISHED };
        for (kind, form, is_there) in [
            (Kind::End, nothing, false),
            (Kind::End, AS_PUBLISHED, true),
            (Kind::LastEvent, nothing, true),
            (Kind::SilentEnd, nothing, false),
            (Kind::SilentEnd, AS_PUBLISHED, false),
        ] {
            let frame = frame(kind, "x");
            assert_eq!(!frame.bytes(form).is_empty(), is_there, "{kind:?} {form:?}");
            assert_eq!(!frame.last_bytes(form).is_empty(), is_there, "{kind:?} {form:?}");
        }
    }
}
