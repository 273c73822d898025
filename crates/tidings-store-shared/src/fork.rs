//! What happens when the log lost its end.
//!
//! Up to some block, the *ancestor*, the journal holds what this hub followed. After it the hub has
//! a branch that is lost, and the journal has nothing, or another branch. One hub then gives the
//! log a new name, with a block that says up to which position the old name is right; all others
//! adopt it. The name only makes it cheap: subscribers with an id of the lost branch continue after
//! the ancestor instead of at the beginning. That they are recognised follows from the checks in
//! the ids.
//!
//! Ids that publishers gave have no check. A publisher may repeat an event that was lost, and its
//! place is then behind events that a subscriber with that id never got. So the block lists such
//! ids of the lost branch, and a hub that had followed further than the one that wrote it adds its
//! own.
//!
//! If the whole stream was lost and an operator made another log in its place, there is no ancestor
//! and no name in common. Then every hub that had followed the old one lists its ids in the new
//! one, as lost before the first position.

use tidings_hub::{
    Draft, Epoch, EventId, FormerName, Kind, Log as _, Position, ReadError, ReadQuery,
};
use tidings_store_disk::{DiskStore, RandomSource};

use crate::block::{Block, Content, LostIds, Rename};
use crate::chain::Chain;
use crate::cursor::Cursor;
use crate::error::OpenError;
use crate::followed::Followed;
use crate::follower::{Follower, Sight, look};
use crate::hash::BlockHash;
use crate::journal::{AppendFault, Journal, JournalError, Nonce, Seq};
use crate::limits::{
    BLOCK_IDS_BYTES_MAX, BLOCK_IDS_MAX, FORMER_NAMES_MAX, READ_BYTES_MAX, REQUEST_PATIENCE,
    SETTLE_ATTEMPTS_MAX,
};

/// Finds the ancestor, makes sure that the log has a new name, and tells `follower` what it is.
/// Returns the ancestor's sequence; `None` if it is not known, so that the cache is useless.
pub(crate) fn settle(
    journal: &mut dyn Journal,
    follower: &mut Follower,
) -> Result<Option<Seq>, OpenError> {
    // Each attempt looks again, and adopts only what is there: the journal may answer from the
    // past, and other hubs settle the same fork.
    for _ in 0..SETTLE_ATTEMPTS_MAX {
        let ancestor = match ancestor(journal, &follower.cursor)? {
            Common::Block(ancestor) => ancestor,
            Common::Nothing => return Ok(None),
            Common::NotShown(oldest) => {
                if ends_before(journal, oldest, follower)? {
                    return Ok(None);
                }
                continue;
            }
        };
        let branch = Branch::read(journal, &follower.cursor, ancestor)?;
        let lost = lost_ids(&follower.cache, branch.ancestor.next().previous())?;
        let content = match branch.is_renamed {
            false => Content::Rename(Rename { former: branch.former(follower), lost }),
            true if !branch.lists(&lost) => Content::Lost(lost),
            true => {
                branch.adopt(follower);
                let upto = branch.ancestor.next().previous();
                tracing::error!(
                    %upto, epoch = %branch.end.epoch,
                    "the shared log lost its end: events after this position are gone, and \
                     subscribers that saw one get a reset"
                );
                return Ok(Some(branch.ancestor.seq));
            }
        };
        branch.append(journal, &follower.random, content)?;
    }
    Err(JournalError::away(std::io::Error::other("it keeps changing, or does not show it")).into())
}

/// Makes sure that another log, which took the place of the one that a hub followed, lists `lost`:
/// the publisher-given ids of that one. `before` is the place before its oldest block, and `cursor`
/// has blocks only of the one that is gone.
pub(crate) fn tell_lost(
    journal: &mut dyn Journal,
    random: &RandomSource,
    cursor: &Cursor,
    before: Followed,
    lost: &LostIds,
) -> Result<(), OpenError> {
    for _ in 0..SETTLE_ATTEMPTS_MAX {
        let branch = Branch::read(journal, cursor, before)?;
        if branch.lists(lost) {
            return Ok(());
        }
        branch.append(journal, random, Content::Lost(lost.clone()))?;
    }
    Err(JournalError::away(std::io::Error::other("other hubs keep changing it")).into())
}

