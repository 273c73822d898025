//! Sessions with running streams: their ends move when the session is renewed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tidings_hub::{Grant, Interest, Timestamp};

use super::SessionId;
use crate::clock;
use crate::lease::Lease;

/// A session as its running streams know it. It lives as long as one of them.
#[derive(Debug)]
pub struct LiveSession {
    id: SessionId,
    /// The origin of the page that may use it; `None` is the hub's own.
    origin: Option<Box<str>>,
    lease: Lease,
    grant: Mutex<Arc<Grant>>,
    all: Weak<Table>,
}

/// The sessions that are live. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveSessions(Arc<Table>);

type Table = Mutex<HashMap<SessionId, Weak<LiveSession>>>;

impl LiveSessions {
    /// The live session that a cookie with this grant belongs to. One that says something else than
    /// the streams that run, because it is older or was made by another hub, is for itself.
    pub(crate) fn join(
        &self,
        id: SessionId,
        origin: Option<Box<str>>,
        grant: &Arc<Grant>,
        before: Duration,
    ) -> Arc<LiveSession> {
        let mut all = lock(&self.0);
        let known = all.get(&id).and_then(Weak::upgrade);
        if let Some(known) = known.as_ref().filter(|known| known.grant() == *grant) {
            return Arc::clone(known);
        }
        let session = Arc::new(LiveSession {
            id,
            origin,
            lease: Lease::new(clock::now(), end(grant), before),
            grant: Mutex::new(Arc::clone(grant)),
            all: Arc::downgrade(&self.0),
        });
        let is_newest = known.is_none_or(|known| known.ends_ms() < session.ends_ms());
        if is_newest {
            all.insert(id, Arc::downgrade(&session));
        }
        session
    }

    /// Gives the streams of a session another grant. Returns whether there may be any.
    pub(crate) fn renew(&self, id: SessionId, grant: &Arc<Grant>, before: Duration) -> bool {
        let session = lock(&self.0).get(&id).and_then(Weak::upgrade);
        let Some(session) = session else { return false };
        *lock(&session.grant) = Arc::clone(grant);
        session.lease.renew(clock::now(), end(grant), before);
        true
    }
}

impl LiveSession {
    /// The name of the session.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The origin of the page that may use it; `None` is the hub's own.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Whether the session covers a stream, of which everybody may read what `everybody` says.
    pub fn covers(&self, interest: &Interest, everybody: &Grant) -> bool {
        covers(&self.grant(), everybody, interest)
    }

    fn ends_ms(&self) -> u64 {
        self.lease.ends().as_millis()
    }

    /// When it ends, as it stands now.
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    fn grant(&self) -> Arc<Grant> {
        Arc::clone(&lock(&self.grant))
    }
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        let Some(all) = self.all.upgrade() else { return };
        let mut all = lock(&all);
        // Another may have taken its place since.
        if all.get(&self.id).is_some_and(|session| session.strong_count() == 0) {
            all.remove(&self.id);
        }
    }
}

/// Whether `grant`, with what everybody may read, covers all that a stream is given. A stream may
/// want more than that if it gets only what is granted.
pub fn covers(grant: &Grant, everybody: &Grant, interest: &Interest) -> bool {
    let may_read = |asked| grant.may_subscribe(asked) || everybody.may_subscribe(asked);
    interest.granted().unwrap_or(interest.wanted()).iter().all(may_read)
        && interest.private().iter().all(|asked| grant.may_subscribe(asked))
}

fn end(grant: &Grant) -> Timestamp {
    grant.expires.unwrap_or(Timestamp::from_millis(u64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tidings_hub::Matcher;

    use super::*;

    const SOON: Duration = Duration::from_secs(1);

    fn grant(until_ms: u64) -> Arc<Grant> {
        let expires = Some(Timestamp::from_millis(until_ms));
        Arc::new(Grant { expires, ..Grant::nothing() })
    }

    #[test]
    fn a_renewal_moves_the_end_of_all_streams_of_the_session_and_of_no_other() {
        let all = LiveSessions::default();
        let (one, other) = (SessionId([1; 16]), SessionId([2; 16]));
        let first = all.join(one, None, &grant(10), SOON);
        let second = all.join(one, None, &grant(10), SOON);
        let foreign = all.join(other, None, &grant(10), SOON);
        assert!(all.renew(one, &grant(20), SOON));
        assert_eq!([&first, &second, &foreign].map(|session| session.ends_ms()), [20, 20, 10]);
        assert!(Arc::ptr_eq(&first, &all.join(one, None, &grant(20), SOON)));
    }

    #[test]
    fn a_stream_that_wants_more_than_it_gets_is_covered_by_a_grant_of_what_it_gets() {
        let matchers = |texts: &[&str]| -> Vec<Matcher> {
            texts.iter().map(|text| Matcher::parse(text).expect("a pattern")).collect()
        };
        let grant = |texts| Grant { subscribe: matchers(texts), ..Grant::nothing() };
        let (own, everybody) = (grant(&["own/*"]), grant(&["public"]));
        let narrow = Interest::new(matchers(&["**"]), matchers(&["own/*"]));
        assert!(!covers(&own, &everybody, &narrow), "nothing filters it");
        let filtered = narrow.within_grant_and(&matchers(&["public"]));
        assert!(covers(&own, &everybody, &filtered));
        assert!(!covers(&grant(&["own/1"]), &everybody, &filtered));
        assert!(!covers(&own, &Grant::nothing(), &filtered));
        let all = Interest::new(matchers(&["a"]), matchers(&["**"])).within_grant();
        assert!(covers(&grant(&["**"]), &everybody, &all));
        assert!(!covers(&own, &everybody, &all));
    }

    #[test]
    fn a_cookie_that_says_something_else_moves_no_stream() {
        let all = LiveSessions::default();
        let id = SessionId([1; 16]);
        let running = all.join(id, None, &grant(10), SOON);
        let newer = all.join(id, None, &grant(20), SOON);
        let older = all.join(id, None, &grant(5), SOON);
        assert_eq!([&running, &newer, &older].map(|session| session.ends_ms()), [10, 20, 5]);
        drop(older);
        drop(running);
        assert!(Arc::ptr_eq(&newer, &all.join(id, None, &grant(20), SOON)));
        drop(newer);
        assert!(lock(&all.0).is_empty(), "nothing is kept");
        assert!(!all.renew(id, &grant(30), SOON));
    }
}
