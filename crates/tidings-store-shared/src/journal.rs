use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidings_hub::StoreCause;

use crate::terms::Terms;

/// What the shared store needs from an engine: one stream of blocks with a compare-and-set append.
///
/// A journal is a connection: the store opens one for its writer and one for its follower, and
/// calls each from one thread at a time. The calls block; an adapter whose client is asynchronous
/// owns a runtime.
///
/// # Contract
///
/// *Order.* Sequences grow by one with each block and are never given again, except by a journal
/// that lost its end. The store notices that; it needs no promise about it.
///
/// *Append.* A block is stored only if the last sequence is `after` at that moment, wherever the
/// writers are. An answer of `Ok` means that the block is stored as firmly as the engine promises.
/// A check that only usually holds costs retries, not events: a block that landed after another is
/// void for all readers.
///
/// *Reads may be old.* Any read may show a state that the journal had before. So a block that is
/// returned was there, and nothing follows from one that is not. What a read returns is gapless
/// from `after` on, or begins later because of [`trim`](Self::trim).
pub trait Journal: Send + 'static {
    /// Creates the stream. Called only if the operator asked for a new log, and
    /// [`bounds`](Self::bounds) found no stream. A stream that is there after all is left as it is.
    ///
    /// # Errors
    ///
    /// [`JournalError::Away`].
    fn create(&mut self) -> Result<(), JournalError>;

    /// The first and the last sequence that can be read; `None` if there is no stream. For a stream
    /// without blocks `first` is `last + 1`.
    ///
    /// # Errors
    ///
    /// [`JournalError::Away`].
    fn bounds(&mut self) -> Result<Option<SeqBounds>, JournalError>;

    /// Stores `block` at the sequence `after + 1`, if `after` is the last one. Returns the block's
    /// sequence. A repetition with the same `nonce` may be answered with the sequence that the
    /// block already has; an engine that does not recognise repetitions answers
    /// [`Behind`](AppendFault::Behind).
    ///
    /// # Errors
    ///
    /// [`AppendFault`]. A request that is not answered within `patience` is
    /// [`Undecided`](AppendFault::Undecided), even if it may never have been sent.
    fn append(
        &mut self,
        after: Seq,
        nonce: Nonce,
        block: &[u8],
        patience: Duration,
    ) -> Result<Seq, AppendFault>;

    /// Blocks after `after`, in order: at least two if there are two, and no further one once they
    /// have `bytes_max` bytes. (The first is the newest one that the reader has. An adapter that
    /// ended there, because it heard of no more, would keep the reader from ever going on.)
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<(Seq, Bytes)>, JournalError>;

    /// Blocks until there may be something after `after`, or until `timeout` has passed. May return
    /// early for no reason.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    fn wait(&mut self, after: Seq, timeout: Duration) -> Result<(), JournalError>;

    /// Drops the blocks before `before`. Several hubs may ask for the same.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    fn trim(&mut self, before: Seq) -> Result<(), JournalError>;

    /// Bytes of the blocks that can be read, as the engine counts them.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    fn bytes(&mut self) -> Result<u64, JournalError>;

    /// The settings that the hubs on the stream have agreed on; `None` if there are none. By
    /// default for an engine that has no place for them.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    fn terms(&mut self) -> Result<Option<Terms>, JournalError> {
        Ok(None)
    }

    /// Replaces these settings.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    fn set_terms(&mut self, terms: &Terms) -> Result<(), JournalError> {
        let _ = terms;
        Ok(())
    }

    /// Maximum size of one block, in bytes.
    fn block_bytes_max(&self) -> usize;
}

/// A block's place in a journal, counted from 1. Zero is the place before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(u64);

impl Seq {
    /// The place before the first block.
    pub const ZERO: Self = Self(0);

    /// The `n`th place.
    pub const fn new(n: u64) -> Self {
        Self(n)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next place.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The place before; [`Seq::ZERO`] stays where it is.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The sequences that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeqBounds {
    /// The oldest; `last.next()` if there is none.
    pub first: Seq,
    /// The newest; [`Seq::ZERO`] if there never was one.
    pub last: Seq,
}

/// Identifies one attempt to append: no two blocks of any hub have the same. It is written as 32
/// hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce {
    /// Random number of the run of the writer.
    pub run: u64,
    /// Number of the block in that run.
    pub number: u64,
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.run, self.number)
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a journal did not answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// It cannot be reached, or it is not working, at the moment.
    Away {
        /// What failed.
        source: StoreCause,
    },
    /// There is no such stream. The store never creates one that it has followed before.
    Missing,
    /// There is a stream of that name without any block, which is not the one that was followed.
    /// The store begins no log in it.
    Emptied,
}

impl JournalError {
    /// An error from whatever failed.
    pub fn away(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Away { source: Arc::new(source) }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Away { .. } => "the shared log cannot be reached",
            Self::Missing => {
                "the stream of the shared log is gone: bring it back from a backup of the servers"
            }
            Self::Emptied => {
                "the stream of the shared log is another one, without a block: delete it and bring \
                 the log back from a backup of the servers, or start one hub with an empty folder \
                 and --cluster-create, and every subscriber gets a reset"
            }
        })
    }
}

impl Error for JournalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Away { source } => Some(&**source),
            Self::Missing | Self::Emptied => None,
        }
    }
}

/// Why a block was not stored, or may not be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AppendFault {
    /// The last sequence is not the expected one: another writer was faster. Nothing was stored.
    Behind,
    /// Nothing was stored, because the request was not made or was rejected.
    NotStored(JournalError),
    /// The request was made, or may have been, and there was no answer.
    Undecided {
        /// What failed.
        source: StoreCause,
    },
}

impl fmt::Display for AppendFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Behind => "another hub appended first",
            Self::NotStored(_) => "the shared log did not take a block",
            Self::Undecided { .. } => "the shared log did not say whether it has a block",
        })
    }
}

impl Error for AppendFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Behind => None,
            Self::NotStored(error) => Some(error),
            Self::Undecided { source } => Some(&**source),
        }
    }
}