/// What a journal and a cursor have in common.
enum Common {
    /// Everything up to this block, or a later one.
    Block(Followed),
    /// No remembered block: each was trimmed, or the journal has another one in its place.
    Nothing,
    /// What was not trimmed, from this block on, the journal did not show: it ends before it, or it
    /// answered from the past.
    NotShown(Seq),
}

/// The newest block that the journal and the cursor have in common.
fn ancestor(journal: &mut dyn Journal, cursor: &Cursor) -> Result<Common, JournalError> {
    let blocks = cursor.all();
    // Up to the ancestor all are the same, after it none is.
    let (mut from, mut to, mut common) = (0, blocks.len(), Common::Nothing);
    while from < to {
        let middle = from.midpoint(to);
        let block = blocks[middle];
        let sight = look(journal, &block)?;
        match sight {
            Sight::Same | Sight::Trimmed => from = middle + 1,
            Sight::Other | Sight::Nothing => to = middle,
        }
        // A block in common, once there is one, only gives way to a later one.
        common = match (sight, common) {
            (Sight::Same, _) => Common::Block(block),
            (_, Common::Block(newest)) => Common::Block(newest),
            (Sight::Trimmed, common) => common,
            (Sight::Other, _) => Common::Nothing,
            (Sight::Nothing, _) => Common::NotShown(block.seq),
        };
    }
    Ok(common)
}

/// Whether the journal ends before `place`. A read can show it like that and be from the past: it
/// does end there if it takes a block there. The block is void.
fn ends_before(
    journal: &mut dyn Journal,
    place: Seq,
    follower: &Follower,
) -> Result<bool, OpenError> {
    let bounds = journal.bounds()?.ok_or(JournalError::Missing)?;
    if bounds.last == Seq::ZERO {
        return Err(JournalError::Emptied.into());
    }
    // In a journal without any block, a void one would be its beginning.
    if bounds.last >= place || bounds.first > bounds.last {
        return Ok(false);
    }
    let chain = Chain::new(follower.chain.epoch);
    let nonce = Nonce { run: follower.random.number(), number: 0 };
    let barrier = chain.continued_by(nonce, Content::Barrier);
    match journal.append(bounds.last, nonce, &barrier.encode(), REQUEST_PATIENCE) {
        Ok(seq) => Ok(seq <= place),
        Err(AppendFault::Behind | AppendFault::Undecided { .. }) => Ok(false),
        Err(AppendFault::NotStored(error)) => Err(error.into()),
    }
}

/// What the journal has after the ancestor.
struct Branch {
    ancestor: Followed,
    /// The end of its chain.
    end: Chain,
    /// Sequence of its last block, valid or void.
    seq: Seq,
    renames: Vec<(Epoch, Rename)>,
    lost: Vec<LostIds>,
    is_renamed: bool,
}

impl Branch {
    fn read(
        journal: &mut dyn Journal,
        cursor: &Cursor,
        ancestor: Followed,
    ) -> Result<Self, OpenError> {
        let (end, seq) = (ancestor.chain, ancestor.seq);
        let (renames, lost) = (Vec::new(), Vec::new());
        let mut branch = Self { ancestor, end, seq, renames, lost, is_renamed: false };
        loop {
            let page = journal.read(branch.seq, READ_BYTES_MAX)?;
            if page.is_empty() {
                return Ok(branch);
            }
            for (seq, bytes) in page {
                if seq != branch.seq.next() {
                    // Trimmed meanwhile: look again.
                    return Err(JournalError::away(std::io::Error::other("it was trimmed")).into());
                }
                branch.seq = seq;
                branch.take(cursor, &bytes);
            }
        }
    }

    fn take(&mut self, cursor: &Cursor, bytes: &[u8]) {
        let Some(block) = Block::decode(bytes).ok().filter(|block| self.end.admit(block).is_ok())
        else {
            return;
        };
        let hash = BlockHash::of(bytes);
        self.end.extend(&block, hash);
        // The ancestor was looked for in an older state of the journal.
        if let Some(known) = cursor.upto(self.seq)
            && known.seq == self.seq
            && known.chain.hash == hash
        {
            *self = Self {
                ancestor: known,
                renames: Vec::new(),
                lost: Vec::new(),
                is_renamed: false,
                ..*self
            };
            return;
        }
        match block.content {
            Content::Rename(rename) => {
                self.is_renamed = true;
                self.lost.push(rename.lost.clone());
                self.renames.push((block.epoch, rename));
            }
            Content::Lost(lost) => self.lost.push(lost),
            Content::Events(_) | Content::Barrier | Content::Erase(_) => {}
        }
    }

