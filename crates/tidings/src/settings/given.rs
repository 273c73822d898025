//! `Given`: what one source says of one setting, and how a row of the table reads it.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::invalid_value::InvalidValue;
use super::origin::Origin;
use super::value;

/// The texts of one setting, and where they stand. A setting that is no list has one.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) texts: Vec<String>,
    pub(crate) origin: Origin,
}

impl Given {
    /// The text of a setting that is no list.
    pub(super) fn text(&self) -> &str {
        self.texts.first().map_or("", String::as_str)
    }

    /// The text as `parse` reads it.
    pub(super) fn read<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, InvalidValue> {
        Ok(parse(self.text())?)
    }

    /// Each text of a list as `parse` reads it. Every one that is wrong is named.
    pub(super) fn each<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, InvalidValue> {
        let mut values = Vec::with_capacity(self.texts.len());
        let mut reasons = Vec::new();
        for text in &self.texts {
            match parse(text) {
                Ok(value) => values.push(value),
                Err(reason) => reasons.push(reason),
            }
        }
        if reasons.is_empty() { Ok(values) } else { Err(InvalidValue { reasons }) }
    }

    /// A path. A relative one begins in the folder of the file that it stands in.
    pub(super) fn path(&self) -> Result<PathBuf, InvalidValue> {
        match self.text() {
            "" => Err("a path cannot be empty".to_owned().into()),
            text => Ok(self.origin.folder().join(text)),
        }
    }

    pub(super) fn switch(&self) -> Result<bool, InvalidValue> {
        self.read(value::boolean)
    }

    /// More than nothing.
    pub(super) fn duration(&self) -> Result<Duration, InvalidValue> {
        self.read(value::parse_duration)
    }

    pub(super) fn duration_or_zero(&self) -> Result<Duration, InvalidValue> {
        self.read(value::parse_duration_or_zero)
    }

    /// Bytes on disk, at least one.
    pub(super) fn bytes(&self) -> Result<u64, InvalidValue> {
        self.read(value::parse_bytes)
    }

    /// Bytes in memory, at least one.
    pub(super) fn memory_bytes(&self) -> Result<usize, InvalidValue> {
        Ok(usize::try_from(self.bytes()?).unwrap_or(usize::MAX))
    }

    /// At least 1.
    pub(super) fn count(&self) -> Result<usize, InvalidValue> {
        self.read(value::count)
    }

    /// `None` is `auto`.
    pub(super) fn auto_or_count(&self) -> Result<Option<usize>, InvalidValue> {
        self.read(value::auto_or_count)
    }

    /// `None` is `unlimited`.
    pub(super) fn unlimited_or_count(&self) -> Result<Option<NonZeroU32>, InvalidValue> {
        self.read(value::unlimited_or_count)
    }
}
