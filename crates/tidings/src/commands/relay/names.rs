//! Under which ids the events of an upstream are published.
//!
//! An event has the upstream's own id, with the prefix of the relay before it: so subscribers can
//! move between the two, and the hub knows an event when it comes again.
//!
//! Not every event has an id of its own. The id of such a one must be the same whenever the
//! upstream sends it again, and differ from those of other events, or the hub would leave one out.
//! What is known is the id before it, its content, and how many events of the same content came
//! since that id. That is its name: `17~2gosa7pa2gw3f-0`. What comes before any id at all can never
//! be resumed, so it does not come again: it is numbered, behind a name drawn by lot for this run:
//! `~k3f0x9c2b1aay-0`.
//!
//! So what follows the last `~` of a name is ours if it looks so. An upstream that is a hub with a
//! relay before it has ids that look so too: to those, and to ids that end with a `~`, another `~`
//! is added. Thus the upstream's id can be told from every name, and is never guessed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use tidings_client::{Event, EventId, EventType, MessageEvent};

/// Gives events their names.
pub(super) struct Names {
    prefix: String,
    /// The run's own name, and how many events it has named.
    run: String,
    run_count: u64,
    /// The upstream's last id, as far as it can be an id of the hub.
    last: Option<EventId>,
    /// Whether an event with that id has come on this connection.
    has_come: bool,
    /// How many events of the same content have come since.
    alike: HashMap<u64, u64>,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            run: base36(RandomState::new().hash_one(0)),
            run_count: 0,
            last: None,
            has_come: false,
            alike: HashMap::new(),
        }
    }

    /// A connection was made: what came after the last id may come again.
    pub(super) fn connected(&mut self) {
        self.has_come = false;
        self.alike.clear();
    }

    /// The event as it is published.
    pub(super) fn name(&mut self, event: MessageEvent) -> Event {
        let upstream = event.last_event_id().cloned();
        let is_fit = upstream.as_ref().is_none_or(|id| is_fit(id.as_str(), &self.prefix));
        // An id that no hub takes leaves the last one that is fit: what came after that comes again
        // if the relay is started again, and has the same name again.
        let last = if is_fit { upstream.clone() } else { self.last.clone() };
        let unfit = upstream.filter(|_| !is_fit);
        let mut event = event.into_sent();
        if last != self.last {
            self.last.clone_from(&last);
            self.connected();
        }
        let own = event.id.take().filter(|id| Some(id) == self.last.as_ref() && !self.has_come);
        let name = match (own, last) {
            (Some(own), _) => {
                self.has_come = true;
                format!("{}{}", self.prefix, kept(own.as_str()))
            }
            (None, Some(last)) => {
                // A flood of events without ids of their own must not fill the memory.
                if self.alike.len() >= ALIKE_MAX {
                    self.alike.clear();
                }
                let content = content(&event, unfit.as_ref());
                let count = self.alike.entry(content).or_insert(0);
                let name = format!("{}{last}~{}-{count}", self.prefix, base36(content));
                *count += 1;
                name
            }
            (None, None) => {
                let name = format!("{}~{}-{}", self.prefix, self.run, self.run_count);
                self.run_count += 1;
                name
            }
        };
        event.id = EventId::new(name).ok();
        strip(&mut event);
        event
    }
}

/// Takes from an event what an upstream cannot say to the readers of the hub.
pub(super) fn strip(event: &mut Event) {
    // How long to wait before coming back is the hub's to say.
    event.retry_ms = None;
    // The hub keeps these words for itself; but whether something is lost upstream matters here
    // too.
    if let Some(word) = event.event_type.as_ref().and_then(|t| t.as_str().strip_prefix("tidings."))
    {
        event.event_type = EventType::new(format!("upstream.{word}")).ok();
    }
}

/// The upstream's id in the name of an event. `None` if there is none in it.
pub(super) fn upstream_id(name: &str, prefix: &str) -> Option<EventId> {
    let (id, _) = parts(name.strip_prefix(prefix)?);
    EventId::new(id).ok().filter(|id| !id.as_str().is_empty())
}

