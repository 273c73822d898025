//! The certificate of the hub: from its files to the server, at the start and whenever they change.

use std::error::Error;
use std::fmt;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tidings_server::{Tls, Validity};

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::settings::Settings;

/// Where the certificate and its key are.
#[derive(Clone, Debug)]
pub(crate) struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
}

impl CertificateFiles {
    /// The files that the settings name; `None` without TLS.
    ///
    /// # Errors
    ///
    /// Only one of the two is named.
    pub(crate) fn of(settings: &Settings) -> Result<Option<Self>, CliError> {
        let paths = &settings.hub.certificate;
        let (given, missing) = match (&paths.certificate, &paths.key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => {
                return Ok(Some(Self { certificate: certificate.clone(), key: key.clone() }));
            }
            (Some(_), None) => ("tls-cert", "tls-key"),
            (None, Some(_)) => ("tls-key", "tls-cert"),
        };
        let message = format!("{}: {given} needs a {missing} beside it", settings.origin(given));
        Err(CliError::new(ExitCode::Configuration, message))
    }

    /// The certificate as the files have it now.
    ///
    /// # Errors
    ///
    /// They cannot be read, or are invalid.
    pub(crate) fn load(&self) -> Result<Tls, CliError> {
        let failed = |cause: Box<dyn Error + Send + Sync>| {
            let Self { certificate, key } = self;
            let (certificate, key) = (certificate.display(), key.display());
            let message =
                format!("the certificate {certificate} with the key {key} cannot be used");
            CliError::new(ExitCode::Configuration, message).because(cause)
        };
        let (certificate, key) = self.read().map_err(|error| failed(error.into()))?;
        Tls::new(&certificate, &key).map_err(|error| failed(error.into()))
    }

    /// Loads the files again whenever they have changed, and when `asked` is ready. Never ends.
    pub(crate) async fn follow<F: Future<Output = ()>>(self, tls: Tls, asked: impl Fn() -> F) {
        let hasher = RandomState::new();
        // Not what they hold now: they may have changed since they were loaded.
        let mut known = None;
        let mut noted = None;
        loop {
            self.note_expiry(&tls, &mut noted);
            let is_asked = tokio::select! {
                () = asked() => true,
                () = tokio::time::sleep(LOOK_INTERVAL) => false,
            };
            let now = Some(self.fingerprint(&hasher).await);
            if is_asked || now != known {
                known = now;
                if self.show(&tls, is_asked) {
                    noted = None;
                }
            }
        }
    }

    /// Logs once a day that the certificate must be renewed, while it must.
    fn note_expiry(&self, tls: &Tls, noted: &mut Option<Instant>) {
        let Some(left) = tls.validity().and_then(Left::of) else { return };
        if !left.is_little() || noted.is_some_and(|at| at.elapsed() < NOTE_INTERVAL) {
            return;
        }
        *noted = Some(Instant::now());
        let certificate = self.certificate.display();
        match left.is_none() {
            false => tracing::warn!(%certificate, %left, "renew the certificate"),
            true => tracing::error!(%certificate, %left, "the certificate has expired; renew it"),
        }
    }

    /// Loads the files; returns whether the certificate has changed.
    fn show(&self, tls: &Tls, is_asked: bool) -> bool {
        let certificate = self.certificate.display();
        let read = self.read().map_err(|error| error.to_string());
        let shown = read.and_then(|(certificate, key)| {
            tls.replace(&certificate, &key).map_err(|error| match error.source() {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            })
        });
        match &shown {
            Ok(false) if !is_asked => {}
            Ok(_) => tracing::info!(%certificate, "certificate reloaded"),
            Err(reason) => tracing::error!(
                %certificate,
                key = %self.key.display(),
                %reason,
                "cannot use the new certificate; the old one stays in use"
            ),
        }
        shown == Ok(true)
    }

    /// A number for what the files hold. Contents are compared, not times: switching a link to
    /// another folder, as container systems do, changes no time.
    async fn fingerprint(&self, hasher: &RandomState) -> u64 {
        let (files, hasher) = (self.clone(), hasher.clone());
        // A file may be on a disk that is far away.
        let read = tokio::task::spawn_blocking(move || {
            hasher.hash_one(files.read().map_err(|error| error.kind()))
        });
        read.await.unwrap_or(0)
    }

    fn read(&self) -> io::Result<(Vec<u8>, Vec<u8>)> {
        Ok((fs::read(&self.certificate)?, fs::read(&self.key)?))
    }
}

/// How often the files are checked.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// How often the log says that the certificate must be renewed.
const NOTE_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// How long a certificate is still valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    /// Negative once it has expired.
    seconds: i64,
    lifetime: Duration,
    end: jiff::Timestamp,
}

impl Left {
    /// From now on; `None` if its end is no time a calendar has.
    pub(crate) fn of(validity: Validity) -> Option<Self> {
        let end = jiff::Timestamp::try_from(validity.ends).ok()?;
        let seconds = end.as_second() - jiff::Timestamp::now().as_second();
        Some(Self { seconds, lifetime: validity.lifetime(), end })
    }

    /// Whether it is time to renew the certificate: less than a third of its lifetime is left, be
    /// that 6 days or a year. Tools that renew by themselves have done so by then.
    pub(crate) fn is_little(self) -> bool {
        self.is_less_than(1, 3)
    }

    /// Whether less than this part of the lifetime is left.
    pub(crate) fn is_less_than(self, parts: u64, of: u64) -> bool {
        let seconds = u64::try_from(self.seconds).unwrap_or(0);
        seconds.saturating_mul(of) < self.lifetime.as_secs().saturating_mul(parts)
    }

    /// Whether it has expired.
    pub(crate) fn is_none(self) -> bool {
        self.seconds <= 0
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seconds {
            ..=0 => write!(f, "expired at {}", self.end),
            // Of a certificate for 6 days, hours count.
            seconds if seconds < 3 * DAY => {
                write!(f, "{} hours, until {}", seconds / 3600, self.end)
            }
            seconds => write!(f, "{} days, until {}", seconds / DAY, self.end),
        }
    }
}

/// Seconds.
const DAY: i64 = 24 * 3600;
