//! What is posted to a worker.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidings_hub::{
    Attach, Backlog, CloseReason, EncodedPage, Notice, Position, ReadError, SubscriberId, Topic,
};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::oneshot::Sender;

use crate::connection::{Connection, ConnectionId};
use crate::search::{Search, Subscriber};
use crate::subscription::Subscription;

pub(crate) enum Message {
    /// A new subscriber.
    Attach(Box<(Attach, Subscription)>),
    Page(SubscriberId, Result<EncodedPage, ReadError>),
    /// A body has room again.
    Writable(SubscriberId),
    /// A body is gone.
    Closed(SubscriberId, CloseReason),
    Notice(Arc<Notice>),
    /// Notices were lost for want of room.
    NoticesLost,
    /// A question from outside. It keeps its permit until the worker has seen it, even if nobody
    /// waits for the answer any more.
    Ask(Question, Arc<OwnedSemaphorePermit>),
    /// These connections are to be closed, as soon as they are here. It keeps its permit until the
    /// worker has seen it.
    Close(BTreeSet<u64>, CloseReason, Sender<()>, Arc<OwnedSemaphorePermit>),
    /// Records up to `upto` were erased; they were on `topics`, or, without these, on any. It keeps
    /// its permit until the worker has forgotten them.
    Erased {
        topics: Option<Arc<BTreeSet<Topic>>>,
        upto: Position,
        done: Sender<()>,
        permit: Arc<OwnedSemaphorePermit>,
    },
    Drain {
        window_ms: u64,
    },
    Stop,
}

/// A question to a worker, with the way to answer it.
pub(crate) enum Question {
    /// Whether the worker runs.
    Ping(Sender<()>),
    /// How many subscribers an event on each of these topics would reach.
    Subscribers(Arc<[Topic]>, Sender<Vec<u64>>),
    /// The subscribers that are behind, and how far.
    Backlog(Sender<Backlog>),
    /// Details of this connection, if the worker has it. Costs a look at every subscriber.
    Connection(ConnectionId, Sender<Option<Connection>>),
    /// The subscribers that are meant. Costs a look at every subscriber.
    Search(Arc<Search>, Sender<Vec<Subscriber>>),
}

impl Question {
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Ping(answer) => answer.is_closed(),
            Self::Subscribers(_, answer) => answer.is_closed(),
            Self::Backlog(answer) => answer.is_closed(),
            Self::Connection(_, answer) => answer.is_closed(),
            Self::Search(_, answer) => answer.is_closed(),
        }
    }
}
