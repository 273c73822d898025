use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::ConfigError;
use crate::limits::{NOTIFY_SECRET_BYTES, NOTIFY_SECRETS_MAX};

/// The secrets that sign what a receiver gets. Clones share them, so that they can be
/// [replaced](Self::replace) while the hub runs.
#[derive(Clone)]
pub struct NotifySecrets(Arc<Mutex<Arc<[hmac::Key]>>>);

impl NotifySecrets {
    /// Each as Standard Webhooks write it: `whsec_` and base64 of 24 to 64 bytes. With two, both
    /// sign, so that a receiver can change from one to the other.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NotifySecret`].
    pub fn new(secrets: &[impl AsRef<str>]) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(Mutex::new(parse(secrets)?))))
    }

    /// Signs with these from now on.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); then nothing is replaced.
    pub fn replace(&self, secrets: &[impl AsRef<str>]) -> Result<(), ConfigError> {
        let keys = parse(secrets)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Number of the secrets.
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.keys().len()
    }

    /// The header `webhook-signature`: a signature for each secret.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
        let signature =
            |key: &hmac::Key| format!("v1,{}", STANDARD.encode(hmac::sign(key, &signed)));
        self.keys().iter().map(signature).collect::<Vec<_>>().join(" ")
    }

    fn keys(&self) -> Arc<[hmac::Key]> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn parse(secrets: &[impl AsRef<str>]) -> Result<Arc<[hmac::Key]>, ConfigError> {
    if secrets.is_empty() || secrets.len() > NOTIFY_SECRETS_MAX {
        return Err(ConfigError::NotifySecretCount { max: NOTIFY_SECRETS_MAX });
    }
    let key = |secret: &str| {
        let bytes = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
        let is_long_enough = NOTIFY_SECRET_BYTES.contains(&bytes.len());
        is_long_enough.then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
    };
    let keys = secrets.iter().map(|secret| key(secret.as_ref().trim_end()));
    keys.collect::<Option<Arc<[_]>>>().ok_or(ConfigError::NotifySecret)
}

impl fmt::Debug for NotifySecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotifySecrets").field("number", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The vector of the reference implementations.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn a_signature_is_that_of_the_reference_vector() {
        let secrets = NotifySecrets::new(&[SECRET]).unwrap();
        assert_eq!(secrets.sign(ID, 1_614_265_330, BODY), SIGNATURE);
    }

    #[test]
    fn two_secrets_sign_both_and_new_ones_take_their_place() {
        let other = format!("whsec_{}", STANDARD.encode([7; 32]));
        let secrets = NotifySecrets::new(&[SECRET, &other]).unwrap();
        let both = secrets.sign(ID, 1_614_265_330, BODY);
        let signatures: Vec<_> = both.split(' ').collect();
        assert_eq!((signatures.len(), signatures[0]), (2, SIGNATURE));
        assert!(secrets.replace(&["whsec_short"]).is_err());
        assert_eq!(secrets.sign(ID, 1_614_265_330, BODY), both, "nothing has changed");
        secrets.clone().replace(&[&other]).unwrap();
        assert_eq!(secrets.sign(ID, 1_614_265_330, BODY), signatures[1]);
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_shown() {
        let encoded = |length| format!("whsec_{}", STANDARD.encode(vec![7; length]));
        for (good, length) in [(false, 23), (true, 24), (true, 64), (false, 65)] {
            assert_eq!(NotifySecrets::new(&[encoded(length)]).is_ok(), good, "{length}");
        }
        for wrong in ["", "whsec_", "whsec_%%%", &encoded(32)[6..], "hidden-0123456789abcdef"] {
            let error = NotifySecrets::new(&[wrong]).unwrap_err().to_string();
            assert!(error.contains("whsec_") && !error.contains("hidden"), "{error}");
        }
        assert!(NotifySecrets::new(&[] as &[&str]).is_err());
        assert!(NotifySecrets::new(&[SECRET; 3]).is_err());
        let shown = format!("{:?}", NotifySecrets::new(&[SECRET]).unwrap());
        assert!(!shown.contains("MfKQ"), "{shown}");
    }
}
