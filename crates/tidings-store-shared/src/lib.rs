//! One log for several Tidings hubs, over any engine with a compare-and-set append.
//!
//! # What it guarantees
//!
//! *One order.* All hubs have the same events at the same positions.
//!
//! *Acknowledged means stored and read back.* An append returns once the engine has the block and
//! this hub has followed it as part of the log. What the engine then does with it is the engine's
//! promise.
//!
//! *What the engine loses is noticed.* If the log loses its end, or another history takes its
//! place, a hub that followed the lost part stops, and every subscriber that saw a lost event gets
//! a reset when it returns, wherever it returns. No other subscriber does.
//!
//! *A repetition is recognised* over all hubs and the whole retained log: two hubs that publish the
//! same event at the same moment store it once.
//!
//! *Bounds on topics and keys are exact* over all hubs: an append that others have overtaken is
//! rejected, so that its drafts are compared with the log again.
//!
//! *What is erased is erased at every hub.* An erasure is a block of the log, and each hub that
//! follows it erases the records from its copy: one that was away does so when it is back, and
//! one that fetches the log, or is opened, before it serves anything.
//!
//! *A hub never creates a log that it once followed.* A stream that is gone is an error, not a
//! reason to begin another.
//!
//! # What it does not guarantee
//!
//! That events can be published while the engine is away; and that the engine loses nothing. What
//! is erased stays in the engine until it is trimmed, as everything does.
//!
//! # How it is built
//!
//! The engine holds a stream of blocks, each what one append stores, behind the trait [`Journal`].
//! A block names the hash of the last valid one before it ([`Chain`]), so that all hubs agree on
//! which blocks count. A follower copies them, in order, into a disk store: the cache, from which
//! everything is read. A writer sends a block in the next place, and waits for the follower to have
//! it. A cursor beside the cache holds the hashes of the blocks that were followed: by them a hub
//! finds where a log that lost its end parted from the cache.
//!
//! Why so: `docs/decisions/0067-several-hubs-share-one-log.md`.

mod backup;
mod block;
mod blocks;
mod chain;
mod changes;
mod checks;
mod config;
mod cursor;
mod erase_form;
mod erasures;
mod error;
mod fill;
mod followed;
mod follower;
mod fork;
mod halt;
mod hash;
mod journal;
pub mod limits;
mod mistake;
mod open;
mod origin;
mod reader;
mod store;
mod terms;
#[cfg(test)]
mod test_folder;
#[cfg(test)]
mod tests;
mod trim;
mod whole_file;
mod writer;

pub use backup::{BackupError, backup, is_of_hub, restore};
pub use block::{Block, Content, LostIds, Rename};
pub use chain::{Chain, Misfit};
pub use config::{Maxima, SharedConfig};
pub use error::OpenError;
pub use fill::{FillError, fill};
pub use halt::Halt;
pub use hash::BlockHash;
pub use journal::{AppendFault, Journal, JournalError, Nonce, Seq, SeqBounds};
pub use reader::Unreadable;
pub use store::SharedStore;
pub use terms::{Difference, Terms};
