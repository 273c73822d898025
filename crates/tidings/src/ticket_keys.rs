//! The file with the keys of TLS session tickets: made at the first start, followed, and given a
//! new key every few hours by whichever hub comes first.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tidings_server::{TicketKeys, Tls};

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::settings::Settings;
use crate::{private_file, random};

/// A file with keys of session tickets.
#[derive(Clone, Debug)]
pub(crate) struct TicketKeyFile {
    path: PathBuf,
}

impl TicketKeyFile {
    /// The file that the settings name.
    ///
    /// # Errors
    ///
    /// It is named, but there is no TLS.
    pub(crate) fn of(settings: &Settings, has_tls: bool) -> Result<Option<Self>, CliError> {
        match &settings.hub.ticket_keys {
            Some(path) if has_tls => Ok(Some(Self { path: path.clone() })),
            Some(_) => {
                let origin = settings.origin("tls-ticket-keys");
                let message = format!("{origin}: tls-ticket-keys needs TLS beside it");
                Err(CliError::new(ExitCode::Configuration, message))
            }
            None => Ok(None),
        }
    }

    /// Whether the file can be used, if it is there.
    ///
    /// # Errors
    ///
    /// It cannot be read, or holds something else.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        match self.read() {
            Err(Failed::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            read => read.map(drop).map_err(|error| self.cannot_use(error)),
        }
    }

    /// Seals the tickets of `tls` with the keys of the file, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// The file cannot be read or made, or holds something else.
    pub(crate) fn open(&self, tls: &Tls) -> Result<(), CliError> {
        let now = SystemTime::now();
        let keys = self.read_or_make(now).map_err(|error| self.cannot_use(error))?;
        tls.share_tickets(&keys, now);
        Ok(())
    }

    /// Follows the file, and adds keys when it is time to. Never ends.
    pub(crate) async fn follow(self, tls: Tls) {
        let mut said = None;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let (file, tls) = (self.clone(), tls.clone());
            let turn = tokio::task::spawn_blocking(move || file.turn(&tls, SystemTime::now()));
            let problem = turn.await.unwrap_or(None);
            if let Some(problem) =
                problem.as_ref().filter(|problem| said.as_ref() != Some(*problem))
            {
                let file = self.path.display();
                tracing::warn!(%file, %problem, "the keys of session tickets stay as they are");
            }
            said = problem;
        }
    }

    /// One look at the file; what is wrong with it, if anything.
    fn turn(&self, tls: &Tls, now: SystemTime) -> Option<String> {
        let keys = match self.read() {
            Ok(keys) => keys,
            Err(problem) => return Some(problem.to_string()),
        };
        tls.share_tickets(&keys, now);
        if !keys.is_outdated(now) {
            return None;
        }
        match self.rotate(now) {
            Ok(Some(keys)) => tls.share_tickets(&keys, now),
            // Another hub is about to.
            Ok(None) => {}
            Err(problem) => return Some(problem.to_string()),
        }
        None
    }

    /// Adds a key, unless another hub has done so meanwhile or is doing so.
    fn rotate(&self, now: SystemTime) -> Result<Option<TicketKeys>, Failed> {
        let Some(_lock) = self.lock()? else { return Ok(None) };
        let keys = self.read()?;
        if !keys.is_outdated(now) {
            return Ok(Some(keys));
        }
        let keys = keys.rotated(now, secret()?);
        private_file::write(&self.path, keys.to_text().as_bytes())?;
        Ok(Some(keys))
    }

    fn read_or_make(&self, now: SystemTime) -> Result<TicketKeys, Failed> {
        let deadline = std::time::Instant::now() + MAKING_MAX;
        loop {
            match self.read() {
                Err(Failed::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
                read => return read,
            }
            match self.lock()? {
                // Another hub may have made it before the lock was ours.
                Some(_lock) if !self.path.exists() => {
                    let keys = TicketKeys::new(now, secret()?);
                    private_file::write(&self.path, keys.to_text().as_bytes())?;
                }
                _ => {}
            }
            if std::time::Instant::now() > deadline {
                return Err(Failed::Io(io::ErrorKind::TimedOut.into()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn read(&self) -> Result<TicketKeys, Failed> {
        let text = fs::read_to_string(&self.path)?;
        TicketKeys::parse(&text).map_err(|error| Failed::Text(error.to_string()))
    }

    fn lock(&self) -> io::Result<Option<fs::File>> {
        private_file::try_lock(&private_file::with_suffix(&self.path, ".lock"))
    }

    fn cannot_use(&self, error: Failed) -> CliError {
        let file = self.path.display();
        let message = format!("the keys of session tickets in {file} cannot be used: {error}");
        CliError::new(ExitCode::Configuration, message)
            .hint("the hub makes the file by itself, in a folder that it may write to")
    }
}

/// Why the file cannot be used.
enum Failed {
    Io(io::Error),
    Text(String),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Text(reason) => f.write_str(reason),
        }
    }
}

fn secret() -> Result<[u8; 32], Failed> {
    random::bytes().map_err(|error| Failed::Text(error.to_string()))
}

/// How often the file is looked at: several times within the grace of a new key.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// How long a start waits for a file that another hub is making.
const MAKING_MAX: Duration = Duration::from_secs(5);
