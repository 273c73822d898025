//! Queries to a worker from outside. They come through the mailbox and are answered between two
//! turns, so that no other thread touches a shard.

use tidings_hub::{Standing, SubscriberId};

use super::Worker;
use crate::connection::{Connection, ConnectionId};
use crate::message::Question;
use crate::seat::Seat;
use crate::sink::Sink;

impl Worker {
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
        let mut seats = self.seats.iter().flatten();
        let seat = seats.find(|seat| seat.info.number == id.number)?;
        let mut connection = self.describe(seat, self.shard.standing(seat.id)?);
        connection.peer = match &seat.sink {
            Sink::Socket(socket) => socket.socket().peer_addr().ok(),
            Sink::Tls(socket) => socket.socket().peer_addr().ok(),
            Sink::Body(_) => None,
        };
        Some(connection)
    }

    /// A subscriber's connection, as far as the worker knows it.
    pub(super) fn describe(&self, seat: &Seat, standing: Standing) -> Connection {
        let info = seat.info;
        Connection {
            id: ConnectionId { run: self.context.run, number: info.number },
            standing,
            began: info.began,
            started: info.started,
            since: self.context.clock.wall(u64::from(info.since_s) * 1000),
            closed: None,
            direct: !matches!(seat.sink, Sink::Body(_)),
            peer: None,
            skipped: self.skips.get(&seat.id).copied(),
        }
    }

    /// Records the subscribers that got a reset because of retention.
    pub(super) fn note_skips(&mut self) {
        while let Some(skip) = self.shard.poll_skip() {
            let id: SubscriberId = skip.id;
            self.skips.insert(id, (skip.after, skip.first));
            if let Some(seat) = self.seats.get(id.index()).and_then(Option::as_ref) {
                let connection = ConnectionId { run: self.context.run, number: seat.info.number };
                tracing::debug!(%connection, after = %skip.after, first = %skip.first,
                    "retention was faster than a subscriber");
            }
        }
    }
}
