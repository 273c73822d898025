//! `HubConfig`: everything a hub is configured with, as its parts take it.

use std::path::PathBuf;
use std::time::Duration;

use instant_acme::LetsEncrypt;
use tidings_engine::EngineConfig;
use tidings_server::Config;
use tidings_store_disk::DiskConfig;

use crate::acme::name::Name;
use crate::store_kind::StoreKind;
use crate::threads;

/// The configuration of a hub's parts. Each row of the table of settings writes into it.
#[derive(Clone, Debug)]
pub(crate) struct HubConfig {
    /// The server's, before certificate and keys are read: see
    /// [`server_config`](crate::server_config::server_config).
    pub(crate) server: Config,
    pub(crate) engine: EngineConfig,
    pub(crate) store: StoreConfig,
    pub(crate) runtime: RuntimeConfig,
    pub(crate) log: LogConfig,
    pub(crate) certificate: CertificatePaths,
    /// Certificates from an authority.
    pub(crate) acme: AcmeConfig,
    /// The file with the keys of session tickets.
    pub(crate) ticket_keys: Option<PathBuf>,
    pub(crate) jwt_secret: SecretSource,
    pub(crate) session: SessionConfig,
    pub(crate) cors: CorsConfig,
    /// Issuers whose tokens are signed with the hub's own keys.
    pub(crate) issuers: Vec<String>,
}

/// Where history is kept.
#[derive(Clone, Debug)]
pub(crate) struct StoreConfig {
    pub(crate) kind: StoreKind,
    /// A store in memory keeps as many bytes, for as long, as this one would; of a shared log, this
    /// is the copy.
    pub(crate) disk: DiskConfig,
    pub(crate) shared: SharedLogConfig,
}

/// The log that several hubs share.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedLogConfig {
    /// Addresses of the servers.
    pub(crate) url: Option<String>,
    /// Name of the log there.
    pub(crate) stream: String,
    /// Certificates of the authorities that the servers' are checked against.
    pub(crate) tls_ca: Option<PathBuf>,
    /// The hub's own certificate, for the servers; its key.
    pub(crate) tls_identity: CertificatePaths,
    /// A credentials file to log in with.
    pub(crate) credentials: Option<PathBuf>,
    /// Whether to create the log.
    pub(crate) create: bool,
    /// Whether to give the log the settings of this hub.
    pub(crate) update: bool,
    /// Whether to begin a copy that may lack what rules promise.
    pub(crate) allow_gaps: bool,
    /// Whether to start although the servers can lose acknowledged events.
    pub(crate) allow_unsafe: bool,
}

/// The threads and limits of the process.
#[derive(Clone, Debug)]
pub(crate) struct RuntimeConfig {
    /// Threads that answer requests, all of which they share. Those of HTTP/1.1 alone come on top:
    /// [`request_threads`](crate::threads::request_threads).
    pub(crate) workers: usize,
    /// `None`: as many as files may be open.
    pub(crate) subscribers_max: Option<usize>,
    /// `None`: a share of the files that may be open.
    pub(crate) connections_max: Option<usize>,
}

/// The level and form of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogConfig {
    pub(crate) filter: String,
    pub(crate) json: bool,
}

/// The files of the certificate; one needs the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct CertificatePaths {
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// What the settings say about certificates from an authority.
#[derive(Clone, Debug)]
pub(crate) struct AcmeConfig {
    /// Names and addresses that certificates are for; none means no authority.
    pub(crate) names: Vec<Name>,
    /// Mail addresses that the authority may write to.
    pub(crate) contacts: Vec<String>,
    /// URL of the authority's directory.
    pub(crate) directory: String,
    /// Which of its kinds of certificates is ordered; `None` leaves it to the authority.
    pub(crate) profile: Option<String>,
    /// The folder, if it is not below that of the history.
    pub(crate) folder: Option<PathBuf>,
    /// Authorities that the directory's own certificate is checked against, besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
}

impl AcmeConfig {
    /// A setting that has another value than its default, and means nothing without `acme-domain`.
    pub(crate) fn means_nothing(&self) -> Option<&'static str> {
        let default = Self::default();
        [
            ("acme-contact", self.contacts != default.contacts),
            ("acme-directory", self.directory != default.directory),
            ("acme-profile", self.profile != default.profile),
            ("acme-dir", self.folder != default.folder),
            ("acme-ca-file", self.ca_file != default.ca_file),
        ]
        .into_iter()
        .find_map(|(name, differs)| differs.then_some(name))
    }
}

impl Default for AcmeConfig {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            contacts: Vec::new(),
            directory: LetsEncrypt::Production.url().to_owned(),
            profile: None,
            folder: None,
            ca_file: None,
        }
    }
}

/// The secret that signs tokens, or its file; one excludes the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecretSource {
    pub(crate) text: Option<String>,
    pub(crate) file: Option<PathBuf>,
}

/// Sessions of web pages.
#[derive(Clone, Debug)]
pub(crate) struct SessionConfig {
    pub(crate) is_on: bool,
    pub(crate) age_max: Duration,
    /// The secrets that sign; none has one in the data folder.
    pub(crate) secret_files: Vec<PathBuf>,
    /// Whether cookies are sent without TLS.
    pub(crate) is_insecure: bool,
}

impl Default for SessionConfig {
    /// The library's, but with a secret that outlives the process.
    fn default() -> Self {
        let sessions = Config::default().http.sessions;
        Self {
            is_on: sessions.is_some(),
            age_max: sessions.map_or(Duration::ZERO, |sessions| sessions.age_max()),
            secret_files: Vec::new(),
            is_insecure: false,
        }
    }
}

/// Web pages of other origins; not all of them may send credentials.
#[derive(Clone, Debug, Default)]
pub(crate) struct CorsConfig {
    pub(crate) origins: Vec<String>,
    pub(crate) credentials: bool,
}

impl Default for HubConfig {
    /// The defaults of the libraries. Those of the table are written over them.
    fn default() -> Self {
        Self {
            server: Config::default(),
            engine: EngineConfig::default(),
            store: StoreConfig {
                kind: StoreKind::Disk,
                disk: DiskConfig::new(""),
                shared: SharedLogConfig::default(),
            },
            runtime: RuntimeConfig {
                workers: threads::workers_default(),
                subscribers_max: None,
                connections_max: None,
            },
            log: LogConfig::default(),
            certificate: CertificatePaths::default(),
            acme: AcmeConfig::default(),
            ticket_keys: None,
            jwt_secret: SecretSource::default(),
            session: SessionConfig::default(),
            cors: CorsConfig::default(),
            issuers: Vec::new(),
        }
    }
}
