//! The format file: the log's present and former names.
//!
//! ```text
//! tidings log
//! format 1
//! epoch k7q2ma
//! formerly q0zz1c 4711
//! kept from 1201
//! copy
//! ```
//!
//! Each time a log is restored from a backup, and each time acknowledged events at its end may be
//! lost, it gets a new name, and a line with the old one and the newest position that both share;
//! the latest such line comes first. Versions that do not know these lines ignore them.
//!
//! The line `kept from` appears once a segment that retention dropped could not be removed:
//! segments from before that position are no longer part of the log, and are removed in any order.
//!
//! Format 2 says that there are [runs](crate::run), or records with keys, which older versions do
//! not know.
//!
//! The line `copy` says that the log is held elsewhere and this is a node's copy of it.

use std::io;
use std::path::PathBuf;

use tidings_hub::{Epoch, FormerName, LogIdentity, Position};

use crate::disk::Disk;
use crate::error::OpenError;
use crate::limits::FORMER_NAMES_MAX;

/// The file that marks the folder as a log and names it.
pub(crate) const FORMAT_FILE: &str = "format";

/// The format of a folder in which there is nothing but segments, as every version wrote them.
pub(crate) const FORMAT_1: u32 = 1;

/// The format of a folder with runs. Older versions do not open it.
pub(crate) const FORMAT_2: u32 = 2;

/// A log's present and former names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogName {
    /// The format of the folder.
    pub(crate) format: u32,
    pub(crate) epoch: Epoch,
    /// Former names, the latest first.
    pub(crate) former: Vec<FormerName>,
    /// Position before which segments are no longer part of the log, although they may be there.
    pub(crate) kept_from: Position,
    /// Whether the log is held elsewhere.
    pub(crate) is_copy: bool,
}

/// Why a text is not a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is from another version, or something else.
    Format(String),
    /// It is damaged.
    Damaged(&'static str),
}

impl Unreadable {
    /// The error for the file `path`.
    pub(crate) fn into_error(self, path: PathBuf) -> OpenError {
        match self {
            Self::Format(found) => OpenError::UnknownFormat { path, found },
            Self::Damaged(what) => OpenError::Damaged { path, what: what.to_owned() },
        }
    }
}

impl LogName {
    /// The name of a log that was never restored.
    pub(crate) fn new(disk: &dyn Disk) -> Self {
        Self::called(Epoch::from_random(disk.random()))
    }

    /// The name of a log that never had another one.
    pub(crate) fn called(epoch: Epoch) -> Self {
        Self {
            format: FORMAT_1,
            epoch,
            former: Vec::new(),
            kept_from: Position::ZERO,
            is_copy: false,
        }
    }

    /// The name of a copy of the log with this identity.
    pub(crate) fn of_copy(identity: &LogIdentity, kept_from: Position) -> Self {
        let former = identity.former.iter().take(FORMER_NAMES_MAX).copied().collect();
        Self { format: FORMAT_1, epoch: identity.epoch, former, kept_from, is_copy: true }
    }

    /// The name `epoch` of a log that begins as a copy of this one up to `head`.
    pub(crate) fn renewed(&self, head: Position, epoch: Epoch) -> Self {
        let before = FormerName { epoch: self.epoch, upto: head };
        let older =
            self.former.iter().map(|name| FormerName { upto: name.upto.min(head), ..*name });
        let former = std::iter::once(before).chain(older).take(FORMER_NAMES_MAX).collect();
        Self { format: self.format, former, kept_from: self.kept_from, ..Self::called(epoch) }
    }

    /// The present and former epochs.
    pub(crate) fn epochs(&self) -> impl Iterator<Item = Epoch> {
        std::iter::once(self.epoch).chain(self.former.iter().map(|name| name.epoch))
    }

