//! Checksums: what a compressed stream ends with.
//!
//! The trailer of gzip has the CRC-32 of all the text that one subscriber got. To follow it with
//! every write would cost each delivery something. But members of a group get the same text, so the
//! ring has one checksum for all of them, and each has a [`Lead`]: eight bytes that do not change
//! while the ring grows. They change when the subscriber gets text of its own, and when it enters
//! or leaves the ring. Outside of the ring the lead is one over the empty text.
//!
//! Leads are beside the subscribers, by the same index, and only as far as there are compressed
//! ones.

use tidings_codec::gzip::{Checksum, Lead};

use crate::subscriber::{Phase, SubscriberId};

use super::Shard;

impl<S> Shard<S> {
    /// A new subscriber has text with the checksum `began` in its outbox.
    pub(super) fn begin_sum(&mut self, id: SubscriberId, began: Checksum) {
        if self.is_summed(id) {
            let room = self.leads.len().max(id.index() + 1);
            self.leads.resize(room, Lead::default());
            self.leads[id.index()] = Lead::new(began, Checksum::default());
        }
    }

    /// Text with the checksum `sum` goes to the subscriber before whatever the ring has for it.
    pub(super) fn add_sum(&mut self, id: SubscriberId, sum: Checksum) {
        if self.is_summed(id) {
            let common = self.common_sum(id);
            let own = self.leads[id.index()].at(common).then(sum);
            self.leads[id.index()] = Lead::new(own, common);
        }
    }

    /// It goes on from its offset in the ring.
    pub(super) fn sum_enters_ring(&mut self, id: SubscriberId) {
        if self.is_summed(id) {
            let own = self.leads[id.index()].at(Checksum::default());
            self.leads[id.index()] = Lead::new(own, self.ring_sum(id));
        }
    }

    /// It leaves the ring, which still has its offset.
    pub(super) fn sum_leaves_ring(&mut self, id: SubscriberId) {
        if self.is_summed(id) {
            let own = self.leads[id.index()].at(self.ring_sum(id));
            self.leads[id.index()] = Lead::new(own, Checksum::default());
        }
    }

    /// The checksum of all whole events and blocks that the subscriber was sent.
    pub(super) fn sum(&self, id: SubscriberId) -> Checksum {
        match self.is_summed(id) {
            true => self.leads[id.index()].at(self.common_sum(id)),
            false => Checksum::default(),
        }
    }

    /// The checksum that its lead is over.
    fn common_sum(&self, id: SubscriberId) -> Checksum {
        let in_ring = |subscriber: &crate::subscriber::Subscriber| {
            subscriber.phase == Phase::Live && !subscriber.blocked
        };
        if self.get(id).is_some_and(in_ring) { self.ring_sum(id) } else { Checksum::default() }
    }

    fn ring_sum(&self, id: SubscriberId) -> Checksum {
        let subscriber = &self.subscribers[id.index()];
        self.groups[subscriber.group as usize].ring.sum_at(subscriber.offset)
    }

    fn is_summed(&self, id: SubscriberId) -> bool {
        let group = self.get(id).map(|subscriber| &self.groups[subscriber.group as usize]);
        group.is_some_and(|group| group.key.form.coding.is_gzip())
    }
}
