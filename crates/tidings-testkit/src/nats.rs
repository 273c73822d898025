//! What tests on real servers of NATS need: the program, and logins as an operator gives them.

use std::env;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// The program `nats-server`: that of `TIDINGS_NATS_SERVER`, or one in `PATH`. If there is none,
/// says so, for the test to be skipped.
#[allow(clippy::print_stderr)]
pub fn program() -> Option<PathBuf> {
    if let Some(path) = env::var_os("TIDINGS_NATS_SERVER") {
        return Some(PathBuf::from(path));
    }
    let mut folders: Vec<_> = env::split_paths(&env::var_os("PATH")?).collect();
    // Where Debian has it, which is not on everybody's path.
    folders.push(Path::new("/usr/sbin").to_owned());
    let found =
        folders.into_iter().map(|folder| folder.join("nats-server")).find(|it| it.is_file());
    if found.is_none() {
        eprintln!(
            "SKIPPED: no nats-server in TIDINGS_NATS_SERVER or PATH (apt-get install nats-server, \
             or go install github.com/nats-io/nats-server/v2@latest)"
        );
    }
    found
}

/// An operator with an account that may use JetStream, and one for the servers themselves.
pub struct Operator {
    operator: KeyPair,
    account: KeyPair,
    system: KeyPair,
}

impl Operator {
    /// One with keys of its own.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            account: KeyPair::new_account(),
            system: KeyPair::new_account(),
        }
    }

    /// The lines of a server's configuration by which it knows the operator and the accounts.
    pub fn server_config(&self) -> String {
        let operator = &self.operator;
        let itself = token(operator, operator, &json!({ "type": "operator", "version": 2 }));
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
            "wildcards": true, "conn": -1, "leaf": -1,
        });
        let mut with_streams = limits.clone();
        for limit in ["mem_storage", "disk_storage", "streams", "consumer"] {
            with_streams[limit] = (-1).into();
        }
        let account = |limits: &Value| json!({ "type": "account", "version": 2, "limits": limits });
        let (own, system) = (self.account.public_key(), self.system.public_key());
        format!(
            "operator: {itself}\nsystem_account: {system}\nresolver: MEMORY\n\
             resolver_preload: {{\n {own}: {}\n {system}: {}\n}}\n",
            token(operator, &self.account, &account(&with_streams)),
            token(operator, &self.system, &account(&limits)),
        )
    }

    /// A new user of the account, as the text of a credentials file.
    ///
    /// # Panics
    ///
    /// If the system has no random numbers.
    pub fn credentials(&self) -> String {
        let user = KeyPair::new_user();
        let rights = json!({
            "type": "user", "version": 2, "pub": {}, "sub": {},
            "subs": -1, "data": -1, "payload": -1,
        });
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\n\
             NKEY Seed printed below can be used to sign and prove identity.\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            token(&self.account, &user, &rights),
            user.seed().expect("a new key has a seed"),
        )
    }
}

/// What `issuer` says of `subject`, signed.
fn token(issuer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let head = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let claims = json!({
        "jti": subject.public_key(), "iat": now, "iss": issuer.public_key(), "name": "test",
        "sub": subject.public_key(), "nats": nats,
    });
    let [head, claims] = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{head}.{claims}");
    let signature = issuer.sign(signed.as_bytes()).expect("a new key signs");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
