//! Putting a log that a hub had for itself into a journal, for several hubs.
//!
//! Positions, times and ids stay as they are. The log gets a new name, and the first block says
//! what it was called before: ids of former subscribers are places in it, and they get no reset.
//! Until the last block is stored, the journal notes that it is incomplete, and no hub opens it.
//! What can be seen to be in the way is refused before anything is written.

use std::error::Error;
use std::fmt;
use std::mem;
use std::thread;
use std::time::Instant;

use tidings_hub::{Draft, Log, Position, ReadError, ReadQuery, Record, Timestamp};
use tidings_store_disk::RandomSource;

use crate::block::{Block, Content, OVERHEAD_BYTES, Rename};
use crate::chain::Chain;
use crate::hash::BlockHash;
use crate::journal::{AppendFault, Journal, JournalError, Nonce, Seq, SeqBounds};
use crate::limits::{APPEND_PATIENCE, FILL_PAUSE, READ_BYTES_MAX, REQUEST_PATIENCE};
use crate::terms::Terms;

/// Why a log was not put into a journal.
#[derive(Debug)]
#[non_exhaustive]
pub enum FillError {
    /// There is no stream, and none was to be created.
    NoStream,
    /// The stream has blocks.
    NotEmpty,
    /// The log lacks records between others. Nothing was stored.
    Gap {
        /// Position of the first one that is missing.
        position: Position,
    },
    /// No block can hold an event of the log. Nothing was stored.
    TooLarge {
        /// Position of the event.
        position: Position,
    },
    /// Something else wrote to the stream meanwhile. The stream is incomplete.
    Overtaken,
    /// The journal does not answer. If blocks were stored, the stream is incomplete.
    Away {
        /// What failed.
        source: JournalError,
    },
    /// The log cannot be read. If blocks were stored, the stream is incomplete.
    Read {
        /// Why.
        source: ReadError,
    },
}

impl FillError {
    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoStream => "add --cluster-create, which creates the stream",
            Self::NotEmpty => {
                "nothing is written over: name another stream with --store-stream, or delete this \
                 one with `nats stream rm` if no hub needs it"
            }
            Self::Gap { .. } => {
                "rules of retention leave gaps between events, which a shared history cannot have: \
                 start the hubs with an empty stream, and publish there what is to be kept, as \
                 with `tidings relay` from a hub that has the backup"
            }
            Self::TooLarge { .. } => "raise `max_payload` on every server",
            Self::Overtaken | Self::Away { .. } | Self::Read { .. } => {
                "if the stream is there, delete it with `nats stream rm`, and restore again: no \
                 hub starts on an incomplete one"
            }
        }
    }
}

impl fmt::Display for FillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStream => f.write_str("the stream does not exist"),
            Self::NotEmpty => f.write_str("the stream is not empty"),
            Self::Gap { position } => {
                write!(f, "the backup has no event at position {position}, but earlier ones")
            }
            Self::TooLarge { position } => {
                write!(f, "the servers do not take an event as large as that at {position}")
            }
            Self::Overtaken => f.write_str("something else wrote to the stream"),
            Self::Away { .. } => f.write_str("the stream cannot be written"),
            Self::Read { .. } => f.write_str("the backup cannot be read"),
        }
    }
}

impl Error for FillError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Away { source } => Some(source),
            Self::Read { source } => Some(source),
            _ => None,
        }
    }
}

impl From<JournalError> for FillError {
    fn from(source: JournalError) -> Self {
        Self::Away { source }
    }
}

impl From<ReadError> for FillError {
    fn from(source: ReadError) -> Self {
        Self::Read { source }
    }
}

/// Puts all records of `log`, which has a former name, into an empty `journal`; with `create`, the
/// stream is created if there is none.
///
/// # Errors
///
/// [`FillError`]; its [`hint`](FillError::hint) says what can be done.
pub fn fill(journal: &mut dyn Journal, log: &dyn Log, create: bool) -> Result<(), FillError> {
    let is_there = match journal.bounds()? {
        Some(SeqBounds { last: Seq::ZERO, .. }) => true,
        Some(_) => return Err(FillError::NotEmpty),
        None if create => false,
        None => return Err(FillError::NoStream),
    };
    see_that_it_fits(log, block_room(journal))?;
    if !is_there {
        journal.create()?;
    }
    journal.set_terms(&Terms::incomplete())?;
    let mut filling = Filling::begin(journal, log)?;
    filling.add_all(log)?;
    journal.set_terms(&Terms::default())?;
    Ok(())
}

