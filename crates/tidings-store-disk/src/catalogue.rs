//! The catalogue: which runs are part of the log, and up to where they are.
//!
//! ```text
//! tidings catalogue
//! format 1
//! gen 4711
//! upto 190233 1780000000000
//! rule boards
//! topics boards/**
//! run 00000000000000000012-1-4711 last=190001 salt=9f… bytes=10485760 base=0 aging=0
//! lost 4709.lost
//! crc 1a2b3c4d
//! ```
//!
//! Records up to `upto` are in the runs that it names, later ones in the segments: so each is in
//! exactly one place that counts. It is replaced as a whole by a rename, and that is what commits
//! the work of a [job](crate::keep): new runs, dropped runs and losses together. `upto` is followed
//! by the time of the newest record that was ever moved to a run.

use std::fmt::Write as _;
use std::io;

use tidings_hub::{Matcher, Position, Timestamp};

use crate::disk::Disk;
use crate::mistake::Mistake;
use crate::run_name::RunName;

/// The name of its file.
pub(crate) const CATALOGUE_FILE: &str = "catalogue";

/// The ending of the names of files with losses.
pub(crate) const LOST_ENDING: &str = ".lost";

/// Its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Catalogue {
    /// Counts the jobs.
    pub(crate) generation: u64,
    pub(crate) upto: Position,
    pub(crate) time: Timestamp,
    /// Names and topics of the rules by which the runs are sorted.
    pub(crate) rules: Vec<(String, Vec<Matcher>)>,
    /// In order, lane after lane.
    pub(crate) runs: Vec<RunEntry>,
    /// The file of the losses.
    pub(crate) lost: Option<String>,
}

/// A run, as the catalogue names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunEntry {
    pub(crate) name: RunName,
    pub(crate) last: Position,
    pub(crate) salt: u64,
    pub(crate) bytes: u64,
    /// Whether it is part of what the last merge of the whole lane made.
    pub(crate) is_base: bool,
    /// Time of the oldest record that stays only until it is too old, or that has not been judged
    /// by a rule; zero if there is none.
    pub(crate) aging: Timestamp,
}

impl Catalogue {
    pub(crate) fn encode(&self) -> String {
        let mut text = format!(
            "tidings catalogue\nformat 1\ngen {}\nupto {} {}\n",
            self.generation,
            self.upto,
            self.time.as_millis()
        );
        for (name, topics) in &self.rules {
            let _ = writeln!(text, "rule {name}");
            for topic in topics {
                let _ = writeln!(text, "topics {topic}");
            }
        }
        for run in &self.runs {
            let (base, aging) = (u8::from(run.is_base), run.aging.as_millis());
            let _ = writeln!(
                text,
                "run {} last={} salt={:x} bytes={} base={base} aging={aging}",
                run.name, run.last, run.salt, run.bytes
            );
        }
        if let Some(lost) = &self.lost {
            let _ = writeln!(text, "lost {lost}");
        }
        text
    }

    /// `None` if it is not the text of a catalogue.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if (lines.next()?, lines.next()?) != ("tidings catalogue", "format 1") {
            return None;
        }
        let mut catalogue = Self {
            generation: lines.next()?.strip_prefix("gen ")?.parse().ok()?,
            ..Self::default()
        };
        let (upto, time) = lines.next()?.strip_prefix("upto ")?.split_once(' ')?;
        catalogue.upto = Position::new(upto.parse().ok()?);
        catalogue.time = Timestamp::from_millis(time.parse().ok()?);
        for line in lines {
            match line.split_once(' ')? {
                ("rule", name) => catalogue.rules.push((name.to_owned(), Vec::new())),
                ("topics", text) => {
                    let topics = &mut catalogue.rules.last_mut()?.1;
                    topics.push(Matcher::parse(text).ok()?);
                }
                ("run", words) => catalogue.runs.push(RunEntry::decode(words)?),
                ("lost", name) => catalogue.lost = Some(name.to_owned()),
                _ => return None,
            }
        }
        Some(catalogue)
    }

    /// Writes it in place of the one before. When this returns, it is either committed or not, and
    /// the outcome says which.
    pub(crate) fn write(&self, disk: &dyn Disk) -> Committed {
        let unfinished = format!("{CATALOGUE_FILE}.new");
        let written = write_sealed(disk, &unfinished, &self.encode())
            .and_then(|()| disk.rename(&unfinished, CATALOGUE_FILE));
        match written {
            Err(error) => Committed::No(error),
            Ok(()) => match disk.sync() {
                Ok(()) => Committed::Firmly,
                Err(error) => Committed::UnlessPowerFails(error),
            },
        }
    }
}

