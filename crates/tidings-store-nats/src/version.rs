use std::fmt;

/// The version of a server: three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32, pub(crate) u32);

impl Version {
    /// Reads `2.10.23`, `2.12.0-preview.1` and the like; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let numbers = text.split(['-', '+']).next()?;
        let mut numbers = numbers.trim_start_matches('v').split('.').map(str::parse);
        let mut next = || numbers.next()?.ok();
        let version = Self(next()?, next()?, next()?);
        numbers.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        assert_eq!(Version::parse("2.9.10"), Some(Version(2, 9, 10)));
        assert_eq!(Version::parse("2.15.0-preview.2"), Some(Version(2, 15, 0)));
        assert!(Version::parse("2.9.10") < Version::parse("2.10.0"));
        for text in ["", "2.9", "2.9.x", "1.2.3.4"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
