//! Answers to challenges as files, which any process with the folder can give.
//!
//! HTTP-01 has a file for each token, TLS-ALPN-01 one for each name. Their names come from the
//! network, so only those with harmless characters are looked for.

use std::fs;
use std::io;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tidings_server::{ChallengeCertificate, Challenges};

use crate::private_file;

/// The folder of the challenges.
#[derive(Clone, Debug)]
pub(super) struct ChallengeFiles {
    path: PathBuf,
}

impl ChallengeFiles {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Answers HTTP-01.
    pub(super) fn put_token(&self, token: &str, key_authorization: &str) -> io::Result<()> {
        self.put(TOKEN, token, key_authorization)
    }

    /// Answers TLS-ALPN-01.
    pub(super) fn put_name(&self, name: &str, key_authorization: &str) -> io::Result<()> {
        self.put(NAME, name, key_authorization)
    }

    /// Forgets all challenges: their order is decided.
    pub(super) fn clear(&self) -> io::Result<()> {
        let files = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            files => files?,
        };
        for file in files {
            private_file::remove(&file?.path())?;
        }
        Ok(())
    }

    fn put(&self, kind: &str, name: &str, key_authorization: &str) -> io::Result<()> {
        let file = file_name(kind, name).ok_or(io::ErrorKind::InvalidFilename)?;
        private_file::write(&self.path.join(file), key_authorization.as_bytes())
    }

    fn get(&self, kind: &str, name: &str) -> Option<String> {
        fs::read_to_string(self.path.join(file_name(kind, name)?)).ok()
    }
}

impl Challenges for ChallengeFiles {
    fn key_authorization(&self, token: &str) -> Option<String> {
        self.get(TOKEN, token)
    }

    fn certificate(&self, name: &str) -> Option<ChallengeCertificate> {
        let name = name.to_ascii_lowercase();
        let key_authorization = self.get(NAME, &name)?;
        let address = address_of(&name);
        let subject = address.map_or(name, |address| address.to_string());
        let mut params = CertificateParams::new([subject]).ok()?;
        let proof = digest(&SHA256, key_authorization.as_bytes());
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(proof.as_ref())];
        let key = KeyPair::generate().ok()?;
        let certificate = params.self_signed(&key).ok()?;
        Some((certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into())))
    }
}

/// The address that a name in reverse stands for (RFC 8738 §6).
fn address_of(name: &str) -> Option<std::net::IpAddr> {
    if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
        let labels: Vec<_> = labels.split('.').rev().collect();
        return labels.join(".").parse().ok();
    }
    let digits: String = name.strip_suffix(".ip6.arpa")?.split('.').rev().collect();
    let bits = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
    Some(std::net::Ipv6Addr::from_bits(bits).into())
}

/// Kinds of files.
const TOKEN: &str = "token";
const NAME: &str = "name";

/// `None` if no challenge can be called so.
fn file_name(kind: &str, name: &str) -> Option<String> {
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_sound = (1..=253).contains(&name.len()) && name.bytes().all(is_sound);
    is_sound.then(|| format!("{kind}_{name}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::name::Name;
    use super::*;

    #[test]
    fn a_name_in_reverse_is_an_address_again() {
        for text in ["192.0.2.7", "127.0.0.1", "2001:db8::1", "::"] {
            let name = Name::Ip(text.parse().unwrap());
            assert_eq!(address_of(&name.asked_as()).unwrap().to_string(), text);
        }
        for name in ["hub.example.org", "1.2.in-addr.arpa", "1.ip6.arpa", "in-addr.arpa"] {
            assert_eq!(address_of(name), None, "{name}");
        }
    }

    #[test]
    fn a_name_from_the_network_leads_to_no_other_file() {
        for name in ["", "../account.json", "a/b", "a\0", "ä", "a:b", &"a".repeat(254)] {
            assert_eq!(file_name(TOKEN, name), None, "{name:?}");
        }
        assert_eq!(file_name(TOKEN, "..").as_deref(), Some("token_.."));
    }
}
