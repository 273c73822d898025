#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::auth::JwtKey;
use crate::auth::invalid_token::InvalidToken;
use crate::auth::keys::Kind;
use crate::auth::token;

/// A real web server, with one document.
struct Web {
    address: SocketAddr,
    document: Arc<Mutex<String>>,
    requests: Arc<AtomicUsize>,
    /// The head of the last request, in lower case.
    asked: Arc<Mutex<String>>,
}

impl Web {
    fn with(document: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let web = Self {
            address: listener.local_addr().unwrap(),
            document: Arc::new(Mutex::new(document.to_string())),
            requests: Arc::default(),
            asked: Arc::default(),
        };
        let (document, requests) = (Arc::clone(&web.document), Arc::clone(&web.requests));
        let asked = Arc::clone(&web.asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let lines = lines.map(|line| line.unwrap().to_ascii_lowercase());
                let lines: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
                *asked.lock().unwrap() = lines.join("\n");
                requests.fetch_add(1, Ordering::SeqCst);
                let body = document.lock().unwrap().clone();
                let status = if body.is_empty() { "500 Broken" } else { "200 OK" };
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\
                     connection: close\r\n\r\n{body}"
                );
            }
        });
        web
    }

    fn publish(&self, document: &str) {
        *self.document.lock().unwrap() = document.to_owned();
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn key(&self) -> JwtKey {
        JwtKey::at_url(&format!("http://{}/jwks.json", self.address), None).unwrap()
    }
}

/// A key pair with a name.
struct Pair {
    id: &'static str,
    pair: rcgen::KeyPair,
}

impl Pair {
    fn new(id: &'static str) -> Self {
        token::install_cryptography();
        Self { id, pair: rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap() }
    }

    fn jwk(&self) -> Value {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key_raw());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": x, "use": "sig" })
    }

    fn token(&self) -> String {
        let private = self.pair.serialize_pem();
        let key = EncodingKey::from_ed_pem(private.as_bytes()).unwrap();
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.id.to_owned());
        jsonwebtoken::encode(&header, &json!({ "sub": self.id }), &key).unwrap()
    }
}

fn verified(token: &str, key: &JwtKey) -> Result<Value, InvalidToken> {
    token::claims(token, std::slice::from_ref(key))
}

async fn refresh(key: &JwtKey) -> bool {
    JwtKey::refresh(std::slice::from_ref(key)).await
}

/// As if the last try were long ago.
fn let_time_pass(key: &JwtKey) {
    let Kind::Set(set) = &key.kind else { panic!("one key") };
    set.lock().tried = None;
}

#[tokio::test]
async fn a_set_is_read_when_the_first_token_comes_and_once_however_many_wait() {
    let pair = Pair::new("one");
    let web = Web::with(&json!({ "keys": [pair.jwk()] }));
    let key = web.key();
    assert_eq!(web.requests(), 0);
    assert_eq!(verified(&pair.token(), &key), Err(InvalidToken::KeyUnknown));
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let key = key.clone();
            tokio::spawn(async move { refresh(&key).await })
        })
        .collect();
    for waiting in waiting {
        assert!(waiting.await.unwrap() || verified(&pair.token(), &key).is_ok());
    }
    assert_eq!(web.requests(), 1);
    assert_eq!(verified(&pair.token(), &key).unwrap()["sub"], "one");
}

#[tokio::test]
async fn a_set_is_read_to_the_end_although_the_request_that_asked_is_cancelled() {
    let pair = Pair::new("one");
    let web = Web::with(&json!({ "keys": [pair.jwk()] }));
    let key = web.key();
    // The server answers when it can read its document.
    let (document, (release, released)) = (Arc::clone(&web.document), std::sync::mpsc::channel());
    let (locked, is_locked) = std::sync::mpsc::channel();
    let holder = std::thread::spawn(move || {
        let _held = document.lock();
        locked.send(()).unwrap();
        released.recv().unwrap();
    });
    is_locked.recv().unwrap();
    let asked = |key: JwtKey| tokio::spawn(async move { refresh(&key).await });
    let first = asked(key.clone());
    while web.requests() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());

    let second = asked(key.clone());
    tokio::task::yield_now().await;
    release.send(()).unwrap();
    assert!(second.await.unwrap(), "it has the answer that the first one waited for");
    assert!(verified(&pair.token(), &key).is_ok());
    assert_eq!(web.requests(), 1);
    holder.join().unwrap();
}

