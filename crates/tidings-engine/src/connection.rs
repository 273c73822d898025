//! Present and ended connections, so that an operator can ask why a subscriber did not get an
//! event.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use tidings_hub::{
    Interest, Matcher, Outcome, Position, Record, Standing, StandingState, Timestamp,
};

use crate::limits::{CLOSED_BYTES_MAX, CLOSED_MAX};

/// The name of one subscriber's connection, for as long as the process runs: `5f21c0de-1a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// Differs from process to process, so that a connection is not confused with one from before a
    /// restart.
    pub(crate) run: u32,
    pub(crate) number: u64,
}

impl ConnectionId {
    /// Its number among the connections of its run.
    pub const fn number(self) -> u64 {
        self.number
    }

    /// The [run](crate::Engine::run) of the engine that has the connection.
    pub const fn run(self) -> u32 {
        self.run
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:x}", self.run, self.number)
    }
}

/// The text is not a [`ConnectionId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidConnectionId;

impl fmt::Display for InvalidConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a connection id is what the header Tidings-Connection said: 5f21c0de-1a")
    }
}

impl std::error::Error for InvalidConnectionId {}

impl FromStr for ConnectionId {
    type Err = InvalidConnectionId;

    fn from_str(text: &str) -> Result<Self, InvalidConnectionId> {
        let (run, number) = text.split_once('-').ok_or(InvalidConnectionId)?;
        let hex = |part: &str| {
            let digits = part.bytes().all(|b| b.is_ascii_hexdigit());
            digits.then(|| u64::from_str_radix(part, 16).ok()).flatten()
        };
        let run = hex(run).and_then(|run| run.try_into().ok()).ok_or(InvalidConnectionId)?;
        Ok(Self { run, number: hex(number).ok_or(InvalidConnectionId)? })
    }
}

/// How a connection began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// With the next event.
    Live,
    /// Where the client asked to continue.
    Resumed,
    /// With the state, or what changed in it.
    State,
    /// With a reset: it could not continue where it was asked to.
    Reset,
}

impl Began {
    /// The value of the `Tidings-Resume` header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Resumed => "resumed",
            Self::State => "state",
            Self::Reset => "reset",
        }
    }
}

impl From<&Outcome> for Began {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Live => Self::Live,
            Outcome::Resumed => Self::Resumed,
            Outcome::State { .. } => Self::State,
            Outcome::Reset { .. } => Self::Reset,
        }
    }
}

/// Details of a present or recently ended connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its name.
    pub id: ConnectionId,
    /// What it wants, and how far it got.
    pub standing: Standing,
    /// How it began.
    pub began: Began,
    /// Position after which it started.
    pub started: Position,
    /// Time at which it connected.
    pub since: Timestamp,
    /// Time at which it closed; `None` while it is connected.
    pub closed: Option<Timestamp>,
    /// Whether a worker writes its socket; otherwise the HTTP library does.
    pub direct: bool,
    /// Address of its peer, which may be a proxy. Only while it is connected.
    pub peer: Option<SocketAddr>,
    /// The last events it missed because of retention: it had everything up to the first position,
    /// and continued with the second.
    pub skipped: Option<(Position, Position)>,
}

/// Why a connection got, or did not get, an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// None of the event's topics is in its subscription.
    NotWanted,
    /// The token does not cover the event, and it is not open to others.
    NotGranted,
    /// The event is older than where the connection began.
    BeforeStart,
    /// Retention dropped it before it could be delivered.
    Skipped,
    /// It was written to the connection.
    Written,
    /// The connection ended before it was written.
    ClosedBefore,
    /// It will be written: the peer is slow, or history is being read.
    Waiting,
}

impl Verdict {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotWanted => "not_wanted",
            Self::NotGranted => "not_granted",
            Self::BeforeStart => "before_start",
            Self::Skipped => "skipped",
            Self::Written => "written",
            Self::ClosedBefore => "closed_before",
            Self::Waiting => "waiting",
        }
    }

    /// One sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NotWanted => "none of the event's topics is in the subscription",
            Self::NotGranted => {
                "the subscriber's token does not cover the event, and it is not open to others"
            }
            Self::BeforeStart => "the event is older than where this connection began",
            Self::Skipped => "retention dropped the event before it could be delivered",
            Self::Written => "the event was written to the connection",
            Self::ClosedBefore => "the connection ended before the event could be written",
            Self::Waiting => "the event waits: the peer is slow, or history is being read",
        }
    }
}

