//! Queries to a worker from outside. They come through the mailbox and are answered between two
//! turns, so that no other thread touches a shard.

use tidings_hub::{Standing, SubscriberId};

use super::Worker;
use crate::clock::wall_clock;
use crate::connection::{Connection, ConnectionId};
use crate::message::Question;
use crate::subscription::Subscription;
use crate::sys::SocketEvents;

impl<P: SocketEvents> Worker<P> {
    pub(super) fn answer(&mut self, question: Question) {
        // A question that is no longer waited for costs nothing but this look.
        if question.is_abandoned() {
            return;
        }
        match question {
            Question::Ping(answer) => {
                let _ = answer.send(());
            }
            Question::Subscribers(topics, answer) => {
                let count = |topic| self.shard.subscribers_of(topic);
                let _ = answer.send(topics.iter().map(count).collect());
            }
            Question::Backlog(answer) => {
                let _ = answer.send(self.shard.backlog());
            }
            Question::Connection(id, answer) => {
                let _ = answer.send(self.connection(id));
            }
        }
    }

    fn connection(&self, id: ConnectionId) -> Option<Connection> {
        if id.run != self.context.run {
            return None;
        }
        let is_wanted = |subscription: &Subscription| subscription.info.number == id.number;
        let open = self.shard.owners().find(|(_, subscription)| is_wanted(subscription));
        if let Some((subscriber, subscription)) = open {
            let standing = self.shard.standing(subscriber)?;
            let mut connection = self.describe(subscriber, subscription, standing);
            connection.peer = subscription.sink.peer();
            return Some(connection);
        }
        // It may be closed, and wait for the turn that ends its stream.
        let closing = self.shard.closings().find(|closing| is_wanted(&closing.owner))?;
        let mut connection = self.describe(closing.id, &closing.owner, closing.standing.clone());
        connection.closed = Some(wall_clock());
        Some(connection)
    }

    /// A subscriber's connection, as far as the worker knows it.
    pub(super) fn describe(
        &self,
        id: SubscriberId,
        subscription: &Subscription,
        standing: Standing,
    ) -> Connection {
        let info = subscription.info;
        Connection {
            id: ConnectionId { run: self.context.run, number: info.number },
            standing,
            began: info.began,
            started: info.started,
            since: self.context.clock.wall(u64::from(info.since_s) * 1000),
            closed: None,
            direct: subscription.sink.is_direct(),
            peer: None,
            skipped: self.skips.get(&id).copied(),
        }
    }

    /// Records the subscribers that got a reset because of retention.
    pub(super) fn note_skips(&mut self) {
        while let Some(skip) = self.shard.poll_skip() {
            self.skips.insert(skip.id, (skip.after, skip.first));
            if let Some(subscription) = self.shard.owner_mut(skip.id) {
                let number = subscription.info.number;
                let connection = ConnectionId { run: self.context.run, number };
                tracing::debug!(%connection, after = %skip.after, first = %skip.first,
                    "retention was faster than a subscriber");
            }
        }
    }
}
