use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use crate::credentials::CredentialsFile;

/// Where the servers are, and how to log in.
#[derive(Clone, Debug)]
pub struct NatsConfig {
    /// The servers; others that they know are found by themselves.
    pub servers: Servers,
    /// Name of the stream. Its subject is `tidings.log.<name>`.
    pub stream: String,
    /// Number of servers that have the stream, if this hub creates it.
    pub replicas: usize,
    /// Whether the connection must be encrypted, whatever the servers ask for.
    pub tls: bool,
    /// Certificates of the authorities to trust, in PEM; if absent, those of the system.
    pub tls_ca: Option<PathBuf>,
    /// A certificate and its key, in PEM, by which the hub identifies itself.
    pub tls_identity: Option<(PathBuf, PathBuf)>,
    /// A file to log in with, instead of what the servers' addresses say.
    pub credentials: Option<CredentialsFile>,
}

/// One or more addresses of servers, separated by commas: `nats://a:4222,nats://b:4222`. The first
/// may have a user and password, or a token, for all.
#[derive(Clone, PartialEq, Eq)]
pub struct Servers {
    /// Without users and passwords.
    pub(crate) urls: Vec<Url>,
    pub(crate) login: Login,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    None,
    Token(String),
    User { name: String, password: String },
}

impl Servers {
    /// Whether there is a user and password, or a token.
    pub fn has_login(&self) -> bool {
        self.login != Login::None
    }
}

impl FromStr for Servers {
    type Err = InvalidServers;

    fn from_str(text: &str) -> Result<Self, InvalidServers> {
        let mut login = Login::None;
        let mut urls = Vec::new();
        for part in text.split(',').map(str::trim) {
            let mut url = Url::parse(part).map_err(|_| InvalidServers)?;
            let is_server = matches!(url.scheme(), "nats" | "tls");
            if !is_server || url.host().is_none() || !matches!(url.path(), "" | "/") {
                return Err(InvalidServers);
            }
            if login == Login::None {
                login = login_of(&url)?;
            }
            let _ = url.set_username("");
            let _ = url.set_password(None);
            urls.push(url);
        }
        Ok(Self { urls, login })
    }
}

fn login_of(url: &Url) -> Result<Login, InvalidServers> {
    let name = unescape(url.username())?;
    Ok(match url.password() {
        _ if name.is_empty() => Login::None,
        None => Login::Token(name),
        Some(password) => Login::User { name, password: unescape(password)? },
    })
}

/// Undoes percent-encoding.
fn unescape(text: &str) -> Result<String, InvalidServers> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or(InvalidServers)?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| InvalidServers)
}

/// Without what it logs in with.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, url) in self.urls.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{url}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a list of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidServers;

impl fmt::Display for InvalidServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("servers are named as in nats://a.example:4222,nats://b.example:4222")
    }
}

impl Error for InvalidServers {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_and_shown_without_their_passwords() {
        let servers: Servers = "nats://u:p%40ss@a:4222, tls://b:4223".parse().expect("valid");
        let user = Login::User { name: "u".to_owned(), password: "p@ss".to_owned() };
        assert!(servers.login == user);
        assert_eq!(servers.to_string(), "nats://a:4222,tls://b:4223");
        let token: Servers = "nats://secret@a".parse().expect("valid");
        assert!(token.login == Login::Token("secret".to_owned()));
        assert_eq!(format!("{token:?}"), "nats://a");
    }

    #[test]
    fn other_texts_are_no_servers() {
        for text in ["", "a:4222", "http://a", "nats://", "nats://a,", "nats://a/x", "nats://%zz@a"]
        {
            assert!(text.parse::<Servers>().is_err(), "{text}");
        }
    }
}
