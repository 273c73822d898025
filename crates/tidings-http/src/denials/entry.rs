use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tidings_hub::Timestamp;

use super::{Denied, Known, Term};

/// A denial as files and messages between hubs have it; also one that was lifted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(default)]
pub struct DenialEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    /// In milliseconds since 1970. Of a lifted one it is 0: an older version, which knows none,
    /// takes it for one that is over.
    until_ms: u64,
    /// When a lifted one would have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifted_until_ms: Option<u64>,
    /// When it was decided.
    changed_ms: u64,
}

impl DenialEntry {
    pub(super) fn new(denied: &Denied, term: Term) -> Self {
        let until = term.until.as_millis();
        let mut entry = Self {
            until_ms: if term.is_lifted { 0 } else { until },
            lifted_until_ms: term.is_lifted.then_some(until),
            changed_ms: term.changed.as_millis(),
            ..Self::default()
        };
        match denied.clone() {
            Denied::Subject(subject, issuer) => (entry.sub, entry.iss) = (Some(subject), issuer),
            Denied::Key(key) => entry.key = Some(key),
            Denied::Session(session) => entry.session = Some(session),
            Denied::Address(address) => entry.address = Some(address),
        }
        entry
    }

    /// `None` if it denies nobody.
    pub(super) fn into_term(self) -> Option<(Denied, Term)> {
        let Self { sub, iss, key, session, address, until_ms, lifted_until_ms, changed_ms } = self;
        let denied = match (sub, key, session, address) {
            (Some(subject), ..) => Denied::Subject(subject, iss),
            (_, Some(key), ..) => Denied::Key(key),
            (.., Some(session), _) => Denied::Session(session),
            (.., Some(address)) => Denied::address(address),
            _ => return None,
        };
        let term = Term {
            changed: Timestamp::from_millis(changed_ms),
            is_lifted: lifted_until_ms.is_some(),
            until: Timestamp::from_millis(lifted_until_ms.unwrap_or(until_ms)),
        };
        Some((denied, term))
    }
}

pub(super) fn read(bytes: &[u8]) -> io::Result<Known> {
    let entries: Vec<DenialEntry> = serde_json::from_slice(bytes)?;
    let terms = entries.into_iter().map(DenialEntry::into_term);
    terms.collect::<Option<_>>().ok_or_else(|| io::Error::other("an entry denies nobody"))
}

/// Writes the file anew beside the old one, which it replaces when it is on the disk.
pub(super) fn write(path: &Path, known: &Known) -> io::Result<()> {
    let entries: Vec<_> =
        known.iter().map(|(denied, term)| DenialEntry::new(denied, *term)).collect();
    let new = path.with_extension("json.new");
    let mut file = fs::File::create(&new)?;
    file.write_all(&serde_json::to_vec(&entries)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The name is durable once its folder is.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
