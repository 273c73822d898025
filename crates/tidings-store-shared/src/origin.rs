//! The file `origin`: which shared log a hub follows, and what that log lost.
//!
//! ```text
//! tidings shared log
//! format 1
//! epoch k7q2ma
//! formerly q0zz1c 4711
//! lost 4711 order-99
//! lost-more 4711
//! ```
//!
//! It outlives the cache: a hub that has this file followed a log before, and never creates one.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use tidings_hub::{Epoch, EventId, FormerName, LogIdentity, Position};

use crate::block::LostIds;
use crate::limits::{FORMER_NAMES_MAX, LOST_IDS_MAX};
use crate::whole_file;

/// The name of the file.
pub(crate) const FILE: &str = "origin";

/// The log that a hub follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) identity: LogIdentity,
    /// What was lost at each fork, the oldest first.
    pub(crate) lost: Vec<LostIds>,
}

impl Origin {
    /// A log that lost nothing.
    pub(crate) fn new(epoch: Epoch) -> Self {
        Self { identity: LogIdentity::new(epoch), lost: Vec::new() }
    }

    /// Reads the file in `folder`; `None` if there is none.
    pub(crate) fn load(folder: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read_to_string(folder.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "it cannot be read");
        Self::parse(&text).map(Some).ok_or_else(unreadable)
    }

    /// Writes the file, replacing the old one.
    pub(crate) fn save(&self, folder: &Path) -> io::Result<()> {
        whole_file::replace(&folder.join(FILE), self.to_string().as_bytes())
    }

    /// Whether the log has or had this name.
    pub(crate) fn knows(&self, epoch: Epoch) -> bool {
        let former = self.identity.former.iter().map(|name| name.epoch);
        std::iter::once(self.identity.epoch).chain(former).any(|known| known == epoch)
    }

    /// Gives the log a new name. Names that it had before stay known.
    pub(crate) fn rename(&mut self, epoch: Epoch, former: &[FormerName]) {
        let before = std::mem::replace(&mut self.identity, LogIdentity::new(epoch));
        let upto = former.first().map_or(Position::ZERO, |name| name.upto);
        let own = FormerName { epoch: before.epoch, upto };
        let older =
            before.former.iter().map(|name| FormerName { upto: name.upto.min(upto), ..*name });
        let known = &mut self.identity.former;
        for name in former.iter().copied().chain([own]).chain(older) {
            if name.epoch != epoch && known.iter().all(|other| other.epoch != name.epoch) {
                known.push(name);
            }
        }
        known.truncate(FORMER_NAMES_MAX);
    }

    /// Adds ids that were lost. Returns whether any of them is new.
    pub(crate) fn add_lost(&mut self, lost: &LostIds) -> bool {
        if lost.ids.is_empty() && !lost.more {
            return false;
        }
        let place = match self.lost.iter().position(|known| known.upto == lost.upto) {
            Some(place) => place,
            None => {
                self.lost.push(LostIds { upto: lost.upto, ..LostIds::default() });
                self.lost.sort_by_key(|known| known.upto);
                self.lost.partition_point(|known| known.upto < lost.upto)
            }
        };
        let room = LOST_IDS_MAX.saturating_sub(self.lost.iter().map(|lost| lost.ids.len()).sum());
        let known = &mut self.lost[place];
        let before = (known.ids.len(), known.more);
        let new: Vec<_> = lost.ids.iter().filter(|id| !known.ids.contains(id)).cloned().collect();
        known.more |= lost.more || new.len() > room;
        known.ids.extend(new.into_iter().take(room));
        (known.ids.len(), known.more) != before
    }

    /// What was lost at forks of which retention has dropped everything before, and the first event
    /// after: the log now begins at `first`.
    pub(crate) fn lost_before(&self, first: Position) -> Vec<LostIds> {
        self.lost.iter().filter(|lost| lost.upto.next() < first).cloned().collect()
    }

    /// Forgets of [that](Self::lost_before) the ids that are `gone`, and that there were more.
    /// Returns whether there was any.
    pub(crate) fn forget_lost(&mut self, first: Position, gone: &HashSet<EventId>) -> bool {
        let mut forgot = false;
        for lost in self.lost.iter_mut().filter(|lost| lost.upto.next() < first) {
            let before = lost.ids.len();
            lost.ids.retain(|id| !gone.contains(id));
            forgot |= lost.ids.len() < before || std::mem::take(&mut lost.more);
        }
        self.lost.retain(|lost| lost.more || !lost.ids.is_empty());
        forgot
    }

