//! The pure core of the Tidings hub: what a topic, an event and a subscriber are, and which
//! subscriber gets which event, and when.
//!
//! # The vocabulary
//!
//! A publisher offers a [`Draft`]: an event on one or more [`Topic`]s. The [`Log`] accepts it and
//! gives it a [`Position`]; from then on it is a [`Record`]. A record that a subscriber may want is
//! encoded once into a [`Frame`], which all its readers share.
//!
//! A subscriber asks with [`Matcher`]s, its [`Grant`] says what it may have, and both together are
//! its [`Interest`]. It starts where its [`Start`] says. One [`Shard`] owns it for life.
//!
//! # The two journeys
//!
//! *A publish* ends in the store. It waits for no subscriber: the caller gets a position and is
//! done.
//!
//! *A delivery* starts at the store's tail. Records come in log order, are encoded once, and are
//! handed to every shard ([`Shard::handle_frames`]). The shard's index finds the groups of
//! subscribers that want the frame, appends it to their rings, and [`Shard::poll_write`] says which
//! bytes go to which subscriber.
//!
//! # What this crate does not know
//!
//! HTTP, sockets, clocks, threads, files, runtimes and the environment (`clippy.toml` bans them).
//! Time is an argument; inputs are `handle_*`, outputs are `poll_*`. The crate knows no storage
//! product: the [`Log`] trait and its simplest implementation, [`MemoryStore`], are all there is.

mod check;
mod close_reason;
mod coding;
mod draft;
mod encoded_page;
mod epoch;
mod error;
mod event_id_form;
mod fold;
mod former_name;
mod frame;
mod framing;
mod grant;
mod group;
mod half_sent;
mod index;
mod interest;
mod json;
mod json_scan;
mod key;
pub mod limits;
mod mark;
mod matcher;
mod notice;
mod opening_block;
mod piece;
mod pointer;
mod position;
mod random;
mod record;
mod removed;
mod reset;
mod ring;
mod shard;
mod start;
mod store;
mod stream_form;
mod subscriber;
mod timer;
mod timestamp;
mod topic;
mod visibility;
mod window;
mod wire;

pub use check::Check;
pub use close_reason::CloseReason;
pub use coding::{Coding, Sharing};
pub use draft::{Draft, Kind};
pub use encoded_page::EncodedPage;
pub use epoch::{Epoch, InvalidEpoch};
pub use error::{
    AppendError, InvalidMatcher, InvalidTopic, ReadError, ResolveError, StoreCause, with_causes,
};
pub use event_id_form::EventIdForm;
pub use former_name::FormerName;
pub use frame::Frame;
pub use framing::Framing;
pub use grant::{Grant, Operate};
pub use interest::Interest;
pub use key::{Expected, InvalidKey, Key};
pub use mark::Mark;
pub use matcher::{CustomMatcher, Matcher, SegmentPattern, TopicTest};
pub use notice::{Audience, Notice};
pub use opening_block::{OPENING_TYPE, opening_block};
pub use piece::Piece;
pub use pointer::{InvalidPointer, NoString, Pointer};
pub use position::Position;
pub use random::Random;
pub use record::Record;
pub use removed::Removed;
pub use reset::Reset;
pub use shard::{
    Attach, Backlog, Closing, Farewell, FrameBatch, ReadOrder, Shard, ShardConfig, Skip, Standing,
    StandingState, StateStart, Transmit,
};
pub use start::{Outcome, ResetReason, Resolved, Start};
pub use store::{
    Appended, Bounds, Catalog, CheckError, CopyReaders, ERASED_ID_BYTES, Erase, EraseError, Erased,
    Eraser, Erasing, Fate, Following, Growing, HeadSignal, Health, IsFetching, Log, LogIdentity,
    MemoryStore, Newest, Page, ReadQuery, RecentRecords, Repeats, Retained, RetainedByRule,
    SharedLog, SlotHash, SlotNote, SlotNotes, Slots, StatePage, StatePoll, StateRead, TopicState,
    erased_id, erased_key, where_erased,
};
pub use stream_form::{ControlStyle, EventForm, StreamForm};
pub use subscriber::SubscriberId;
pub use timestamp::Timestamp;
pub use topic::Topic;
pub use visibility::Visibility;
pub use wire::{Heard, Wire};

pub use tidings_codec::gzip::Checksum;
pub use tidings_codec::{EventId, EventType};

/// Compiles the README's examples as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
