//! `Folder`: what is kept between starts, and shared by processes.
//!
//! | File | Holds |
//! |---|---|
//! | `account.json` | the account with the authority, its key |
//! | `<names>.pem` | chain and private key in one, so that they are never of two pairs |
//! | `<names>.order.json` | the order under way, with the key that it will certify |
//! | `<names>.attempts.json` | what came of the attempts so far |
//! | `<names>.challenges/` | answers to the challenges of this order |
//! | `<names>.lock` | nothing; the process that has it orders, and writes all of these |
//!
//! Every directory URL has a folder of its own, so that certificates of a staging authority are
//! never mixed up with real ones. Every set of names has files of its own, so that two hubs with
//! different names do not take turns at one file; the account is theirs together.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidings_server::{Challenges, Tls};

use super::challenge_files::ChallengeFiles;
use super::name::Name;
use crate::private_file;

/// The folder of one directory and one set of names.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Begin of the names of its files.
    stem: String,
}

impl Folder {
    /// For certificates for `names` from the authority at `directory`, below `root`.
    pub(super) fn new(root: &Path, directory: &str, names: &[Name]) -> Self {
        let authority = directory.split_once("://").map_or(directory, |(_, rest)| rest);
        Self { path: root.join(file_name(authority)), stem: stem(names) }
    }

    /// Makes it, for its owner alone.
    pub(super) fn make(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(self.named(CHALLENGES))
    }

    /// Whether files can be made in it, or it in the folder above that is there. Leaves nothing.
    pub(super) fn check(&self) -> io::Result<()> {
        let above = self.path.ancestors().find(|path| path.exists());
        let probe = above.unwrap_or(Path::new("")).join(format!(".{}.probe", self.stem));
        private_file::write(&probe, b"")?;
        fs::remove_file(probe)
    }

    /// The right to order and to write; `None` while another process has it.
    pub(super) fn try_lock(&self) -> io::Result<Option<File>> {
        self.make()?;
        private_file::try_lock(&self.named(".lock"))
    }

    pub(super) fn challenges(&self) -> Arc<dyn Challenges> {
        Arc::new(self.challenge_files())
    }

    pub(super) fn challenge_files(&self) -> ChallengeFiles {
        ChallengeFiles::new(self.named(CHALLENGES))
    }

    /// Shows the certificate of the folder, if there is one for all of `names`. Returns whether it
    /// has changed.
    pub(super) fn show(&self, tls: &Tls, names: &[Name]) -> Result<bool, String> {
        let path = self.certificate();
        let pem = match fs::read(&path) {
            Ok(pem) => pem,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        self.show_pem(tls, names, &pem)
    }

    /// The same with the content of its file.
    pub(super) fn show_pem(&self, tls: &Tls, names: &[Name], pem: &[u8]) -> Result<bool, String> {
        let wrong = |reason: String| format!("{}: {reason}", self.certificate().display());
        // Tried apart, so that a wrong one displaces nothing.
        let apart = Tls::new(pem, pem).map_err(|error| wrong(error.to_string()))?;
        if let Some(name) = names.iter().find(|name| !apart.covers(&name.to_string())) {
            return Err(wrong(format!("the certificate is not for {name}")));
        }
        tls.replace(pem, pem).map_err(|error| wrong(error.to_string()))
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.named(".pem")
    }

    pub(super) fn account(&self) -> PathBuf {
        self.path.join("account.json")
    }

    pub(super) fn order(&self) -> PathBuf {
        self.named(".order.json")
    }

    pub(super) fn attempts(&self) -> PathBuf {
        self.named(".attempts.json")
    }

    fn named(&self, suffix: &str) -> PathBuf {
        self.path.join(format!("{}{suffix}", self.stem))
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// Reads a file of JSON; `None` if there is none, or something else in it.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes a file of JSON.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    private_file::write(path, &serde_json::to_vec(value)?)
}

/// End of the name of the folder with challenges.
const CHALLENGES: &str = ".challenges";

/// The first name, which people know, and for several a number and a fingerprint of them all.
fn stem(names: &[Name]) -> String {
    let mut sorted: Vec<_> = names.iter().map(Name::to_string).collect();
    let first = file_name(sorted.first().map_or("", String::as_str));
    if sorted.len() < 2 {
        return first;
    }
    sorted.sort();
    let hash = digest(&SHA256, sorted.join(",").as_bytes());
    let hash: String = hash.as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{first}+{}-{hash}", names.len() - 1)
}

/// `text` in characters that every file system takes.
fn file_name(text: &str) -> String {
    let kept = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => c,
        _ => '_',
    };
    text.trim_end_matches('/').chars().take(120).map(kept).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::name::names;
    use super::*;

    fn folder(directory: &str, of: &str) -> Folder {
        Folder::new(Path::new("/x"), directory, &names(&[of.to_owned()]).unwrap())
    }

    #[test]
    fn each_directory_and_each_set_of_names_has_files_of_its_own() {
        let real = folder("https://acme.example/directory", "hub.example.org");
        let staging = folder("https://staging.acme.example/directory", "hub.example.org");
        assert_eq!(real.certificate(), Path::new("/x/acme.example_directory/hub.example.org.pem"));
        assert_ne!(real.account(), staging.account());
        let two = folder("https://acme.example/directory", "hub.example.org,b.example.org");
        let swapped = folder("https://acme.example/directory", "b.example.org,hub.example.org");
        assert_eq!(two.account(), real.account());
        assert_ne!(two.certificate(), real.certificate());
        assert_eq!(two.stem.rsplit_once('-').unwrap().1, swapped.stem.rsplit_once('-').unwrap().1);
        let ip = folder("https://acme.example:14000/dir", "2001:db8::1");
        let path = Path::new("/x/acme.example_14000_dir/2001_db8__1.pem");
        assert_eq!(ip.certificate(), path);
    }
}
