//! The subscribers of this moment, by connection, with the identity behind each.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_engine::ConnectionId;
use tidings_hub::{Interest, Matcher, Timestamp};

use crate::auth::who::Who;
use crate::client::rate_limit_prefix;
use crate::clock;

/// All subscribers, present and about to be. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Present(Arc<Mutex<BTreeMap<ConnectionId, Subscriber>>>);

/// One of them.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// The identity behind its credential.
    pub who: Arc<Who>,
    /// Its address, as far as trusted proxies tell.
    pub address: Option<IpAddr>,
    /// What it reads.
    pub interest: Interest,
    /// When it came.
    pub since: Timestamp,
}

/// Which subscribers are meant: those with all that is given.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// A subject.
    pub subject: Option<String>,
    /// An issuer.
    pub issuer: Option<String>,
    /// The name of an API key.
    pub key: Option<String>,
    /// An address; of IPv6, its network of 64 bits.
    pub address: Option<IpAddr>,
    /// What covers one of their topics or patterns.
    pub topic: Option<Matcher>,
}

impl Present {
    /// Lists a subscriber until the returned place is dropped.
    pub fn enter(
        &self,
        id: ConnectionId,
        who: Arc<Who>,
        address: Option<IpAddr>,
        interest: Interest,
    ) -> impl Send + use<> {
        let subscriber = Subscriber { who, address, interest, since: clock::now() };
        self.lock().insert(id, subscriber);
        Place { present: self.clone(), id }
    }

    /// Whether the connection is there.
    pub fn has(&self, id: ConnectionId) -> bool {
        self.lock().contains_key(&id)
    }

    /// At most `max` of the subscribers that are meant, in the order of their ids, after `after`.
    pub fn select(
        &self,
        selection: &Selection,
        after: Option<ConnectionId>,
        max: usize,
    ) -> Vec<(ConnectionId, Subscriber)> {
        let present = self.lock();
        let later = present.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        let meant = later.filter(|(_, subscriber)| selection.means(subscriber));
        meant.take(max).map(|(id, subscriber)| (*id, subscriber.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Subscriber>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Selection {
    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        let Self { subject, issuer, key, address, topic } = self;
        subject.is_none()
            && issuer.is_none()
            && key.is_none()
            && address.is_none()
            && topic.is_none()
    }

    fn means(&self, subscriber: &Subscriber) -> bool {
        let is = |wanted: &Option<String>, found: &Option<Box<str>>| {
            wanted.as_deref().is_none_or(|wanted| found.as_deref() == Some(wanted))
        };
        let reads = |topic: &Matcher| {
            subscriber.interest.wanted().iter().any(|wanted| wanted.is_covered_by(topic))
        };
        let is_at = |address: &IpAddr| {
            subscriber
                .address
                .is_some_and(|found| rate_limit_prefix(found) == rate_limit_prefix(*address))
        };
        is(&self.subject, &subscriber.who.subject)
            && is(&self.issuer, &subscriber.who.issuer)
            && is(&self.key, &subscriber.who.key)
            && self.address.as_ref().is_none_or(is_at)
            && self.topic.as_ref().is_none_or(reads)
    }
}

/// A place in the list.
struct Place {
    present: Present,
    id: ConnectionId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.present.lock().remove(&self.id);
    }
}