    /// The names that the log had before the one that it is to get.
    fn former(&self, follower: &Follower) -> Vec<FormerName> {
        let upto = self.ancestor.next().previous();
        let origin = follower.read_origin();
        // The branch that was lost can have had a name of its own.
        let names = [self.end.epoch, origin.identity.epoch].map(|epoch| FormerName { epoch, upto });
        let older = origin.identity.former.iter();
        let older = older.map(|name| FormerName { upto: name.upto.min(upto), ..*name });
        let mut former: Vec<FormerName> = Vec::new();
        for name in names.into_iter().chain(older) {
            if former.iter().all(|known| known.epoch != name.epoch) {
                former.push(name);
            }
        }
        former.truncate(FORMER_NAMES_MAX);
        former
    }

    /// Whether the branch lists all of `lost`.
    fn lists(&self, lost: &LostIds) -> bool {
        let lists = || self.lost.iter().filter(|listed| listed.upto <= lost.upto);
        let has_all = lists().any(|listed| listed.more);
        let has = |id: &EventId| lists().any(|listed| listed.ids.contains(id));
        has_all || !lost.more && lost.ids.iter().all(has)
    }

    /// Appends a block to the branch. Whether it is there, the next look shows.
    fn append(
        &self,
        journal: &mut dyn Journal,
        random: &RandomSource,
        content: Content,
    ) -> Result<(), OpenError> {
        let nonce = Nonce { run: random.number(), number: 0 };
        let epoch = match content {
            Content::Rename(_) => Epoch::from_random(random.number()),
            _ => self.end.epoch,
        };
        let block = Block { epoch, ..self.end.continued_by(nonce, content) };
        match journal.append(self.seq, nonce, &block.encode(), REQUEST_PATIENCE) {
            Ok(_) | Err(AppendFault::Behind | AppendFault::Undecided { .. }) => Ok(()),
            Err(AppendFault::NotStored(error)) => Err(error.into()),
        }
    }

    /// Tells the follower the names of the log, and which ids it lost.
    fn adopt(&self, follower: &mut Follower) {
        {
            let mut origin = follower.write_origin();
            for (epoch, rename) in &self.renames {
                if !origin.knows(*epoch) {
                    origin.rename(*epoch, &rename.former);
                }
            }
            for lost in &self.lost {
                origin.add_lost(lost);
            }
        }
        follower.save_origin();
    }
}

/// The publisher-given ids of the events after `upto` in the cache. If some of the events are not
/// there, because rules of retention dropped them, there were more ids.
pub(crate) fn lost_ids(cache: &DiskStore, upto: Position) -> Result<LostIds, OpenError> {
    let mut lost = LostIds { upto, ..LostIds::default() };
    let (mut after, head) = (upto.max(cache.bounds().first.previous()), cache.bounds().head);
    let mut bytes = 0;
    while after < head && !lost.more {
        let page = cache.read(&ReadQuery {
            after,
            upto: head,
            told: Position::ZERO,
            interest: None,
            records_max: BLOCK_IDS_MAX,
            bytes_max: READ_BYTES_MAX,
        });
        let page = match page {
            Ok(page) => page,
            // Which ids were in the part that cannot be read is not known.
            Err(ReadError::Expired { .. } | ReadError::Damaged { .. }) => {
                lost.more = true;
                break;
            }
            Err(error) => return Err(JournalError::away(error).into()),
        };
        let mut next = after.next();
        for record in &page.records {
            lost.more |=
                record.position() != std::mem::replace(&mut next, record.position().next());
            let draft: &Draft = record;
            let Some(id) = &draft.id else { continue };
            if draft.kind == Kind::Erased {
                // Its id was something else, which nobody knows any more.
                lost.more = true;
                break;
            }
            bytes += id.as_str().len() + 2;
            lost.more |= lost.ids.len() >= BLOCK_IDS_MAX || bytes > BLOCK_IDS_BYTES_MAX;
            if !lost.more && !lost.ids.contains(id) {
                lost.ids.push(id.clone());
            }
        }
        lost.more |= next <= page.reached;
        after = page.reached;
    }
    Ok(lost)
}
