//! Sessions that were ended before their time.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tidings_hub::Timestamp;

use super::SessionId;
use crate::clock;
use crate::limits::REVOKED_SESSIONS_MAX;

/// The sessions that were ended before their time, until they would have ended by themselves.
/// Clones are the same.
#[derive(Clone, Default)]
pub struct RevokedSessions(Arc<Inner>);

#[derive(Default)]
struct Inner {
    known: RwLock<HashMap<SessionId, Timestamp>>,
    /// Whether there may be any; lets requests pass without the lock.
    is_any: AtomicBool,
    /// Where they survive a restart; `None` keeps them in memory. One change at a time.
    log: Mutex<Option<Log>>,
}

/// A session that was ended before its time, as hubs tell each other.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "Spoken", into = "Spoken")]
pub struct EndedSession {
    /// Its name.
    pub session: SessionId,
    /// When it would have ended by itself.
    pub until: Timestamp,
}

#[derive(Deserialize, Serialize)]
struct Spoken {
    sid: String,
    until_ms: u64,
}

impl From<EndedSession> for Spoken {
    fn from(EndedSession { session, until }: EndedSession) -> Self {
        Self { sid: session.hex(), until_ms: until.as_millis() }
    }
}

impl TryFrom<Spoken> for EndedSession {
    type Error = &'static str;

    fn try_from(Spoken { sid, until_ms }: Spoken) -> Result<Self, &'static str> {
        let session = SessionId::of_hex(&sid).ok_or("a session has a name of 16 bytes")?;
        Ok(Self { session, until: Timestamp::from_millis(until_ms) })
    }
}

/// A file with a line for each of them.
struct Log {
    path: PathBuf,
    file: File,
    lines: usize,
}

/// Why a session was not ended.
#[derive(Debug)]
pub enum RevokeError {
    /// There are as many as there can be. None is forgotten for another.
    Full,
    /// They cannot be written.
    Unwritten(io::Error),
}

impl RevokedSessions {
    /// Those in the file at `path`, which need not exist. Later ones are written to it.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let now = clock::now();
        // A crash can leave the last line unfinished: its session was not reported as ended.
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let known = lines.map(read).collect::<io::Result<HashMap<_, _>>>()?;
        let known: HashMap<_, _> = known.into_iter().filter(|(_, until)| *until > now).collect();
        let log = Log::write(path, &known)?;
        Ok(Self(Arc::new(Inner {
            is_any: AtomicBool::new(!known.is_empty()),
            known: RwLock::new(known),
            log: Mutex::new(Some(log)),
        })))
    }

    /// Ends a session that would end at `until`. It is written before it counts. May block.
    ///
    /// # Errors
    ///
    /// [`RevokeError`].
    pub fn revoke(&self, session: SessionId, until: Timestamp) -> Result<(), RevokeError> {
        self.revoke_all(&[EndedSession { session, until }]).map(drop)
    }

    /// The same for several, all or none. Returns those that are new.
    ///
    /// # Errors
    ///
    /// [`RevokeError`].
    pub fn revoke_all(&self, ended: &[EndedSession]) -> Result<Vec<SessionId>, RevokeError> {
        let mut log = self.0.log.lock().unwrap_or_else(PoisonError::into_inner);
        let known = || self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        let change = || self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        let new: Vec<_> = {
            let known = known();
            let is_new = |one: &&EndedSession| one.until > now && !known.contains_key(&one.session);
            ended.iter().filter(is_new).copied().collect()
        };
        if known().len() + new.len() > REVOKED_SESSIONS_MAX {
            change().retain(|_, until| *until > now);
            if known().len() + new.len() > REVOKED_SESSIONS_MAX {
                return Err(RevokeError::Full);
            }
        }
        if let Some(log) = &mut *log {
            log.append(&new).map_err(RevokeError::Unwritten)?;
        }
        self.0.is_any.store(true, Ordering::Release);
        change().extend(new.iter().map(|one| (one.session, one.until)));
        if let Some(log) = &mut *log
            && log.lines > 2 * REVOKED_SESSIONS_MAX
        {
            // If it cannot be written anew, the longer one is as good.
            if let Ok(shorter) = Log::write(log.path.clone(), &known()) {
                *log = shorter;
            }
        }
        Ok(new.iter().map(|one| one.session).collect())
    }

    /// All of them.
    pub fn entries(&self) -> Vec<EndedSession> {
        let (now, known) = (clock::now(), self.0.known.read());
        let known = known.unwrap_or_else(PoisonError::into_inner);
        let left = known.iter().filter(|(_, until)| **until > now);
        left.map(|(session, until)| EndedSession { session: *session, until: *until }).collect()
    }

    /// By this a hub finds that another knows others. Their names are random, so their exclusive or
    /// is as good as a hash of all.
    pub fn digest(&self) -> String {
        if !self.0.is_any.load(Ordering::Acquire) {
            return String::new();
        }
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        // One that ends is left out from the next minute on: clocks of hubs differ by less, mostly.
        let minute = clock::now().as_millis() / 60_000;
        let left = known.iter().filter(|(_, until)| until.as_millis() / 60_000 >= minute);
        let digest = left.fold(0, |digest, (session, _)| digest ^ u128::from_be_bytes(session.0));
        format!("{digest:032x}")
    }

    /// Whether a session was ended before its time.
    pub fn has(&self, session: SessionId) -> bool {
        self.0.is_any.load(Ordering::Acquire)
            && self.0.known.read().unwrap_or_else(PoisonError::into_inner).contains_key(&session)
    }
}