#[tokio::test]
async fn a_new_key_is_found_and_an_old_one_is_gone() {
    let (old, new) = (Pair::new("old"), Pair::new("new"));
    let web = Web::with(&json!({ "keys": [old.jwk()] }));
    let key = web.key();
    assert!(refresh(&key).await && verified(&old.token(), &key).is_ok());
    web.publish(&json!({ "keys": [new.jwk()] }).to_string());
    assert_eq!(verified(&new.token(), &key), Err(InvalidToken::KeyUnknown));
    assert!(!refresh(&key).await, "invented key ids make no requests");
    assert_eq!(web.requests(), 1);
    let_time_pass(&key);
    assert!(refresh(&key).await && verified(&new.token(), &key).is_ok());
    assert!(verified(&old.token(), &key).is_err());
}

#[tokio::test]
async fn keys_already_read_stay_valid_while_the_set_cannot_be_read() {
    let pair = Pair::new("one");
    let web = Web::with(&json!({ "keys": [pair.jwk()] }));
    let key = web.key();
    assert!(refresh(&key).await);
    for broken in ["", "no JSON", "{}"] {
        web.publish(broken);
        let_time_pass(&key);
        assert!(!refresh(&key).await, "{broken:?}");
        assert!(verified(&pair.token(), &key).is_ok());
    }
    web.publish(&format!("{{\"keys\":[{}]}}", " ".repeat(KEY_SET_BYTES_MAX)));
    let_time_pass(&key);
    assert!(!refresh(&key).await, "it is too large");
}

#[tokio::test]
async fn only_public_keys_for_signatures_are_used() {
    let (pair, other) = (Pair::new("one"), Pair::new("encryption"));
    let mut encryption = other.jwk();
    encryption["use"] = json!("enc");
    let bytes = BASE64_URL_SAFE_NO_PAD.encode([7; 32]);
    let secret = json!({ "kty": "oct", "kid": "secret", "k": bytes });
    let unknown = json!({ "kty": "of tomorrow", "kid": "x" });
    let web = Web::with(&json!({ "keys": [unknown, secret, encryption, pair.jwk()] }));
    let key = web.key();
    assert!(refresh(&key).await && verified(&pair.token(), &key).is_ok());
    assert!(verified(&other.token(), &key).is_err());
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("secret".to_owned());
    let encoding = EncodingKey::from_secret(&[7; 32]);
    let forged = jsonwebtoken::encode(&header, &json!({ "sub": "x" }), &encoding).unwrap();
    assert!(verified(&forged, &key).is_err());
}

#[tokio::test]
async fn a_request_for_a_key_set_has_a_user_agent() {
    let web = Web::with(&json!({ "keys": [] }));
    refresh(&web.key()).await;
    let asked = web.asked.lock().unwrap().clone();
    let agent = concat!("user-agent: tidings/", env!("CARGO_PKG_VERSION"));
    for line in [agent, "accept-encoding: identity"] {
        assert!(asked.lines().any(|found| found == line), "{asked}");
    }
}

#[test]
fn the_log_names_a_set_without_the_secrets_in_its_url() {
    for url in ["https://me:hush@h:444/set?token=hush", "https://hush@h:444/set"] {
        let set = KeySet::new(url, None).unwrap();
        assert_eq!(format!("{set:?}"), "https://h:444/set");
    }
}

#[tokio::test]
async fn a_file_is_read_once() {
    let pair = Pair::new("one");
    let path = std::env::temp_dir().join(format!("tidings-jwks-{}.json", std::process::id()));
    std::fs::write(&path, json!({ "keys": [pair.jwk()] }).to_string()).unwrap();
    let key = JwtKey::at_url(&format!("file://{}", path.display()), Some("EdDSA")).unwrap();
    assert!(refresh(&key).await && verified(&pair.token(), &key).is_ok());
    std::fs::remove_file(&path).unwrap();
    let_time_pass(&key);
    assert!(!refresh(&key).await && verified(&pair.token(), &key).is_ok());
    assert!(JwtKey::at_url("ftp://x/", None).is_err());
    assert!(JwtKey::at_url("https://x/", Some("none")).is_err());
}