/// Whether each record from the first to the last is there, and not larger than `bytes`.
fn see_that_it_fits(log: &dyn Log, bytes: usize) -> Result<(), FillError> {
    let mut next = log.bounds().first;
    read_all(log, |record| {
        let position = std::mem::replace(&mut next, record.position().next());
        if position != record.position() {
            return Err(FillError::Gap { position });
        }
        if record.cost() > bytes {
            return Err(FillError::TooLarge { position });
        }
        Ok(())
    })?;
    if next <= log.bounds().head { Err(FillError::Gap { position: next }) } else { Ok(()) }
}

/// Calls `each` with every record of `log`, in order.
fn read_all(
    log: &dyn Log,
    mut each: impl FnMut(&Record) -> Result<(), FillError>,
) -> Result<(), FillError> {
    let bounds = log.bounds();
    let mut after = bounds.first.previous();
    while after < bounds.head {
        let page = log.read(&ReadQuery {
            after,
            upto: bounds.head,
            // What is missing is looked for by the positions.
            told: bounds.head,
            interest: None,
            records_max: usize::MAX,
            bytes_max: READ_BYTES_MAX,
        })?;
        page.records.iter().try_for_each(|record| each(record))?;
        after = page.reached;
    }
    Ok(())
}

/// Bytes of drafts that one block can hold.
fn block_room(journal: &dyn Journal) -> usize {
    journal.block_bytes_max().saturating_sub(OVERHEAD_BYTES)
}

struct Filling<'a> {
    journal: &'a mut dyn Journal,
    run: u64,
    seq: Seq,
    end: Chain,
    /// Records of one time that go into the next block, and their cost.
    drafts: Vec<Draft>,
    cost: usize,
    time: Timestamp,
}

impl<'a> Filling<'a> {
    /// Stores the block that names the log.
    fn begin(journal: &'a mut dyn Journal, log: &dyn Log) -> Result<Self, FillError> {
        let identity = log.identity();
        let mut end = Chain::new(identity.epoch);
        end.next = log.bounds().first;
        let (drafts, time) = (Vec::new(), Timestamp::default());
        let mut filling = Self {
            journal,
            run: RandomSource::default().number(),
            seq: Seq::ZERO,
            end,
            drafts,
            cost: 0,
            time,
        };
        let former = identity.former.clone();
        filling.append(if former.is_empty() {
            Content::Barrier
        } else {
            Content::Rename(Rename { former, ..Rename::default() })
        })?;
        Ok(filling)
    }

    fn add_all(&mut self, log: &dyn Log) -> Result<(), FillError> {
        read_all(log, |record| self.add(record, record.time()))?;
        self.flush()
    }

    fn add(&mut self, draft: &Draft, time: Timestamp) -> Result<(), FillError> {
        let bytes = block_room(self.journal);
        // Some are left for what their encoding adds.
        let cost_max = bytes - bytes / 8;
        let cost = draft.cost();
        if time != self.time || self.cost + cost > cost_max {
            self.flush()?;
        }
        self.time = time;
        self.cost += cost;
        self.drafts.push(draft.clone());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), FillError> {
        self.cost = 0;
        match mem::take(&mut self.drafts) {
            drafts if drafts.is_empty() => Ok(()),
            drafts => self.append(Content::Events(drafts)),
        }
    }

    /// Stores the next block. If there is no answer, the journal shows what happened.
    fn append(&mut self, content: Content) -> Result<(), FillError> {
        let nonce = Nonce { run: self.run, number: self.seq.get() + 1 };
        // A log's clock does not go back.
        let time = self.time.max(self.end.time);
        let block = Block { time, ..self.end.continued_by(nonce, content) };
        let bytes = block.encode();
        let deadline = Instant::now() + APPEND_PATIENCE;
        let place = self.seq.next();
        loop {
            let source = match self.journal.append(self.seq, nonce, &bytes, REQUEST_PATIENCE) {
                Ok(seq) if seq == place => break,
                Ok(_) | Err(AppendFault::Behind) => match self.journal.read(self.seq, 1) {
                    Ok(page) => match page.first() {
                        Some((seq, read)) if *seq == place && *read == bytes => break,
                        Some(_) => return Err(FillError::Overtaken),
                        None => JournalError::Missing,
                    },
                    Err(source) => source,
                },
                Err(AppendFault::NotStored(source)) => source,
                Err(AppendFault::Undecided { source }) => JournalError::Away { source },
            };
            if Instant::now() >= deadline {
                return Err(source.into());
            }
            thread::sleep(FILL_PAUSE);
        }
        self.end.extend(&block, BlockHash::of(&bytes));
        self.seq = place;
        Ok(())
    }
}
