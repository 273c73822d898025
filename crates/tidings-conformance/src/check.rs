use std::fmt;
use std::pin::Pin;

use crate::dialect::Dialect;
use crate::ended::Ended;
use crate::world::World;

/// One property that clients may rely on.
#[derive(Clone, Copy)]
pub struct Check {
    /// Stable name, by which reports are compared.
    pub name: &'static str,
    /// The property, as a sentence.
    pub sentence: &'static str,
    /// Section of the specification.
    pub section: &'static str,
    pub(crate) dialects: &'static [Dialect],
    pub(crate) runs: for<'a> fn(&'a World, Dialect) -> Running<'a>,
}

/// A check under way.
pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Ended>> + Send + 'a>>;

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The property holds.
    Pass,
    /// It does not hold: what was seen instead.
    Fail(String),
    /// It could not be checked: why.
    Skipped(String),
}

impl Check {
    pub(crate) fn is_of(&self, dialect: Dialect) -> bool {
        self.dialects.contains(&dialect)
    }

    pub(crate) async fn run(&self, world: &World, dialect: Dialect) -> Outcome {
        match (self.runs)(world, dialect).await {
            Ok(()) => Outcome::Pass,
            Err(Ended::Failed(why)) => Outcome::Fail(why),
            Err(Ended::Skipped(why)) => Outcome::Skipped(why),
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Fails the check unless `condition` holds.
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err($crate::ended::Ended::Failed(format!($($words)+)));
        }
    };
}

/// A table of checks: function, dialects, section, sentence.
macro_rules! checks {
    ($($name:ident $dialects:tt $section:literal $sentence:literal;)*) => {
        &[$($crate::check::Check {
            name: stringify!($name),
            sentence: $sentence,
            section: $section,
            dialects: &$dialects,
            runs: |world, dialect| Box::pin($name(world, dialect)),
        }),*]
    };
}

pub(crate) use {checks, ensure};
