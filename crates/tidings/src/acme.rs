//! Certificates from an authority (ACME, RFC 8555), ordered and renewed by the hub itself.
//!
//! [`Acme`] is the configuration. It opens the [`Folder`], in which account, certificate and
//! attempts are kept and which several processes may share, and runs the [`Keeper`]: whichever
//! process has the folder's lock orders, and all of them follow the certificate. [`schedule::Plan`]
//! decides when; [`order`](order::run) does one order.
//!
//! Challenges are files in the folder, so any of the processes can answer them.

mod challenge_files;
mod folder;
mod http;
mod keeper;
pub(crate) mod name;
mod order;
mod pending;
mod schedule;

use instant_acme::ChallengeType;
use tidings_server::Tls;

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::hub_config::AcmeConfig;
use crate::settings::Settings;

use folder::Folder;
pub(crate) use keeper::Keeper;
use name::Name;

/// Certificates from an authority, as they are configured.
#[derive(Clone, Debug)]
pub(crate) struct Acme {
    config: AcmeConfig,
    folder: Folder,
    challenge: ChallengeType,
}

impl Acme {
    /// `None` if no certificates are ordered.
    ///
    /// # Errors
    ///
    /// The settings contradict each other.
    pub(crate) fn of(settings: &Settings) -> Result<Option<Self>, CliError> {
        let config = &settings.hub.acme;
        let wrong = |name: &str, message: String| {
            let origin = settings.origin(name);
            Err(CliError::new(ExitCode::Configuration, format!("{origin}: {message}")))
        };
        if config.names.is_empty() {
            return match config.means_nothing() {
                Some(name) => wrong(name, format!("{name} needs an acme-domain beside it")),
                None => Ok(None),
            };
        }
        if settings.hub.certificate.certificate.is_some() || settings.hub.certificate.key.is_some()
        {
            let message = "acme-domain orders a certificate, so leave out tls-cert and tls-key";
            return wrong("acme-domain", message.to_owned());
        }
        let folder = config.folder.clone();
        let folder = folder.unwrap_or_else(|| settings.hub.store.disk.path.join("acme"));
        let folder = Folder::new(&folder, &config.directory, &config.names);
        let http = &settings.hub.server.http;
        Ok(Some(Self { config: config.clone(), folder, challenge: challenge(http) }))
    }

    /// The certificate of the folder, or one that stands in for it.
    ///
    /// # Errors
    ///
    /// A stand-in cannot be made, or the file of authorities cannot be used.
    pub(crate) fn load(&self) -> Result<Tls, CliError> {
        if let Some(file) = &self.config.ca_file {
            http::Http::new(Some(file))?;
        }
        let tls = name::stand_in(&self.config.names, self.folder.challenges());
        let tls = tls.map_err(|error| {
            CliError::new(ExitCode::CannotStart, "cannot make a certificate").because(error)
        })?;
        // Whatever is wrong with the file, the hub starts; the keeper says what.
        let _ = self.folder.show(&tls, &self.config.names);
        Ok(tls)
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.config.names.iter().map(Name::to_string).collect();
        names.join(", ")
    }

    /// What keeps the certificate of `tls` valid.
    pub(crate) fn keeper(self, tls: Tls) -> Keeper {
        Keeper::new(self, tls)
    }

    /// What is ordered, where, and how, for people.
    pub(crate) fn describe(&self) -> String {
        let challenge = match self.challenge {
            ChallengeType::Http01 => "HTTP-01, at redirect-listen",
            _ => "TLS-ALPN-01, at listen",
        };
        format!(
            "certificates for {} from {} ({challenge}), kept in {}",
            self.names(),
            self.config.directory,
            self.folder
        )
    }

    /// What is wrong now with the folder and the way to the authority, which may be right later.
    pub(crate) async fn problems(&self) -> Vec<String> {
        let folder = self
            .folder
            .check()
            .err()
            .map(|error| format!("the folder {} cannot be written to: {error}", self.folder));
        let reached = match http::Http::new(self.config.ca_file.as_deref()) {
            Ok(http) => http.reach(&self.config.directory).await,
            Err(error) => Err(error.to_string()),
        };
        let directory = reached.err().map(|reason| {
            format!("the directory {} cannot be read: {reason}", self.config.directory)
        });
        [folder, directory].into_iter().flatten().collect()
    }
}

/// By what a hub that listens like this proves its names: at port 80, if it listens there to
/// redirect. An authority connects to the ports 80 and 443 alone, but they may lead to others here.
fn challenge(http: &tidings_server::HttpConfig) -> ChallengeType {
    let has = |addresses: &[std::net::SocketAddr], port| {
        addresses.iter().any(|address| address.port() == port)
    };
    let is_elsewhere = !has(&http.redirect, 80) && has(&http.listen, 443);
    match http.redirect.is_empty() || is_elsewhere {
        true => ChallengeType::TlsAlpn01,
        false => ChallengeType::Http01,
    }
}
