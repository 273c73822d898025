//! The subscribers of this moment, with the identity behind each.
//!
//! The engine's workers have those that they serve, each with its [`Identity`] as a label. Here is
//! only what they do not have yet: subscribers whose streams are opened and not handed over. A
//! search looks here first and asks the workers then, so it misses none that is on its way.

use std::any::Any;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_engine::{ConnectionId, Engine, Label, Look, Search, Term};
use tidings_hub::{CloseReason, Interest, Matcher, Timestamp};

use crate::auth::who::Who;
use crate::client::rate_limit_prefix;
use crate::clock;
use crate::lease::Lease;
use crate::notify::Announced;

/// What operators find a subscriber by.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The identity behind its credential.
    pub who: Arc<Who>,
    /// Its address, as far as trusted proxies tell.
    pub address: Option<IpAddr>,
    /// How long it may read, if another token can prolong that.
    pub lease: Option<Arc<Lease>>,
    /// Receivers that were told of its stream hear of the end, too.
    pub(crate) announced: Option<Arc<Announced>>,
}

impl Identity {
    /// Whether this is all that the peer's address says.
    pub(crate) fn is_only(&self, peer: IpAddr) -> bool {
        let Self { who, address, lease, announced } = self;
        who.is_nobody() && lease.is_none() && announced.is_none() && *address == Some(peer)
    }

    /// The same as a label, with how long a backend lets the subscriber run.
    pub(crate) fn into_label(self, term: Option<Arc<dyn Term>>) -> Arc<dyn Label> {
        match term {
            Some(term) => Arc::new(Kept { identity: self, term }),
            None => Arc::new(self),
        }
    }

    /// The identity of a subscriber that a worker serves.
    fn of(subscriber: &tidings_engine::Subscriber) -> Self {
        let label = subscriber.label.as_deref().map(|label| label as &dyn Any);
        let known = label.and_then(|label| {
            let kept = label.downcast_ref::<Kept>().map(|kept| &kept.identity);
            label.downcast_ref::<Self>().or(kept)
        });
        known.cloned().unwrap_or_else(|| Self {
            who: Who::nobody(),
            lease: None,
            announced: None,
            address: subscriber.peer.map(|peer| peer.ip().to_canonical()),
        })
    }
}

/// The label of a subscriber that runs for as long as a backend says.
struct Kept {
    identity: Identity,
    term: Arc<dyn Term>,
}

impl Label for Kept {
    fn term(&self) -> Option<&dyn Term> {
        Some(&*self.term)
    }

    fn ended(&self, reason: CloseReason) {
        self.identity.ended(reason);
    }
}

impl Label for Identity {
    fn term(&self) -> Option<&dyn Term> {
        (self.lease.is_some() || self.who.session.is_some()).then_some(self)
    }

    fn ended(&self, reason: CloseReason) {
        if let Some(announced) = &self.announced {
            announced.ended(reason);
        }
    }
}

impl Term for Identity {
    fn look(&self, connection: ConnectionId, now: Timestamp) -> Look {
        match (&self.lease, &self.who.session) {
            (Some(lease), _) => lease.look(connection, now, true),
            (None, Some(session)) => session.lease().look(connection, now, false),
            (None, None) => Look::Ended,
        }
    }
}

/// A subscriber.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// Who and where it is.
    pub identity: Identity,
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
    /// What operators know a session by.
    pub session: Option<String>,
    /// An address; of IPv6, its network of 64 bits.
    pub address: Option<IpAddr>,
    /// What covers one of their topics or patterns.
    pub topic: Option<Matcher>,
}

/// Subscribers whose streams are opened and not handed to the engine yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrivals(Arc<Mutex<BTreeMap<ConnectionId, Subscriber>>>);

impl Arrivals {
    /// Lists a subscriber until the returned place is dropped.
    pub(crate) fn enter(
        &self,
        id: ConnectionId,
        identity: Identity,
        interest: Interest,
    ) -> Arrival {
        self.lock().insert(id, Subscriber { identity, interest, since: clock::now() });
        Arrival { arrivals: self.clone(), id }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, Subscriber>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the [`Arrivals`].
#[derive(Debug)]
pub(crate) struct Arrival {
    arrivals: Arrivals,
    id: ConnectionId,
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.arrivals.lock().remove(&self.id);
    }
}

/// All subscribers, with those that are about to be.
#[derive(Clone, Copy)]
pub struct Present<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) arrivals: &'a Arrivals,
}

