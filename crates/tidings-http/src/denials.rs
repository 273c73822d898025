//! Identities that are kept away for a while, whatever their credentials grant.
//!
//! # Between hubs
//!
//! Hubs of a shared log have the same denials. Of what two hubs know about one identity the later
//! change counts, so they may tell each other everything in any order and any number of times. A
//! lifted denial is remembered until it would have ended: another hub that still has it would
//! otherwise bring it back.

mod entry;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;
use tidings_hub::Timestamp;

use crate::auth::who::Who;
use crate::client;
use crate::clock;
use crate::limits::{DENIALS_MAX, LIFTED_DENIALS_MAX};

pub use entry::DenialEntry;

/// All denials. Clones are the same.
#[derive(Clone, Default)]
pub struct Denials(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Where they survive a restart; `None` keeps them in memory.
    path: Option<PathBuf>,
    /// One change at a time, so that the file is as new as the memory.
    changing: Mutex<()>,
    known: Mutex<Known>,
    /// Whether there may be any; lets requests pass without the lock.
    is_any: AtomicBool,
}

type Known = HashMap<Denied, Term>;

/// How long an identity is denied. Of two, the greater one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Term {
    /// When this was decided.
    changed: Timestamp,
    is_lifted: bool,
    /// When it is forgotten.
    until: Timestamp,
}

/// What is denied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Denied {
    /// A subject, of one issuer or of any.
    Subject(Box<str>, Option<Box<str>>),
    /// The bearers of an API key.
    Key(Box<str>),
    /// A session, by what operators know it by.
    Session(Box<str>),
    /// An address; of IPv6, its network of 64 bits.
    Address(IpAddr),
}

/// Why a denial was not recorded. Nothing was changed.
#[derive(Debug)]
pub enum DenyError {
    /// There are as many as there can be. None is dropped for another.
    Full,
    /// They cannot be written.
    Unwritten(io::Error),
}