impl Log {
    /// Writes the file anew beside the old one, which it replaces when it is on the disk.
    fn write(path: PathBuf, known: &HashMap<SessionId, Timestamp>) -> io::Result<Self> {
        let new = path.with_extension("new");
        let text: String = known.iter().map(|(session, until)| line(*session, *until)).collect();
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        // The name is durable once its folder is.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        let file = OpenOptions::new().append(true).open(&path)?;
        Ok(Self { path, file, lines: known.len() })
    }

    fn append(&mut self, ended: &[EndedSession]) -> io::Result<()> {
        if ended.is_empty() {
            return Ok(());
        }
        let text: String = ended.iter().map(|one| line(one.session, one.until)).collect();
        let length = self.file.metadata()?.len();
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.lines += ended.len(),
            // So that the next line does not continue a part of this one.
            Err(_) => self.file.set_len(length)?,
        }
        written
    }
}

fn line(session: SessionId, until: Timestamp) -> String {
    format!("{} {}\n", session.hex(), until.as_millis())
}

fn read(line: &str) -> io::Result<(SessionId, Timestamp)> {
    let parse = || {
        let (session, until) = line.split_once(' ')?;
        Some((SessionId::of_hex(session)?, Timestamp::from_millis(until.parse().ok()?)))
    };
    parse().ok_or_else(|| io::Error::other(format!("{line:?} is no session")))
}

impl fmt::Debug for RevokedSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevokedSessions").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn later() -> Timestamp {
        Timestamp::from_millis(clock::now().as_millis() + 60_000)
    }

    #[test]
    fn an_ended_session_stays_ended_after_a_restart_and_a_torn_line_is_none() {
        let folder = std::env::temp_dir().join(format!("tidings-revoked-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("sessions.revoked");
        let _ = fs::remove_file(&path);
        let (one, two) = (SessionId([0xab; 16]), SessionId([2; 16]));
        let revoked = RevokedSessions::open(path.clone()).unwrap();
        assert!(!revoked.has(one));
        revoked.revoke(one, later()).unwrap();
        revoked.revoke(two, Timestamp::from_millis(1)).unwrap();
        drop(revoked);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"abab").unwrap();
        let again = RevokedSessions::open(path.clone()).unwrap();
        assert!(again.has(one));
        assert!(!again.has(two), "it has ended by itself");
        assert!(!again.has(SessionId([3; 16])));
        fs::write(&path, "what\n").unwrap();
        assert!(RevokedSessions::open(path).is_err());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn hubs_that_know_the_same_have_the_same_digest_and_what_is_known_is_not_new() {
        let [one, other] = [(); 2].map(|()| RevokedSessions::default());
        assert_eq!(one.digest(), "");
        for number in 0..3 {
            one.revoke(SessionId([number; 16]), later()).unwrap();
        }
        assert_ne!(one.digest(), other.digest());
        let told = serde_json::to_string(&one.entries()).unwrap();
        let told: Vec<EndedSession> = serde_json::from_str(&told).unwrap();
        assert_eq!(other.revoke_all(&told).unwrap().len(), 3);
        assert_eq!(one.digest(), other.digest());
        assert!(other.revoke_all(&told).unwrap().is_empty());
        assert!(serde_json::from_str::<EndedSession>(r#"{"sid":"7","until_ms":1}"#).is_err());
    }

    #[test]
    fn no_ended_session_is_forgotten_for_another() {
        let revoked = RevokedSessions::default();
        let many = (0..REVOKED_SESSIONS_MAX as u128).map(|n| (SessionId(n.to_be_bytes()), later()));
        *revoked.0.known.write().unwrap() = many.collect();
        let one_more = SessionId([0xff; 16]);
        assert!(matches!(revoked.revoke(one_more, later()), Err(RevokeError::Full)));
        let past = (SessionId([1; 16]), Timestamp::from_millis(1));
        revoked.0.known.write().unwrap().insert(past.0, past.1);
        revoked.0.known.write().unwrap().remove(&SessionId(0_u128.to_be_bytes()));
        assert!(revoked.revoke(one_more, later()).is_ok());
        assert!(revoked.has(one_more));
    }
}
