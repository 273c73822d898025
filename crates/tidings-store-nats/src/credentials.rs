use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use async_nats::Auth;
use nkeys::{KeyPair, KeyPairType};

/// A credentials file: what the operator of the servers says of a user, signed, and the seed of the
/// user's key.
///
/// The file is read again for each connection, so a renewed one counts without a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialsFile {
    path: PathBuf,
}

impl CredentialsFile {
    /// The file at `path`, which is read now to see whether it is one.
    ///
    /// # Errors
    ///
    /// [`InvalidCredentials`].
    pub fn new(path: impl AsRef<Path>) -> Result<Self, InvalidCredentials> {
        let file = Self { path: path.as_ref().to_owned() };
        file.read()?;
        Ok(file)
    }

    /// What answers a server that asks for a signature of `nonce`.
    pub(crate) fn sign(&self, nonce: &[u8]) -> Result<Auth, InvalidCredentials> {
        let (token, key) = self.read()?;
        let signature = key.sign(nonce).map_err(|_| self.invalid(Fault::Seed))?;
        let mut auth = Auth::new();
        auth.jwt = Some(token);
        auth.signature = Some(signature);
        Ok(auth)
    }

    fn read(&self) -> Result<(String, KeyPair), InvalidCredentials> {
        let text =
            fs::read_to_string(&self.path).map_err(|error| self.invalid(Fault::Unread(error)))?;
        let token = section(&text, "NATS USER JWT").ok_or_else(|| self.invalid(Fault::NoToken))?;
        let seed = section(&text, "USER NKEY SEED").ok_or_else(|| self.invalid(Fault::NoSeed))?;
        let key = KeyPair::from_seed(seed).ok();
        let key = key.filter(|key| matches!(key.key_pair_type(), KeyPairType::User));
        Ok((token.to_owned(), key.ok_or_else(|| self.invalid(Fault::Seed))?))
    }

    fn invalid(&self, fault: Fault) -> InvalidCredentials {
        InvalidCredentials { path: self.path.clone(), fault }
    }
}

/// The line between the marks of the section with this title.
fn section<'a>(text: &'a str, title: &str) -> Option<&'a str> {
    let is_mark = |line: &&str, word: &str| {
        let line = line.trim_matches('-').trim();
        line.strip_prefix(word).is_some_and(|rest| rest.trim() == title)
    };
    let mut lines = text.lines().map(str::trim).skip_while(|line| !is_mark(line, "BEGIN")).skip(1);
    let content = lines.find(|line| !line.is_empty())?;
    let is_closed = lines.any(|line| is_mark(&line, "END"));
    (is_closed && !content.starts_with('-')).then_some(content)
}

/// A file with which a hub cannot log in.
#[derive(Debug)]
pub struct InvalidCredentials {
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    Unread(io::Error),
    NoToken,
    NoSeed,
    Seed,
}

impl fmt::Display for InvalidCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.fault {
            Fault::Unread(_) => write!(f, "{path} cannot be read"),
            Fault::NoToken => write!(f, "{path} has no section NATS USER JWT"),
            Fault::NoSeed => write!(f, "{path} has no section USER NKEY SEED"),
            Fault::Seed => write!(f, "the seed in {path} is not that of a user's key"),
        }
    }
}

impl Error for InvalidCredentials {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.fault {
            Fault::Unread(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_the_line_between_its_marks() {
        let text = "-----BEGIN NATS USER JWT-----\r\nabc\r\n------END NATS USER JWT------\r\n\
                    -----BEGIN USER NKEY SEED-----\nSU\n------END USER NKEY SEED------\n";
        assert_eq!(section(text, "NATS USER JWT"), Some("abc"));
        assert_eq!(section(text, "USER NKEY SEED"), Some("SU"));
        let bare = "-----BEGIN NATS USER JWT-----\n------END NATS USER JWT------\n";
        for text in ["", "abc", bare, "-----BEGIN NATS USER JWT-----\nabc\n"] {
            assert_eq!(section(text, "NATS USER JWT"), None, "{text}");
        }
    }

    #[test]
    fn the_seed_is_in_no_message() {
        let folder = std::env::temp_dir().join(format!("tidings-creds-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("hub.creds");
        let seed = KeyPair::new_account().seed().expect("a seed");
        let text = format!(
            "-----BEGIN NATS USER JWT-----\nabc\n------END NATS USER JWT------\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        fs::write(&path, text).expect("written");
        let error = CredentialsFile::new(&path).expect_err("the key of an account");
        assert!(!format!("{error} {error:?}").contains(&seed));
        fs::remove_dir_all(folder).expect("removed");
    }
}