    /// The position at the fork at which an event with this id was lost, if one may have been.
    pub(crate) fn fork_before(&self, id: &EventId) -> Option<Position> {
        let may_have_it = |lost: &&LostIds| lost.more || lost.ids.contains(id);
        self.lost.iter().find(may_have_it).map(|lost| lost.upto)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if (lines.next()?, lines.next()?) != ("tidings shared log", "format 1") {
            return None;
        }
        let epoch = Epoch::parse(lines.next()?.strip_prefix("epoch ")?).ok()?;
        let mut origin = Self::new(epoch);
        for line in lines {
            let (word, rest) = line.split_once(' ')?;
            match word {
                "formerly" => {
                    let (epoch, upto) = rest.split_once(' ')?;
                    let (epoch, upto) = (Epoch::parse(epoch).ok()?, upto.parse().ok()?);
                    let name = FormerName { epoch, upto: Position::new(upto) };
                    origin.identity.former.push(name);
                }
                "lost" => {
                    let (upto, id) = rest.split_once(' ')?;
                    let (upto, id) = (Position::new(upto.parse().ok()?), EventId::new(id).ok()?);
                    origin.add_lost(&LostIds { upto, ids: vec![id], more: false });
                }
                "lost-more" => {
                    let upto = Position::new(rest.parse().ok()?);
                    origin.add_lost(&LostIds { upto, ids: Vec::new(), more: true });
                }
                _ => return None,
            }
        }
        Some(origin)
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LogIdentity { epoch, former } = &self.identity;
        write!(f, "tidings shared log\nformat 1\nepoch {epoch}\n")?;
        for name in former {
            writeln!(f, "formerly {} {}", name.epoch, name.upto)?;
        }
        for LostIds { upto, ids, more } in &self.lost {
            for id in ids {
                writeln!(f, "lost {upto} {}", id.as_str())?;
            }
            if *more {
                writeln!(f, "lost-more {upto}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::test_folder::TestFolder;

    fn id(text: &str) -> EventId {
        EventId::new(text).unwrap()
    }

    fn lost(upto: u64, ids: &[&str]) -> LostIds {
        let ids = ids.iter().map(|text| id(text)).collect();
        LostIds { upto: Position::new(upto), ids, more: false }
    }

    fn epoch(random: u64) -> Epoch {
        Epoch::from_random(random)
    }

    #[test]
    fn an_origin_reads_back_from_its_file() {
        let folder = TestFolder::new();
        assert_eq!(Origin::load(folder.path()).unwrap(), None);
        let mut origin = Origin::new(epoch(1));
        origin.rename(epoch(2), &[FormerName { epoch: epoch(1), upto: Position::new(40) }]);
        assert!(origin.add_lost(&lost(40, &["a b", "ü"])));
        assert!(origin.add_lost(&LostIds { more: true, ..lost(90, &[]) }));
        origin.save(folder.path()).unwrap();
        assert_eq!(Origin::load(folder.path()).unwrap(), Some(origin));
        fs::write(folder.path().join(FILE), "tidings shared log\nformat 2\n").unwrap();
        assert!(Origin::load(folder.path()).is_err());
    }

    #[test]
    fn a_name_that_was_lost_with_the_end_of_the_log_stays_known() {
        let name = |random, upto| FormerName { epoch: epoch(random), upto: Position::new(upto) };
        let mut origin = Origin::new(epoch(1));
        origin.rename(epoch(2), &[name(1, 90)]);
        // The rename to 2 was lost, too: the next one continues 1.
        origin.rename(epoch(3), &[name(1, 50)]);
        assert_eq!(origin.identity.former, [name(1, 50), name(2, 50)]);
        assert!(origin.knows(epoch(2)) && !origin.knows(epoch(4)));
    }

    #[test]
    fn an_id_is_lost_until_what_is_before_its_fork_and_just_after_and_its_own_event_are_gone() {
        let mut origin = Origin::new(epoch(1));
        origin.add_lost(&lost(40, &["a"]));
        origin.add_lost(&lost(90, &["b", "a"]));
        assert_eq!(origin.fork_before(&id("a")), Some(Position::new(40)), "the earlier fork");
        assert_eq!(origin.fork_before(&id("b")), Some(Position::new(90)));
        assert_eq!(origin.fork_before(&id("c")), None);
        assert!(!origin.add_lost(&lost(90, &["b"])), "it is known");
        let forget = |origin: &mut Origin, first, gone: &[&str]| {
            let gone = gone.iter().map(|text| id(text)).collect();
            origin.forget_lost(Position::new(first), &gone)
        };
        assert!(!forget(&mut origin, 41, &["a"]), "the log may begin there");
        assert_eq!(origin.lost_before(Position::new(41)), []);
        assert_eq!(origin.lost_before(Position::new(42)), [lost(40, &["a"])]);
        assert!(!forget(&mut origin, 42, &[]), "it is in the log again");
        assert_eq!(origin.fork_before(&id("a")), Some(Position::new(40)));
        assert!(forget(&mut origin, 42, &["a"]));
        assert_eq!(origin.fork_before(&id("a")), Some(Position::new(90)));
        // Which ones there were besides is not known: that is remembered no longer than the fork.
        origin.add_lost(&LostIds { more: true, ..lost(90, &[]) });
        assert!(origin.fork_before(&id("c")).is_some());
        assert!(forget(&mut origin, 92, &[]));
        assert_eq!(origin.fork_before(&id("c")), None);
        assert_eq!(origin.fork_before(&id("b")), Some(Position::new(90)));
    }

    #[test]
    fn more_ids_than_can_be_remembered_make_every_id_a_lost_one() {
        let mut origin = Origin::new(epoch(1));
        let ids: Vec<_> = (0..=LOST_IDS_MAX).map(|n| id(&n.to_string())).collect();
        for ids in ids.chunks(4096) {
            let ids = ids.to_vec();
            origin.add_lost(&LostIds { upto: Position::new(40), ids, more: false });
        }
        assert_eq!(origin.lost[0].ids.len(), LOST_IDS_MAX);
        assert_eq!(origin.fork_before(&id("other")), Some(Position::new(40)));
    }
}