    /// Whether the former name `epoch` may be forgotten at the log's next change of name.
    pub(crate) fn will_forget(&self, epoch: Epoch) -> bool {
        self.epochs().take(FORMER_NAMES_MAX).all(|known| known != epoch)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Unreadable> {
        let mut lines = text.lines();
        if lines.next() != Some("tidings log") {
            return Err(Unreadable::Format("it does not say `tidings log`".to_owned()));
        }
        let format = lines.next().unwrap_or_default();
        let format = match format {
            "format 1" => FORMAT_1,
            "format 2" => FORMAT_2,
            other => return Err(Unreadable::Format(format!("`{other}`"))),
        };
        let epoch = lines.next().and_then(|line| line.strip_prefix("epoch "));
        let epoch = epoch.and_then(|epoch| Epoch::parse(epoch).ok());
        let epoch = epoch.ok_or(Unreadable::Damaged("it names no epoch"))?;
        let lines: Vec<_> = lines.collect();
        let kept_from = lines.iter().find_map(|line| line.strip_prefix("kept from "));
        let kept_from = kept_from.map_or(Ok(0), str::parse);
        let kept_from =
            kept_from.map_err(|_| Unreadable::Damaged("a position in it cannot be read"))?;
        let former = lines.iter().filter_map(|line| line.strip_prefix("formerly ")).map(|words| {
            let (epoch, upto) = words.split_once(' ')?;
            let upto = Position::new(upto.parse().ok()?);
            Some(FormerName { epoch: Epoch::parse(epoch).ok()?, upto })
        });
        let former = former.collect::<Option<Vec<_>>>();
        let former = former.ok_or(Unreadable::Damaged("a former name in it cannot be read"))?;
        let is_copy = lines.contains(&"copy");
        Ok(Self { format, epoch, former, kept_from: Position::new(kept_from), is_copy })
    }

    /// Writes the format file, replacing the old one.
    pub(crate) fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        let unfinished = format!("{FORMAT_FILE}.new");
        let file = match disk.create(&unfinished) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                disk.remove(&unfinished)?;
                disk.create(&unfinished)?
            }
            created => created?,
        };
        file.write_at(self.to_string().as_bytes(), 0)?;
        file.sync()?;
        disk.rename(&unfinished, FORMAT_FILE)?;
        disk.sync()
    }
}

impl From<LogName> for LogIdentity {
    fn from(LogName { epoch, former, .. }: LogName) -> Self {
        Self { epoch, former }
    }
}

impl std::fmt::Display for LogName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tidings log\nformat {}\nepoch {}\n", self.format, self.epoch)?;
        for name in &self.former {
            writeln!(f, "formerly {} {}", name.epoch, name.upto)?;
        }
        if self.kept_from > Position::ZERO {
            writeln!(f, "kept from {}", self.kept_from)?;
        }
        if self.is_copy {
            writeln!(f, "copy")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::simulated::SimulatedDisk;

    #[test]
    fn a_name_reads_back_with_all_former_names() {
        let disk = SimulatedDisk::new(1);
        let mut name = LogName::new(&disk);
        let mut epochs = vec![name.epoch];
        name.kept_from = Position::new(9);
        for head in [70, 100, 30] {
            assert_eq!(LogName::parse(&name.to_string()), Ok(name.clone()));
            name = name.renewed(Position::new(head), LogName::new(&disk).epoch);
            epochs.insert(0, name.epoch);
        }
        assert_eq!(LogName::parse(&name.to_string()), Ok(name.clone()));
        let copy = LogName { is_copy: true, ..name.clone() };
        assert_eq!(LogName::parse(&copy.to_string()), Ok(copy));
        let former: Vec<_> = name.former.iter().map(|name| (name.epoch, name.upto.get())).collect();
        // Beyond the end of the shorter backup, nothing is the same.
        assert_eq!(former, [(epochs[1], 30), (epochs[2], 30), (epochs[3], 30)]);
    }

    #[test]
    fn the_oldest_names_are_forgotten() {
        let disk = SimulatedDisk::new(1);
        let mut name = LogName::new(&disk);
        for head in 0..40 {
            name = name.renewed(Position::new(head), LogName::new(&disk).epoch);
        }
        assert_eq!(name.former.len(), FORMER_NAMES_MAX);
        assert_eq!(name.former[0].upto, Position::new(39));
    }

    #[test]
    fn other_texts_are_rejected() {
        let format = |words: &str| Err(Unreadable::Format(words.to_owned()));
        assert_eq!(LogName::parse("tidings log\nformat 3\nepoch abcdef\n"), format("`format 3`"));
        assert_eq!(LogName::parse(""), format("it does not say `tidings log`"));
        for words in [
            "",
            "epoch",
            "epoch 123",
            "epoch abcdef\nformerly abcdef x",
            "epoch abcdef\nkept from x",
        ] {
            let parsed = LogName::parse(&format!("tidings log\nformat 1\n{words}\n"));
            assert!(matches!(parsed, Err(Unreadable::Damaged(_))), "{words}");
        }
    }
}
