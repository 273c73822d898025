use std::fmt;

use tidings_hub::Position;

/// The parts of a run's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RunName {
    pub(crate) first: Position,
    pub(crate) lane: u32,
    /// The job that made it.
    pub(crate) generation: u64,
}

impl RunName {
    /// The name of its file.
    pub(crate) fn file(&self) -> String {
        format!("{self}.run")
    }

    /// The name of its index.
    pub(crate) fn index(&self) -> String {
        format!("{self}.runx")
    }

    /// Decodes a name without its ending.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let name = Self {
            first: Position::new(parts.next()?.parse().ok()?),
            lane: parts.next()?.parse().ok()?,
            generation: parts.next()?.parse().ok()?,
        };
        (parts.next().is_none() && name.to_string() == text).then_some(name)
    }

    /// The run whose file, or index, has the name `file`.
    pub(crate) fn of_file(file: &str) -> Option<Self> {
        Self::parse(file.strip_suffix(".run").or_else(|| file.strip_suffix(".runx"))?)
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{}-{}", self.first.get(), self.lane, self.generation)
    }
}
