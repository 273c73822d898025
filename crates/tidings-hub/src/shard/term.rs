//! Grants whose ends can move while their bearers read: a token is renewed, a session prolonged.
//!
//! The end is the driver's, which can share it between any number of subscribers: the shard only
//! asks, at the moment that the driver named last. So prolonging a grant touches no subscriber.

use crate::notice::Pending;
use crate::stream_form::ControlStyle;
use crate::subscriber::SubscriberId;
use crate::timer::Tick;

use super::Shard;
use super::heartbeat::ticks;

impl<S> Shard<S> {
    /// The next subscriber whose grant should be looked at. Answer with
    /// [`handle_term`](Self::handle_term), or with [`handle_closed`](Self::handle_closed) if the
    /// grant has ended.
    pub fn poll_term(&mut self) -> Option<(SubscriberId, &mut S)> {
        loop {
            let id = self.terms.pop_front()?;
            if self.get(id).is_some() {
                return Some((id, self.owners[id.index()].as_mut()?));
            }
        }
    }

    /// The grant of `id` is to be looked at again at `look_ms`. `block` is for the subscriber, as
    /// soon as it is between two events, if its stream has blocks of the hub's own.
    pub fn handle_term(&mut self, id: SubscriberId, look_ms: u64, block: Option<Box<[u8]>>) {
        let Some((subscriber, group)) = self.group_of(id) else { return };
        let is_native = group.key.form.control_style == ControlStyle::Native;
        if let Some(block) = block.filter(|_| is_native) {
            let notices = &mut subscriber.outbox.get_or_insert_default().notices;
            // Of two that wait, only the newer one is true.
            notices.retain(|pending| matches!(pending, Pending::Notice(_)));
            notices.push(Pending::Block(block));
            self.enqueue(id);
        }
        self.term_at.insert(id, ticks(look_ms));
        self.set_timer(id);
    }

    /// Queues the subscriber for [`poll_term`](Self::poll_term) if it is time.
    pub(super) fn ask_for_term(&mut self, id: SubscriberId) {
        if self.term_of(id) <= self.now() {
            self.term_at.remove(&id);
            self.terms.push_back(id);
        }
    }

    /// When the grant of `id` is looked at; never, if its end does not move.
    pub(super) fn term_of(&self, id: SubscriberId) -> Tick {
        self.term_at.get(&id).copied().unwrap_or(Tick::MAX)
    }
}
