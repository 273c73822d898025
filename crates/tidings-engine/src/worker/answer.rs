//! Queries to a worker from outside. They come through the mailbox and are answered between two
//! turns, so that no other thread touches a shard.

use tidings_hub::{Standing, SubscriberId, Timestamp};

use super::Worker;
use crate::clock::wall_clock;
use crate::connection::{Connection, ConnectionId};
use crate::message::Question;
use crate::search::{Search, Subscriber};
use crate::subscription::{ConnectionInfo, Subscription};
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
            Question::Search(search, answer) => {
                let _ = answer.send(self.search(&search));
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

    fn search(&self, search: &Search) -> Vec<Subscriber> {
        let later = self.shard.owners().filter_map(|(id, subscription)| {
            let connection = self.connection_id(subscription.info);
            let is_asked = search.only.is_none_or(|only| only == connection);
            (is_asked && Some(connection) > search.after).then_some((connection, id, subscription))
        });
        let found = later.filter_map(|(connection, id, subscription)| {
            let label = subscription.permit.label().cloned();
            let peer = label.is_none().then(|| subscription.sink.peer()).flatten();
            let Standing { interest, .. } = self.shard.standing(id)?;
            let since = self.since(subscription.info);
            Some(Subscriber { id: connection, interest, since, label, peer })
        });
        let mut meant: Vec<_> = found.filter(|found| (search.is_meant)(found)).collect();
        meant.sort_unstable_by_key(|subscriber| subscriber.id);
        meant.truncate(search.max);
        meant
    }

    fn connection_id(&self, info: ConnectionInfo) -> ConnectionId {
        ConnectionId { run: self.context.run, number: info.number }
    }

    fn since(&self, info: ConnectionInfo) -> Timestamp {
        self.context.clock.wall(u64::from(info.since_s) * 1000)
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
            id: self.connection_id(info),
            standing,
            began: info.began,
            started: info.started,
            since: self.since(info),
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
                let info = subscription.info;
                let connection = self.connection_id(info);
                tracing::debug!(%connection, after = %skip.after, first = %skip.first,
                    "retention was faster than a subscriber");
            }
        }
    }
}