/// Other names for an event whose name the topic has already, for an event that says something
/// else: an upstream that counts from 1 again, or contents that look the same in 64 bits. They are
/// to be tried in this order, so that the same event always gets the same name.
pub(super) fn other_names(event: &Event, prefix: &str) -> impl Iterator<Item = EventId> + use<> {
    let name = event.id.as_ref().map_or("", EventId::as_str);
    let first = match parts(name.strip_prefix(prefix).unwrap_or(name)) {
        // Not the form of an event without an id, which may say the same.
        (id, true) => format!("{prefix}{id}~{}-{AGAIN}", base36(content(event, None))),
        (_, false) => format!("{name}-{AGAIN}"),
    };
    let more = (1..OTHER_NAMES_MAX).map({
        let first = first.clone();
        move |n| format!("{first}-{n}")
    });
    std::iter::once(first).chain(more).filter_map(|name| EventId::new(name).ok())
}

/// An upstream's own id as a name: it must not look as if something of ours followed it.
fn kept(id: &str) -> Cow<'_, str> {
    let looks_ours = id.rsplit_once('~').is_some_and(|(_, end)| end.is_empty() || is_given(end));
    if looks_ours { format!("{id}~").into() } else { id.into() }
}

/// The upstream's id in a name without its prefix, and whether the event had it as its own.
fn parts(name: &str) -> (&str, bool) {
    match name.rsplit_once('~') {
        Some((id, "")) => (id, true),
        Some((id, end)) if is_given(end) => (id, false),
        _ => (name, true),
    }
}

/// `2gosa7pa2gw3f-0`, `2gosa7pa2gw3f-again`, `2gosa7pa2gw3f-0-again`, and the latter two with a
/// number behind.
fn is_given(text: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    let mut parts = text.split('-');
    let is_word = |word: &str| word.len() == WORD && word.bytes().all(is_digit);
    parts.next().is_some_and(is_word)
        && match parts.collect::<Vec<_>>()[..] {
            [AGAIN] => true,
            [number] | [AGAIN, number] | [number, AGAIN] => is_number(number),
            [count, AGAIN, number] => is_number(count) && is_number(number),
            _ => false,
        }
}

/// Whether a hub can take the id, with what may be added to it.
fn is_fit(id: &str, prefix: &str) -> bool {
    let is_plain = !id.chars().any(char::is_control) && id.trim_matches(' ') == id;
    let room = HUB_ID_BYTES_MAX.saturating_sub(ADDED_BYTES_MAX + prefix.len());
    is_plain && !id.is_empty() && id.len() <= room
}

