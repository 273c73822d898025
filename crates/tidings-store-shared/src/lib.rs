//! One log for several Tidings hubs, over any engine with a compare-and-set append.

mod block;
mod chain;
mod hash;
mod journal;
pub mod limits;

pub use block::{Block, Content, LostIds, Rename, Unreadable};
pub use chain::{Chain, Misfit};
pub use hash::{BlockHash, Check};
pub use journal::{AppendFault, Journal, JournalError, Nonce, Seq, SeqBounds};
