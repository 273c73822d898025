//! Whether a configuration fits together.

use crate::config::Config;
use crate::error::ConfigError;
use crate::faces;
use crate::limits;
use crate::route;

impl Config {
    /// Whether the server can start with this.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first thing that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.listen.is_empty() {
            return Err(ConfigError::NoAddress);
        }
        if self.tls.is_none() && !self.redirect.is_empty() {
            return Err(ConfigError::RedirectWithoutTls);
        }
        if let (false, Some(address)) = (self.has_access_rules(), self.exposed()) {
            return Err(ConfigError::Unprotected { address });
        }
        for (name, value) in [
            ("head_max", self.head_max),
            ("keep_alive", self.keep_alive),
            ("body_idle_max", self.body_idle_max),
            ("ingest_idle_max", self.ingest_idle_max),
            ("retry", self.retry),
            ("retry_refused", self.retry_refused),
        ] {
            if value.is_zero() {
                return Err(ConfigError::Zero { name });
            }
        }
        for (name, zero) in [
            ("connections_max", self.connections_max == 0),
            ("streams_max", self.streams_max == 0),
            ("event_bytes_max", self.event_bytes_max == 0),
            ("matchers_max", self.matchers_max == 0),
        ] {
            if zero {
                return Err(ConfigError::Zero { name });
            }
        }
        let heads = limits::HEAD_BYTES_MIN..=limits::READ_BYTES_MAX;
        if !heads.contains(&self.head_bytes_max) {
            let (bytes_min, bytes_max) = heads.into_inner();
            return Err(ConfigError::HeadBytes { bytes_min, bytes_max });
        }
        if self.event_bytes_max > limits::EVENT_BYTES_CEILING {
            return Err(ConfigError::EventTooLarge { bytes_max: limits::EVENT_BYTES_CEILING });
        }
        let mut paths = self.pages.iter().flat_map(|set| set.iter()).map(|file| file.path);
        let faces = faces::of(self);
        let is_taken = |path: &&'static str| {
            route::Path::find(path).is_some() || faces.iter().any(|face| face.claims(path))
        };
        if let Some(path) = paths.find(is_taken) {
            return Err(ConfigError::PagePath { path });
        }
        if self.drain_max < self.drain_window {
            return Err(ConfigError::DrainTooShort);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;
    use crate::auth::JwtKey;

    fn listening_on(address: &str) -> Config {
        Config { listen: vec![address.parse().unwrap()], ..Config::default() }
    }

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn an_address_that_others_can_reach_needs_keys_or_the_word_open() {
        for address in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "[::ffff:192.0.2.1]:80"] {
            let mut config = listening_on(address);
            assert!(matches!(config.check(), Err(ConfigError::Unprotected { .. })));
            config.open = true;
            assert_eq!(config.check(), Ok(()));
        }
        for address in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(listening_on(address).check(), Ok(()), "{address}");
        }
    }

    #[test]
    fn a_key_protects_an_address_and_closes_loopback() {
        let mut config = listening_on("0.0.0.0:80");
        config.jwt_keys = vec![JwtKey::hs256(&[7; 32]).unwrap()];
        assert_eq!(config.check(), Ok(()));
        assert!(!config.is_open());
    }

    #[test]
    fn a_page_cannot_hide_the_api_or_be_hidden_by_it() {
        for path in ["/events", "/events/a", "/healthz", "/.well-known/mercure"] {
            let file = tidings_web::File { path, content_type: "text/plain", body: "" };
            let config = Config { pages: vec![Box::leak(Box::new([file]))], ..Config::default() };
            assert_eq!(config.check(), Err(ConfigError::PagePath { path }));
        }
    }

    #[test]
    fn a_zero_is_named() {
        let config = Config { head_max: Duration::ZERO, ..Config::default() };
        assert_eq!(config.check(), Err(ConfigError::Zero { name: "head_max" }));
    }
}