impl Denials {
    /// The denials in the file at `path`, which need not exist. Later ones are written to it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no list of denials.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let known = match fs::read(&path) {
            Ok(bytes) => entry::read(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => return Err(error),
        };
        let is_any = AtomicBool::new(!known.is_empty());
        let known = Mutex::new(known);
        Ok(Self(Arc::new(Inner { path: Some(path), known, is_any, ..Inner::default() })))
    }

    /// Keeps `denied` away until `until`. It is written before it counts. May block. Returns what
    /// other hubs should know.
    ///
    /// # Errors
    ///
    /// [`DenyError`].
    pub fn deny(&self, denied: Denied, until: Timestamp) -> Result<DenialEntry, DenyError> {
        self.change(|known| {
            let in_force = known.values().filter(|term| !term.is_lifted).count();
            let known_term = known.get(&denied);
            if in_force >= DENIALS_MAX && known_term.is_none_or(|term| term.is_lifted) {
                return Err(DenyError::Full);
            }
            let term = Term { changed: after(known_term), is_lifted: false, until };
            known.insert(denied.clone(), term);
            Ok(DenialEntry::new(&denied, term))
        })
    }

    /// Lifts a denial. May block. Returns what other hubs should know; `None` if there was none.
    ///
    /// # Errors
    ///
    /// [`DenyError::Unwritten`].
    pub fn lift(&self, denied: &Denied) -> Result<Option<DenialEntry>, DenyError> {
        self.change(|known| {
            let Some(term) = known.get_mut(denied).filter(|term| !term.is_lifted) else {
                return Ok(None);
            };
            *term = Term { changed: after(Some(term)), is_lifted: true, ..*term };
            let entry = DenialEntry::new(denied, *term);
            bound_lifted(known);
            Ok(Some(entry))
        })
    }

    /// Takes over what another hub knows. May block. Returns the identities that are denied by it
    /// and were not before.
    ///
    /// # Errors
    ///
    /// [`DenyError`]; with [`DenyError::Full`], the others are taken over.
    pub fn merge(&self, entries: Vec<DenialEntry>) -> Result<Vec<Denied>, DenyError> {
        let mut is_full = false;
        let new = self.change(|known| {
            let mut in_force = known.values().filter(|term| !term.is_lifted).count();
            let mut new = Vec::new();
            for (denied, term) in entries.into_iter().filter_map(DenialEntry::into_term) {
                if term.until <= clock::now() || known.get(&denied).is_some_and(|had| *had >= term)
                {
                    continue;
                }
                let was_denied = known.get(&denied).is_some_and(|had| !had.is_lifted);
                if !term.is_lifted && !was_denied {
                    if in_force >= DENIALS_MAX {
                        is_full = true;
                        continue;
                    }
                    in_force += 1;
                    new.push(denied.clone());
                }
                known.insert(denied, term);
            }
            bound_lifted(known);
            Ok(new)
        })?;
        if is_full { Err(DenyError::Full) } else { Ok(new) }
    }

    /// All that are in force, in no order.
    pub fn list(&self) -> Vec<(Denied, Timestamp)> {
        let now = clock::now();
        let known = self.known();
        let in_force = known.iter().filter(|(_, term)| term.is_in_force(now));
        in_force.map(|(denied, term)| (denied.clone(), term.until)).collect()
    }

    /// All that other hubs should know, also lifted ones, in an order that is the same everywhere.
    pub fn entries(&self) -> Vec<DenialEntry> {
        let now = clock::now();
        let known = self.known();
        let current = known.iter().filter(|(_, term)| term.until > now);
        let mut entries: Vec<_> =
            current.map(|(denied, term)| DenialEntry::new(denied, *term)).collect();
        drop(known);
        entries.sort_unstable();
        entries
    }

    /// A text by which two hubs find that they know the same.
    pub fn digest(&self) -> String {
        let entries = self.entries();
        if entries.is_empty() {
            return String::new();
        }
        let bytes = serde_json::to_vec(&entries).expect("entries are JSON");
        let digest = digest::digest(&digest::SHA256, &bytes);
        digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Until when `who`, or `address`, is denied.
    pub fn until(&self, who: &Who, address: Option<IpAddr>) -> Option<Timestamp> {
        if !self.0.is_any.load(Ordering::Acquire) {
            return None;
        }
        let now = clock::now();
        let known = self.known();
        let names = Denied::names(who, address);
        let terms = names.iter().filter_map(|name| known.get(name));
        terms.filter(|term| term.is_in_force(now)).map(|term| term.until).max()
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Known) -> Result<T, DenyError>,
    ) -> Result<T, DenyError> {
        let _changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        let before = self.known().clone();
        let mut known = before.clone();
        known.retain(|_, term| term.until > now);
        let done = change(&mut known)?;
        if known == before {
            return Ok(done);
        }
        if let Some(path) = &self.0.path {
            entry::write(path, &known).map_err(DenyError::Unwritten)?;
        }
        self.0.is_any.store(!known.is_empty(), Ordering::Release);
        *self.known() = known;
        Ok(done)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Term {
    fn is_in_force(self, now: Timestamp) -> bool {
        !self.is_lifted && self.until > now
    }
}

/// The moment of a change that counts more than what was known.
fn after(known: Option<&Term>) -> Timestamp {
    let known = known.map_or(0, |term| term.changed.as_millis().saturating_add(1));
    Timestamp::from_millis(clock::now().as_millis().max(known))
}

/// Forgets the lifted denials that are too many.
fn bound_lifted(known: &mut Known) {
    let lifted = known.iter().filter(|(_, term)| term.is_lifted);
    let mut ends: Vec<_> = lifted.map(|(_, term)| Reverse(term.until)).collect();
    if ends.len() > LIFTED_DENIALS_MAX {
        ends.sort_unstable();
        let Reverse(shortest) = ends[LIFTED_DENIALS_MAX - 1];
        known.retain(|_, term| !term.is_lifted || term.until >= shortest);
    }
}

impl Denied {
    /// The denial of an address.
    pub fn address(address: IpAddr) -> Self {
        Self::Address(client::rate_limit_prefix(address))
    }

    /// Every name under which a request can be denied.
    fn names(who: &Who, address: Option<IpAddr>) -> Vec<Self> {
        let mut names = Vec::with_capacity(4);
        if let Some(subject) = &who.subject {
            names.push(Self::Subject(subject.clone(), None));
            names.extend(who.issuer.clone().map(|iss| Self::Subject(subject.clone(), Some(iss))));
        }
        names.extend(who.key.clone().map(Self::Key));
        let session = who.session.as_ref();
        names.extend(session.map(|session| Self::Session(session.id().public().into())));
        names.extend(address.map(Self::address));
        names
    }
}

impl fmt::Debug for Denials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denials").field("path", &self.0.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn user(subject: &str, issuer: Option<&str>) -> Who {
        Who { subject: Some(subject.into()), issuer: issuer.map(Into::into), ..Who::default() }
    }

    fn later() -> Timestamp {
        Timestamp::from_millis(clock::now().as_millis() + 60_000)
    }

    #[test]
    fn a_denial_is_of_a_subject_a_key_or_an_address() {
        let denials = Denials::default();
        let is_denied =
            |who: &Who, address: &str| denials.until(who, Some(address.parse().unwrap())).is_some();
        denials.deny(Denied::Subject("7".into(), None), later()).unwrap();
        denials.deny(Denied::Subject("8".into(), Some("a".into())), later()).unwrap();
        denials.deny(Denied::Key("k".into()), later()).unwrap();
        denials.deny(Denied::address("2001:db8::1".parse().unwrap()), later()).unwrap();
        for (who, address, expected) in [
            (user("7", None), "192.0.2.1", true),
            (user("7", Some("b")), "192.0.2.1", true),
            (user("8", Some("a")), "192.0.2.1", true),
            (user("8", Some("b")), "192.0.2.1", false),
            (user("8", None), "192.0.2.1", false),
            (Who::of_key("k"), "192.0.2.1", true),
            (user("k", None), "192.0.2.1", false),
            (Who::default(), "2001:db8::ffff", true),
            (Who::default(), "2001:db8:0:1::1", false),
        ] {
            assert_eq!(is_denied(&who, address), expected, "{who:?} {address}");
        }
        assert!(denials.lift(&Denied::Key("k".into())).unwrap().is_some());
        assert!(denials.lift(&Denied::Key("k".into())).unwrap().is_none());
        assert!(!is_denied(&Who::of_key("k"), "192.0.2.1"));
        denials.deny(Denied::Subject("9".into(), None), Timestamp::from_millis(1)).unwrap();
        assert!(!is_denied(&user("9", None), "192.0.2.1"), "it is over");
    }

    #[test]
    fn no_denial_is_dropped_for_another() {
        let denials = Denials::default();
        {
            let names = (0..DENIALS_MAX).map(|number| Denied::Key(number.to_string().into()));
            let term = Term { changed: clock::now(), is_lifted: false, until: later() };
            *denials.known() = names.map(|name| (name, term)).collect();
        }
        let one_more = denials.deny(Denied::Key("x".into()), later());
        assert!(matches!(one_more, Err(DenyError::Full)));
        assert!(denials.deny(Denied::Key("5".into()), later()).is_ok(), "it is there already");
    }

    #[test]
    fn hubs_that_tell_each_other_everything_know_the_same_whatever_the_order() {
        let (key, user) = (Denied::Key("k".into()), Denied::Subject("7".into(), None));
        let [one, two, three] = [(); 3].map(|()| Denials::default());
        let denial = one.deny(key.clone(), later()).unwrap();
        assert_eq!(two.merge(vec![denial.clone()]).unwrap(), std::slice::from_ref(&key));
        assert!(two.merge(vec![denial.clone()]).unwrap().is_empty(), "it is known");
        let lifted = two.lift(&key).unwrap().unwrap();
        two.deny(user.clone(), later()).unwrap();
        // The one that was lifted comes late, and does not count.
        assert!(three.merge(vec![lifted]).unwrap().is_empty());
        assert!(three.merge(vec![denial]).unwrap().is_empty());
        for (from, to) in [(&two, &one), (&one, &three), (&three, &two)] {
            to.merge(from.entries()).unwrap();
        }
        for denials in [&one, &two, &three] {
            assert_eq!(denials.list().len(), 1);
            assert_eq!(denials.list()[0].0, user);
            assert_eq!(denials.digest(), one.digest());
        }
        // What was lifted can be denied again.
        let again = three.deny(key.clone(), later()).unwrap();
        assert_eq!(one.merge(vec![again]).unwrap(), [key]);
    }

    #[test]
    fn a_lifted_denial_stays_lifted_over_a_restart_and_is_none_to_older_versions() {
        let folder = std::env::temp_dir().join(format!("tidings-denials-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("denials.json");
        let (key, user) = (Denied::Key("k".into()), Denied::Subject("7".into(), None));
        let before = Denials::open(path.clone()).unwrap();
        let denial = before.deny(key.clone(), later()).unwrap();
        before.deny(user.clone(), later()).unwrap();
        before.lift(&key).unwrap();

        let after = Denials::open(path.clone()).unwrap();
        assert_eq!(after.digest(), before.digest());
        assert!(after.merge(vec![denial]).unwrap().is_empty());
        assert_eq!(after.list().len(), 1);
        let text = fs::read_to_string(&path).unwrap();
        let file: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        let lifted = file.iter().find(|entry| entry["key"] == "k").unwrap();
        assert_eq!(lifted["until_ms"], 0, "a version that does not know `lifted_until_ms`");

        // A file of such a version.
        let until = later().as_millis();
        fs::write(&path, format!("[{{\"sub\":\"9\",\"until_ms\":{until}}}]")).unwrap();
        assert_eq!(Denials::open(path).unwrap().list().len(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }
}
