/// Why a subscriber's connection ended. Every closed connection has exactly one; the names are
/// metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CloseReason {
    /// The subscriber closed its side.
    PeerClosed,
    /// The connection broke: a reset, or an error on the socket.
    PeerReset,
    /// The peer no longer acknowledges anything: it vanished without closing the connection.
    PeerVanished,
    /// Every topic it subscribed to was ended.
    TopicEnded,
    /// Its permission to read ended: its token expired.
    GrantExpired,
    /// An operator closed the connection.
    Kicked,
    /// Its session was ended: its user signed out.
    SessionEnded,
    /// Its session was renewed with a grant that does not cover what it reads.
    GrantNarrowed,
    /// The connection reached the maximum age, at which connections are rotated.
    AgeReached,
    /// The hub is shutting down.
    Draining,
    /// It was in the middle of an event when retention dropped that event.
    Overtaken,
    /// Notices came faster than it took them, so it has lost some.
    NoticesLost,
    /// The store could not be read on its behalf.
    StoreFailed,
}

impl CloseReason {
    /// All reasons, in the order of the table in the documentation.
    pub const ALL: [Self; 13] = [
        Self::PeerClosed,
        Self::PeerReset,
        Self::PeerVanished,
        Self::TopicEnded,
        Self::GrantExpired,
        Self::Kicked,
        Self::SessionEnded,
        Self::GrantNarrowed,
        Self::AgeReached,
        Self::Draining,
        Self::Overtaken,
        Self::NoticesLost,
        Self::StoreFailed,
    ];

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PeerClosed => "peer_closed",
            Self::PeerReset => "peer_reset",
            Self::PeerVanished => "peer_vanished",
            Self::TopicEnded => "topic_ended",
            Self::GrantExpired => "grant_expired",
            Self::Kicked => "kicked",
            Self::SessionEnded => "session_ended",
            Self::GrantNarrowed => "grant_narrowed",
            Self::AgeReached => "age_reached",
            Self::Draining => "draining",
            Self::Overtaken => "overtaken",
            Self::NoticesLost => "notices_lost",
            Self::StoreFailed => "store_failed",
        }
    }

    /// One sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::PeerClosed => "the subscriber closed the connection",
            Self::PeerReset => "the connection to the subscriber broke",
            Self::PeerVanished => "the subscriber's machine no longer answers",
            Self::TopicEnded => "every topic of the subscription was ended",
            Self::GrantExpired => "the subscriber's token expired",
            Self::Kicked => "an operator closed the connection",
            Self::SessionEnded => "the subscriber's session was ended",
            Self::GrantNarrowed => "the subscriber's session no longer covers what it reads",
            Self::AgeReached => "the connection reached its maximum age",
            Self::Draining => "the hub is shutting down",
            Self::Overtaken => {
                "an event that the subscriber had yet to get was dropped by retention or erased"
            }
            Self::NoticesLost => "notices came faster than the subscriber took them",
            Self::StoreFailed => "the store could not be read",
        }
    }

    /// Whether the client should connect again.
    pub const fn should_return(self) -> bool {
        !matches!(self, Self::TopicEnded)
    }

    /// Whether the connection is already gone, so that nothing can be flushed or sent.
    pub const fn is_peer(self) -> bool {
        matches!(self, Self::PeerClosed | Self::PeerReset | Self::PeerVanished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        let mut names: Vec<_> = CloseReason::ALL.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CloseReason::ALL.len());
    }
}
