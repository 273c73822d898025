use std::fmt;

/// A version of the protocol that clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Draft 7, and hubs up to 0.24.
    Zero,
    /// Draft 8, and hub 1.0.
    One,
}

impl Dialect {
    /// Both dialects.
    pub const ALL: [Self; 2] = [Self::Zero, Self::One];

    /// The parameter for one topic.
    pub(crate) const fn topic_parameter(self) -> &'static str {
        match self {
            Self::Zero => "topic",
            Self::One => "match",
        }
    }

    /// The parameter for the id to resume after.
    pub(crate) const fn resume_parameter(self) -> &'static str {
        match self {
            Self::Zero => "lastEventID",
            Self::One => "last_event_id",
        }
    }

    /// The header of a stream that says where it begins.
    pub(crate) const fn resume_header(self) -> &'static str {
        match self {
            Self::Zero => "last-event-id",
            Self::One => "mercure-last-event-id",
        }
    }

    /// The cookie that carries a token.
    pub(crate) const fn cookie(self) -> &'static str {
        match self {
            Self::Zero => "mercureAuthorization",
            Self::One => "__Secure-mercure_access_token",
        }
    }

    /// Statuses of a publish whose token does not cover every topic. The text of draft 7 says 403,
    /// its hubs answer 401.
    pub(crate) const fn not_granted(self) -> &'static [u16] {
        match self {
            Self::Zero => &[401, 403],
            Self::One => &[403],
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zero => "0.x",
            Self::One => "1.0",
        })
    }
}
