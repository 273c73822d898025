//! How a subscription ends.
//!
//! Whatever closes a subscriber, it leaves every list at once, and waits with its owner for the
//! driver: in a [`Closing`], by one reason.

use crate::close_reason::CloseReason;
use crate::index::GroupId;
use crate::opening_block::opening_block;
use crate::stream_form::{ControlStyle, StreamForm};
use crate::subscriber::{Phase, SubscriberId};

use super::{Shard, Standing, StandingState};

/// A subscriber that is gone.
#[derive(Debug, PartialEq, Eq)]
pub struct Closing<S> {
    /// Its id, which the shard no longer knows.
    pub id: SubscriberId,
    /// Its owner.
    pub owner: S,
    /// Why it was closed.
    pub reason: CloseReason,
    /// Its position and state when it was closed.
    pub standing: Standing,
    /// `None` if the stream is in the middle of an event, or the peer is gone: then just close.
    pub farewell: Option<Farewell>,
}

/// How a stream ends between two events.
#[derive(Debug, PartialEq, Eq)]
pub struct Farewell {
    /// Bytes to send before closing, if the sink takes them at once.
    pub bytes: Vec<u8>,
    /// Whether the body is complete: every topic of the stream has ended. Otherwise the connection
    /// is cut, so that the client comes back.
    pub is_end: bool,
}

impl<S> Shard<S> {
    /// The sink of `id` is gone, for `reason`.
    pub fn handle_closed(&mut self, id: SubscriberId, reason: CloseReason) {
        self.close(id, reason);
    }

    /// The next closed subscriber, with its owner and reason.
    pub fn poll_close(&mut self) -> Option<Closing<S>> {
        self.closing.pop_front()
    }

    /// Closed subscribers that [`Self::poll_close`] has yet to give, the next one first.
    pub fn closings(&self) -> impl Iterator<Item = &Closing<S>> {
        self.closing.iter()
    }

    /// Removes the subscriber from everything and queues its [`Closing`].
    pub(super) fn close(&mut self, id: SubscriberId, reason: CloseReason) {
        let Some(mut standing) = self.standing(id) else { return };
        standing.state = StandingState::Closed(reason);
        let farewell = self.farewell(id, reason);
        self.leave_phase(id);
        // From here on a new subscriber may get the index: the owner leaves with the old one.
        let subscriber = self.subscribers.remove(id.index());
        self.term_at.remove(&id);
        self.states.remove(&id);
        let owner = self.owners[id.index()].take().expect("every subscriber has an owner");
        if self.writing.as_ref().is_some_and(|(writing, ..)| *writing == id) {
            self.writing = None;
        }
        self.groups[subscriber.group as usize].members -= 1;
        self.settle(subscriber.group);
        self.remove_if_empty(self.indexed_group(subscriber.group));
        self.closing.push_back(Closing { id, owner, reason, standing, farewell });
    }

    /// Removes a group, which the index knows, and its twin once both have no members.
    fn remove_if_empty(&mut self, id: GroupId) {
        let twin = self.groups[id as usize].twin;
        let has_members = |id: GroupId| self.groups[id as usize].members > 0;
        if has_members(id) || twin.is_some_and(has_members) {
            return;
        }
        if let Some(twin) = twin {
            self.close_window(twin);
            self.rings_bytes -= self.groups.remove(twin as usize).ring.len();
        }
        // If it is in the queue of dirty groups, the walk passes over it.
        let group = self.groups.remove(id as usize);
        self.rings_bytes -= group.ring.len();
        self.index.remove(id, &group.key.interest);
        self.by_key.remove(&group.key);
    }

    /// How the stream of a subscriber ends that is closed for `reason`; `None` if it breaks off.
    fn farewell(&mut self, id: SubscriberId, reason: CloseReason) -> Option<Farewell> {
        let subscriber = self.get(id)?;
        let group = &self.groups[subscriber.group as usize];
        let at_boundary = subscriber.outbox.as_ref().is_none_or(|outbox| outbox.is_written())
            && match subscriber.phase {
                Phase::Live => {
                    subscriber.offset >= group.ring.base()
                        && !group.ring.locate(subscriber.offset).half.is_some()
                }
                _ => !subscriber.half.is_some(),
            };
        if reason.is_peer() || !at_boundary {
            return None;
        }
        let form @ StreamForm { framing, control_style, .. } = group.key.form;
        if reason == CloseReason::TopicEnded {
            let mut bytes = Vec::new();
            form.coding.end(framing, &mut bytes, self.sum(id));
            return Some(Farewell { bytes, is_end: true });
        }
        let mut control = Vec::new();
        match (reason, control_style) {
            (CloseReason::Draining, ControlStyle::Native) => {
                opening_block(&mut control, None, 500 + self.random.below(2 * DRAIN_RETRY_MS));
            }
            (CloseReason::Draining, ControlStyle::Nothing) => {
                let retry_ms = 500 + self.random.below(2 * DRAIN_RETRY_MS);
                control = format!("retry: {retry_ms}\n").into_bytes();
            }
            (
                CloseReason::Kicked | CloseReason::SessionEnded | CloseReason::GrantNarrowed,
                ControlStyle::Native,
            ) => {
                // A client whose grant was narrowed may have a new one: it asks again at once.
                let retry = match reason {
                    CloseReason::GrantNarrowed => {
                        format!("retry: {}\n", 1 + self.random.below(NARROWED_RETRY_MS))
                    }
                    _ => String::new(),
                };
                let data = format!("{{\"reason\":\"{}\"}}", reason.name());
                control = format!("event: {CLOSED_TYPE}\n{retry}data: {data}\n\n").into_bytes();
            }
            (
                CloseReason::Kicked | CloseReason::SessionEnded | CloseReason::GrantNarrowed,
                ControlStyle::Comments,
            )
            | (CloseReason::GrantExpired, ControlStyle::Native | ControlStyle::Comments) => {
                control = format!(": {}\n", reason.sentence()).into_bytes();
            }
            _ => {}
        }
        let mut bytes = Vec::new();
        if !control.is_empty() {
            form.wrap(&mut bytes, &control);
        }
        Some(Farewell { bytes, is_end: false })
    }
}

/// The type of the last event of a stream that is closed before its time.
const CLOSED_TYPE: &str = "tidings.closed";

/// Longest reconnection time of a subscriber whose grant was narrowed.
const NARROWED_RETRY_MS: u64 = 500;

/// Subscribers of a hub that shuts down reconnect after half a second to twice this time, so that
/// they do not all arrive at once.
const DRAIN_RETRY_MS: u64 = 2000;