impl Connection {
    /// What happened to `record` on this connection.
    pub fn verdict(&self, record: &Record) -> Verdict {
        let Standing { interest, position, state, .. } = &self.standing;
        let at = record.position();
        let skipped = self.skipped.is_some_and(|(after, first)| at > after && at < first);
        match () {
            () if !interest.wants(record) => Verdict::NotWanted,
            () if !interest.may_have(record) => Verdict::NotGranted,
            () if at <= self.started => Verdict::BeforeStart,
            () if skipped => Verdict::Skipped,
            () if at <= *position => Verdict::Written,
            () if matches!(state, StandingState::Closed(_)) => Verdict::ClosedBefore,
            () => Verdict::Waiting,
        }
    }
}

/// Recently ended connections.
#[derive(Debug, Default)]
pub(crate) struct ClosedConnections(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    connections: VecDeque<Connection>,
    bytes: usize,
}

impl ClosedConnections {
    /// Remembers `connection`, and forgets the oldest for it if need be.
    pub(crate) fn remember(&self, connection: Connection) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.bytes += cost(&connection.standing.interest);
        remembered.connections.push_back(connection);
        while remembered.connections.len() > CLOSED_MAX || remembered.bytes > CLOSED_BYTES_MAX {
            let Some(oldest) = remembered.connections.pop_front() else { break };
            remembered.bytes -= cost(&oldest.standing.interest);
        }
    }

    pub(crate) fn find(&self, id: ConnectionId) -> Option<Connection> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.connections.iter().rev().find(|connection| connection.id == id).cloned()
    }
}

/// Bytes that remembering an interest keeps in memory, about.
fn cost(interest: &Interest) -> usize {
    let text = |matcher: &Matcher| match matcher {
        Matcher::Exact(topic) => topic.as_str().len(),
        other => other.to_string().len(),
    };
    interest.wanted().iter().map(text).sum::<usize>() + size_of::<Connection>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidings_hub::{CloseReason, Draft, Topic, Visibility};

    use super::*;

    fn connection(number: u64, topic: &str) -> Connection {
        let wanted = vec![Matcher::parse(topic).unwrap()];
        Connection {
            id: ConnectionId { run: 7, number },
            standing: Standing {
                interest: Interest::new(wanted, Vec::new()),
                position: Position::new(20),
                state: StandingState::Live,
                head: Position::new(30),
            },
            began: Began::Live,
            started: Position::new(10),
            since: Timestamp::default(),
            closed: None,
            direct: true,
            peer: None,
            skipped: Some((Position::new(12), Position::new(15))),
        }
    }

    fn record(topic: &str, position: u64, private: bool) -> Record {
        let visibility = if private { Visibility::Private } else { Visibility::ByTopic };
        let draft = Draft { visibility, ..Draft::new(Topic::new(topic).unwrap(), "x") };
        Record::new(draft, Position::new(position), Timestamp::default())
    }

    #[test]
    fn every_way_to_miss_an_event_has_a_name() {
        let mut connection = connection(1, "a");
        for (topic, position, private, verdict) in [
            ("b", 16, false, Verdict::NotWanted),
            ("a", 16, true, Verdict::NotGranted),
            ("a", 10, false, Verdict::BeforeStart),
            ("a", 12, false, Verdict::Written),
            ("a", 13, false, Verdict::Skipped),
            ("a", 15, false, Verdict::Written),
            ("a", 20, false, Verdict::Written),
            ("a", 21, false, Verdict::Waiting),
        ] {
            assert_eq!(connection.verdict(&record(topic, position, private)), verdict);
        }
        connection.standing.state = StandingState::Closed(CloseReason::PeerReset);
        assert_eq!(connection.verdict(&record("a", 21, false)), Verdict::ClosedBefore);
    }

    #[test]
    fn an_id_reads_back_and_nothing_else_does() {
        let id = ConnectionId { run: 0x2a, number: 0x1f };
        assert_eq!(id.to_string(), "0000002a-1f");
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "-", "2a", "2a-", "-1f", "+2a-1f", "2a-1g", "123456789-1"] {
            assert_eq!(text.parse::<ConnectionId>(), Err(InvalidConnectionId), "{text:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_in_number_and_in_bytes() {
        let remembered = ClosedConnections::default();
        for number in 0..CLOSED_MAX as u64 + 1 {
            remembered.remember(connection(number, "a"));
        }
        let found = |number| remembered.find(ConnectionId { run: 7, number }).is_some();
        assert_eq!([found(0), found(1), found(CLOSED_MAX as u64)], [false, true, true]);
        let long = "x".repeat(tidings_hub::limits::TOPIC_BYTES_MAX);
        for number in 10_000..12_000 {
            remembered.remember(connection(number, &long));
        }
        assert!(remembered.0.lock().unwrap().bytes <= CLOSED_BYTES_MAX);
        assert_eq!([found(10_000), found(11_999)], [false, true]);
    }
}