/// Whether a catalogue replaced the one before.
pub(crate) enum Committed {
    /// It did, for good.
    Firmly,
    /// It did for this process and the next, but after a power cut the old one may be back. So
    /// nothing that the old one names may be removed.
    UnlessPowerFails(io::Error),
    /// It did not.
    No(io::Error),
}

impl RunEntry {
    fn decode(words: &str) -> Option<Self> {
        let mut words = words.split(' ');
        let name = RunName::parse(words.next()?)?;
        let mut value = |key: &str| words.next()?.strip_prefix(key)?.strip_prefix('=');
        Some(Self {
            name,
            last: Position::new(value("last")?.parse().ok()?),
            salt: u64::from_str_radix(value("salt")?, 16).ok()?,
            bytes: value("bytes")?.parse().ok()?,
            is_base: value("base")? == "1",
            aging: Self::decode_aging(words.next()?)?,
        })
    }

    /// Earlier versions wrote `again`, the moment at which the rule of that day wanted to look at
    /// the run again: what is in it has not been judged by the rules of today.
    fn decode_aging(word: &str) -> Option<Timestamp> {
        if let Some(again) = word.strip_prefix("again=") {
            let is_set = again.parse::<u64>().ok()? > 0;
            return Some(Timestamp::from_millis(u64::from(is_set)));
        }
        Some(Timestamp::from_millis(word.strip_prefix("aging=")?.parse().ok()?))
    }
}

/// Writes `text` and its checksum to the new file `name`, and syncs it.
pub(crate) fn write_sealed(disk: &dyn Disk, name: &str, text: &str) -> io::Result<()> {
    disk.remove_if_there(name)?;
    let sealed = format!("{text}crc {:08x}\n", crc32fast::hash(text.as_bytes()));
    let file = disk.create(name)?;
    file.write_at(sealed.as_bytes(), 0)?;
    if Mistake::CatalogueUnsynced.is_planted() {
        return Ok(());
    }
    file.sync()
}

/// The text in the file `name`; `Ok(None)` if its checksum is wrong.
pub(crate) fn read_sealed(disk: &dyn Disk, name: &str) -> io::Result<Option<String>> {
    let file = disk.open(name)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(String::from_utf8(bytes).ok().and_then(unseal))
}

pub(crate) fn unseal(mut text: String) -> Option<String> {
    let start = text.strip_suffix('\n')?.rfind('\n')? + 1;
    let crc = text[start..].trim_end().strip_prefix("crc ")?;
    let is_right = u32::from_str_radix(crc, 16).ok()? == crc32fast::hash(&text.as_bytes()[..start]);
    text.truncate(start);
    is_right.then_some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Such a run is looked at as soon as there is time.
    #[test]
    fn a_catalogue_of_an_earlier_version_is_read() {
        let run = "00000000000000000012-1-7 last=99 salt=ff bytes=5 base=1";
        for (word, expected) in [("again=0", 0), ("again=1780000000000", 1), ("aging=7", 7)] {
            let entry = RunEntry::decode(&format!("{run} {word}")).unwrap();
            assert_eq!(entry.aging, Timestamp::from_millis(expected), "{word}");
        }
        assert_eq!(RunEntry::decode(&format!("{run} again=x")), None);
        assert_eq!(RunEntry::decode(&format!("{run} other=1")), None);
    }

    #[test]
    fn a_catalogue_reads_back_and_no_changed_byte_goes_unseen() {
        let name = RunName { first: Position::new(12), lane: 1, generation: 7 };
        let catalogue = Catalogue {
            generation: 9,
            upto: Position::new(190),
            time: Timestamp::from_millis(1_700_000_000_000),
            rules: vec![("boards".into(), vec![Matcher::parse("a b/**").unwrap()])],
            runs: vec![RunEntry {
                name,
                last: Position::new(99),
                salt: u64::MAX,
                bytes: 5,
                is_base: true,
                aging: Timestamp::from_millis(3),
            }],
            lost: Some("7.lost".into()),
        };
        let text = catalogue.encode();
        assert_eq!(Catalogue::decode(&text), Some(catalogue));
        let sealed = format!("{text}crc {:08x}\n", crc32fast::hash(text.as_bytes()));
        assert_eq!(unseal(sealed.clone()), Some(text.clone()));
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).ok().and_then(unseal);
            assert_ne!(changed, Some(text.clone()), "byte {at}");
        }
        for length in 0..sealed.len() {
            assert_eq!(unseal(sealed[..length].to_owned()), None, "{length} bytes");
        }
    }
}