/// What an event says, in 64 bits that are the same in every version of this program (FNV-1a). With
/// the id of the upstream that it came with or after, if no hub can take that.
fn content(event: &Event, unfit: Option<&EventId>) -> u64 {
    let event_type = event.event_type.as_ref().map_or("", EventType::as_str);
    let bytes = event_type.bytes().chain([0]).chain(event.data.bytes());
    let bytes =
        bytes.chain(unfit.into_iter().flat_map(|id| [0].into_iter().chain(id.as_str().bytes())));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Always of the same length.
fn base36(mut bits: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let digits = (0..WORD).map(|_| {
        let digit = DIGITS[(bits % 36) as usize];
        bits /= 36;
        char::from(digit)
    });
    digits.collect()
}

/// What stands in place of a count where the upstream gave an id again to another event.
const AGAIN: &str = "again";

/// As many digits to the base of 36 as 64 bits need.
const WORD: usize = 13;

/// The longest id that a hub takes. At the edge: an id of the upstream that has no room with what
/// may be added to it is not kept, and its event counts as one without an id.
const HUB_ID_BYTES_MAX: usize = 1024;

/// The most that is put behind an id: `~2gosa7pa2gw3f-18446744073709551615-again-15`.
const ADDED_BYTES_MAX: usize = 48;

/// The longest prefix. At the edge: the relay does not start.
pub(super) const PREFIX_BYTES_MAX: usize = 256;

/// How many other names an event is tried under. At the edge: the relay ends with an error.
const OTHER_NAMES_MAX: usize = 16;

/// Maximum contents that are distinguished since one id. At the edge: counting begins anew, and one
/// of several events of the same content may be left out.
const ALIKE_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidings_client::EventSource;

    use super::*;

    /// The names of the events of a stream that is cut in connections.
    fn names(names: &mut Names, connections: &[&'static str]) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut given = Vec::new();
        let mut last = None;
        for text in connections {
            let mut builder = EventSource::builder("http://h/").one_shot().transport(Canned(text));
            if let Some(id) = last.take() {
                builder = builder.last_event_id(id);
            }
            let mut source = builder.open().unwrap();
            names.connected();
            runtime.block_on(async {
                while let Some(Ok(event)) = source.next_event().await {
                    given.push(names.name(event).id.unwrap().to_string());
                }
            });
            last = source.last_event_id();
        }
        given
    }

    struct Canned(&'static str);

    impl tidings_client::Transport for Canned {
        fn send(&self, _: http::Request<tidings_client::Body>) -> tidings_client::SendFuture {
            let response = http::Response::builder().header("content-type", "text/event-stream");
            let body = tidings_client::Body::from(bytes::Bytes::from_static(self.0.as_bytes()));
            Box::pin(std::future::ready(Ok(response.body(body).unwrap())))
        }
    }

    #[test]
    fn an_id_of_the_upstream_is_kept_behind_the_prefix() {
        let stream = "id: 7\ndata: a\n\nid: b~c\ndata: b\n\n";
        assert_eq!(names(&mut Names::new(""), &[stream]), ["7", "b~c"]);
        assert_eq!(names(&mut Names::new("x/"), &[stream]), ["x/7", "x/b~c"]);
    }

    #[test]
    fn events_without_an_id_of_their_own_have_names_of_their_own() {
        let stream = "id: 7\ndata: a\n\ndata: ping\n\ndata: ping\n\nevent: e\ndata: ping\n\nid: 7\n\
                      data: a\n\n";
        let given = names(&mut Names::new(""), &[stream]);
        let mut different = given.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), 5, "{given:?}");
        assert!(given[1].ends_with("-0") && given[2].ends_with("-1"), "{given:?}");
    }

    #[test]
    fn what_the_upstream_sends_again_has_the_same_name_again() {
        let first = "id: 7\ndata: a\n\ndata: b\n\ndata: b\n\n";
        let again = "data: b\n\ndata: b\n\nid: 8\ndata: c\n\n";
        let inclusive = "id: 8\ndata: c\n\n";
        let given = names(&mut Names::new("p"), &[first, again, inclusive]);
        assert_eq!(given[1..3], given[3..5]);
        assert_eq!(given[5..], ["p8", "p8"]);
    }

    #[test]
    fn what_comes_before_any_id_never_comes_again() {
        let given = names(&mut Names::new(""), &["data: a\n\n", "data: a\n\n"]);
        assert_ne!(given[0], given[1]);
        let other_run = names(&mut Names::new(""), &["data: a\n\n"]);
        assert_ne!(given[0], other_run[0]);
    }

    #[test]
    fn the_id_of_the_upstream_is_found_in_every_name() {
        let stream = "data: 0\n\nid: 7\ndata: a\n\ndata: b\n\nid: x~y\ndata: c\n\ndata: d\n\n";
        let given = names(&mut Names::new("p/"), &[stream]);
        let ids = given.iter().map(|name| upstream_id(name, "p/").map(|id| id.to_string()));
        let expected = [None, Some("7"), Some("7"), Some("x~y"), Some("x~y")];
        assert_eq!(ids.collect::<Vec<_>>(), expected.map(|id| id.map(str::to_owned)));
        assert_eq!(upstream_id("other/7", "p/"), None);
    }

    #[test]
    fn an_id_that_looks_like_a_name_is_told_from_one() {
        let given = "2gosa7pa2gw3f-0";
        let relayed = [
            format!("17~{given}"),
            format!("17~{given}-again"),
            format!("17~{given}-again-3"),
            "17~2gosa7pa2gw3f-again".into(),
            "17~2gosa7pa2gw3f-again-15".into(),
            format!("~{given}"),
            "a~".into(),
            "~~".into(),
        ];
        for id in relayed.iter().map(String::as_str).chain(["b~c", "~", "17"]) {
            let name = kept(id);
            assert_eq!(upstream_id(&name, "").unwrap().as_str(), id);
            let behind_it = format!("{id}~{given}");
            assert_eq!(upstream_id(&behind_it, "").unwrap().as_str(), id);
            // Also where a relay reads from a relay that reads from a relay.
            assert_eq!(parts(&kept(&name)), (&*name, true));
        }
        assert_eq!((kept("b~c"), kept("17")), ("b~c".into(), "17".into()));
    }

    #[test]
    fn an_id_that_is_too_long_for_a_hub_leaves_the_one_before_and_its_event_is_known_again() {
        for (bytes, is_kept) in [(976, true), (977, false), (1024, false), (5000, false)] {
            let long = "x".repeat(bytes);
            let text = format!("id: 7\ndata: a\n\nid: {long}\ndata: b\n\nid: {long}2\ndata: b\n\n");
            let text: &'static str = Box::leak(text.into_boxed_str());
            let given = names(&mut Names::new(""), &[text]);
            assert_eq!(given[1] == long, is_kept, "{bytes}");
            assert_ne!(given[1], given[2], "{bytes}");
            assert!(given.iter().all(|name| name.len() <= 1024 - 3 - "again-15".len()));
            let resumed = upstream_id(&given[1], "").unwrap();
            assert_eq!(resumed.as_str(), if is_kept { &*long } else { "7" });
            assert_eq!(names(&mut Names::new(""), &[text]), given, "the same when it comes again");
        }
        let prefix = "p".repeat(PREFIX_BYTES_MAX);
        let long = "x".repeat(1024 - 48 - PREFIX_BYTES_MAX);
        let text: &'static str = Box::leak(format!("id: {long}\ndata: a\n\n").into_boxed_str());
        let given = names(&mut Names::new(&prefix), &[text]);
        assert_eq!(given, [format!("{prefix}{long}")]);
    }

    #[test]
    fn every_other_name_differs_fits_and_holds_the_id_of_the_upstream() {
        let longest = "x".repeat(976);
        for name in ["5", &*longest, "5~2gosa7pa2gw3f-18446744073709551615", "a~~"] {
            let event = Event { id: EventId::new(name).ok(), ..Event::new("x") };
            let mut others: Vec<_> = other_names(&event, "").collect();
            assert_eq!(others.len(), OTHER_NAMES_MAX);
            for other in &others {
                assert!(other.as_str().len() <= HUB_ID_BYTES_MAX);
                assert_eq!(upstream_id(other.as_str(), ""), upstream_id(name, ""), "{other:?}");
            }
            others.sort_unstable_by_key(ToString::to_string);
            others.dedup();
            assert_eq!(others.len(), OTHER_NAMES_MAX);
        }
    }

    #[test]
    fn what_the_hub_would_say_for_itself_is_said_of_the_upstream() {
        let stream = "event: tidings.reset\nid: 9\ndata: {}\n\n";
        let mut source =
            EventSource::builder("http://h/").one_shot().transport(Canned(stream)).open().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let event = runtime.block_on(source.next_event()).unwrap().unwrap();
        let event = Names::new("").name(event);
        assert_eq!(event.event_type.unwrap().as_str(), "upstream.reset");
    }
}
