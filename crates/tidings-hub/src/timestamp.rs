/// A moment in wall-clock time: milliseconds since 1970-01-01T00:00:00Z.
///
/// The hub reads no clock; its driver supplies the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A moment `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment as RFC 3339 writes it, always in UTC and with milliseconds, so that moments
    /// compare as texts.
    pub fn rfc3339(self) -> String {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        let moment = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        format!("{moment:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_milliseconds_and_a_zone() {
        assert_eq!(Timestamp::from_millis(1_000).rfc3339(), "1970-01-01T00:00:01.000Z");
        assert_eq!(Timestamp::from_millis(1).rfc3339(), "1970-01-01T00:00:00.001Z");
        assert!(Timestamp::from_millis(u64::MAX).rfc3339().ends_with('Z'));
    }
}