impl Present<'_> {
    /// Whether the connection is there.
    pub async fn has(self, id: ConnectionId) -> bool {
        let is_arriving = self.arrivals.lock().contains_key(&id);
        let is_open = async {
            self.engine.connection(id).await.is_some_and(|connection| connection.closed.is_none())
        };
        is_arriving || is_open.await
    }

    /// The subscriber of this connection that a worker serves.
    pub async fn find(self, id: ConnectionId) -> Option<Subscriber> {
        let is_meant = Box::new(|_: &tidings_engine::Subscriber| true);
        let found = self.engine.search(Search { after: None, only: Some(id), max: 1, is_meant });
        let found = found.await.into_iter().next()?;
        let identity = Identity::of(&found);
        let tidings_engine::Subscriber { interest, since, .. } = found;
        Some(Subscriber { identity, interest, since })
    }

    /// At most `max` of the subscribers that are meant, in the order of their ids, after `after`.
    pub async fn select(
        self,
        selection: Selection,
        after: Option<ConnectionId>,
        max: usize,
    ) -> Vec<(ConnectionId, Subscriber)> {
        let is_meant = {
            let selection = selection.clone();
            move |subscriber: &tidings_engine::Subscriber| {
                selection.means(&Identity::of(subscriber), &subscriber.interest)
            }
        };
        let mut meant: BTreeMap<_, _> = {
            let arriving = self.arrivals.lock();
            let later = arriving.iter().filter(|(id, _)| Some(**id) > after);
            let meant = later.filter(|(_, one)| selection.means(&one.identity, &one.interest));
            meant.map(|(id, subscriber)| (*id, subscriber.clone())).collect()
        };
        let search = Search { after, only: None, max, is_meant: Box::new(is_meant) };
        meant.extend(self.engine.search(search).await.into_iter().map(|subscriber| {
            let identity = Identity::of(&subscriber);
            let tidings_engine::Subscriber { id, interest, since, .. } = subscriber;
            (id, Subscriber { identity, interest, since })
        }));
        meant.into_iter().take(max).collect()
    }
}

impl Selection {
    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        let Self { subject, issuer, key, session, address, topic } = self;
        subject.is_none()
            && issuer.is_none()
            && key.is_none()
            && session.is_none()
            && address.is_none()
            && topic.is_none()
    }

    fn means(&self, Identity { who, address, .. }: &Identity, interest: &Interest) -> bool {
        let is = |wanted: &Option<String>, found: &Option<Box<str>>| {
            wanted.as_deref().is_none_or(|wanted| found.as_deref() == Some(wanted))
        };
        let reads =
            |topic: &Matcher| interest.wanted().iter().any(|wanted| wanted.is_covered_by(topic));
        let is_session = |wanted: &str| {
            who.session.as_ref().is_some_and(|session| session.id().public() == wanted)
        };
        let is_at = |wanted: &IpAddr| {
            address.is_some_and(|found| rate_limit_prefix(found) == rate_limit_prefix(*wanted))
        };
        is(&self.subject, &who.subject)
            && is(&self.issuer, &who.issuer)
            && is(&self.key, &who.key)
            && self.session.as_deref().is_none_or(is_session)
            && self.address.as_ref().is_none_or(is_at)
            && self.topic.as_ref().is_none_or(reads)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_subscriber_is_labelled_only_if_its_peers_address_does_not_say_it_all() {
        let (peer, client) = (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::new(192, 0, 2, 1).into());
        let identity = |who, address| Identity { who, address, lease: None, announced: None };
        let user = || Arc::new(Who::of_key("door"));
        assert!(identity(Who::nobody(), Some(peer)).is_only(peer));
        assert!(!identity(user(), Some(peer)).is_only(peer));
        assert!(!identity(Who::nobody(), Some(client)).is_only(peer), "behind a proxy");
        assert!(!identity(Who::nobody(), None).is_only(peer));
    }
}
