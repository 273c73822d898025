//! Identities that are kept away for a while, whatever their credentials grant.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tidings_hub::Timestamp;

use crate::auth::who::Who;
use crate::client;
use crate::clock;
use crate::limits::DENIALS_MAX;

/// All denials. Clones are the same.
#[derive(Clone, Default)]
pub struct Denials(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Where they survive a restart; `None` keeps them in memory.
    path: Option<PathBuf>,
    /// One change at a time, so that the file is as new as the memory.
    changing: Mutex<()>,
    known: Mutex<HashMap<Denied, Timestamp>>,
    /// Whether there may be any; lets requests pass without the lock.
    is_any: AtomicBool,
}

/// What is denied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Denied {
    /// A subject, of one issuer or of any.
    Subject(Box<str>, Option<Box<str>>),
    /// The bearers of an API key.
    Key(Box<str>),
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

/// A denial in the file.
#[derive(Deserialize, Serialize)]
struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    /// In milliseconds since 1970.
    until_ms: u64,
}

impl Denials {
    /// The denials in the file at `path`, which need not exist. Later ones are written to it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is no list of denials.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let known = match fs::read(&path) {
            Ok(bytes) => read(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => return Err(error),
        };
        let is_any = AtomicBool::new(!known.is_empty());
        let known = Mutex::new(known);
        Ok(Self(Arc::new(Inner { path: Some(path), known, is_any, ..Inner::default() })))
    }

    /// Keeps `denied` away until `until`. It is written before it counts. May block.
    ///
    /// # Errors
    ///
    /// [`DenyError`].
    pub fn deny(&self, denied: Denied, until: Timestamp) -> Result<(), DenyError> {
        self.change(|known| {
            if known.len() >= DENIALS_MAX && !known.contains_key(&denied) {
                return Err(DenyError::Full);
            }
            known.insert(denied, until);
            Ok(())
        })
    }

    /// Lifts a denial. Returns whether there was one. May block.
    ///
    /// # Errors
    ///
    /// [`DenyError::Unwritten`].
    pub fn lift(&self, denied: &Denied) -> Result<bool, DenyError> {
        let mut was_there = false;
        self.change(|known| {
            was_there = known.remove(denied).is_some();
            Ok(())
        })?;
        Ok(was_there)
    }

    /// All that are in force, in no order.
    pub fn list(&self) -> Vec<(Denied, Timestamp)> {
        let now = clock::now();
        let known = self.known();
        known.iter().filter(|(_, until)| **until > now).map(|(d, u)| (d.clone(), *u)).collect()
    }

    /// Until when `who`, or `address`, is denied.
    pub fn until(&self, who: &Who, address: Option<IpAddr>) -> Option<Timestamp> {
        if !self.0.is_any.load(Ordering::Acquire) {
            return None;
        }
        let known = self.known();
        let names = Denied::names(who, address);
        let until = names.iter().filter_map(|name| known.get(name)).max().copied();
        until.filter(|until| *until > clock::now())
    }

    fn change(
        &self,
        change: impl FnOnce(&mut HashMap<Denied, Timestamp>) -> Result<(), DenyError>,
    ) -> Result<(), DenyError> {
        let _changing = self.0.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        let mut known = self.known().clone();
        known.retain(|_, until| *until > now);
        change(&mut known)?;
        if let Some(path) = &self.0.path {
            write(path, &known).map_err(DenyError::Unwritten)?;
        }
        self.0.is_any.store(!known.is_empty(), Ordering::Release);
        *self.known() = known;
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Denied, Timestamp>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
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
        names.extend(address.map(Self::address));
        names
    }
}

fn read(bytes: &[u8]) -> io::Result<HashMap<Denied, Timestamp>> {
    let entries: Vec<Entry> = serde_json::from_slice(bytes)?;
    let entry = |entry: Entry| {
        let denied = match entry {
            Entry { sub: Some(subject), iss, .. } => Denied::Subject(subject, iss),
            Entry { key: Some(key), .. } => Denied::Key(key),
            Entry { address: Some(address), .. } => Denied::address(address),
            _ => return Err(io::Error::other("an entry denies nobody")),
        };
        Ok((denied, Timestamp::from_millis(entry.until_ms)))
    };
    entries.into_iter().map(entry).collect()
}

/// Writes the file anew beside the old one, which it replaces when it is on the disk.
fn write(path: &Path, known: &HashMap<Denied, Timestamp>) -> io::Result<()> {
    let entry = |(denied, until): (&Denied, &Timestamp)| {
        let mut entry =
            Entry { sub: None, iss: None, key: None, address: None, until_ms: until.as_millis() };
        match denied.clone() {
            Denied::Subject(subject, issuer) => (entry.sub, entry.iss) = (Some(subject), issuer),
            Denied::Key(key) => entry.key = Some(key),
            Denied::Address(address) => entry.address = Some(address),
        }
        entry
    };
    let entries: Vec<_> = known.iter().map(entry).collect();
    let new = path.with_extension("json.new");
    let mut file = fs::File::create(&new)?;
    file.write_all(&serde_json::to_vec(&entries)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The name is durable once its folder is.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
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
        Who { key: None, subject: Some(subject.into()), issuer: issuer.map(Into::into) }
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
        assert!(denials.lift(&Denied::Key("k".into())).unwrap());
        assert!(!is_denied(&Who::of_key("k"), "192.0.2.1"));
        denials.deny(Denied::Subject("9".into(), None), Timestamp::from_millis(1)).unwrap();
        assert!(!is_denied(&user("9", None), "192.0.2.1"), "it is over");
    }

    #[test]
    fn no_denial_is_dropped_for_another() {
        let denials = Denials::default();
        {
            let names = (0..DENIALS_MAX).map(|number| Denied::Key(number.to_string().into()));
            *denials.known() = names.map(|name| (name, later())).collect();
        }
        let one_more = denials.deny(Denied::Key("x".into()), later());
        assert!(matches!(one_more, Err(DenyError::Full)));
        assert!(denials.deny(Denied::Key("5".into()), later()).is_ok(), "it is there already");
    }
}
