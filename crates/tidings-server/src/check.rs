//! Validation of a configuration.

use std::collections::BTreeSet;

use tidings_http::error::ConfigError;

use crate::config::Config;
use crate::faces;
use crate::{route, routes};

impl Config {
    /// Checks that the hub can start with this configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first thing that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        let faces = faces::of(self);
        self.http.check(faces.iter().any(|face| face.has_keys()))?;
        for (name, is_zero) in [
            ("ingest_pause_max", self.ingest_pause_max.is_zero()),
            ("matchers_max", self.matchers_max == 0),
        ] {
            if is_zero {
                return Err(ConfigError::Zero { name });
            }
        }
        let mut names = BTreeSet::new();
        if let Some(name) = routes::names(&faces).find(|name| !names.insert(*name)) {
            return Err(ConfigError::FaceName { name });
        }
        let mut paths = self.pages.iter().flat_map(|set| set.iter()).map(|file| file.path);
        let is_taken = |path: &&'static str| {
            route::Path::find(path).is_some() || faces.iter().any(|face| face.claims(path))
        };
        match paths.find(is_taken) {
            Some(path) => Err(ConfigError::PagePath { path }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::pin::Pin;
    use std::sync::Arc;
    use std::time::Duration;

    use http::request::Parts;
    use tidings_http::answer::Answer;
    use tidings_http::{Face, RequestBody, State};

    use super::*;

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn a_page_cannot_hide_the_api_or_be_hidden_by_it() {
        for path in ["/events", "/events/a", "/healthz", "/.well-known/mercure"] {
            let file = tidings_web::File { path, content_type: "text/plain", body: "" };
            let config = Config { pages: vec![Box::leak(Box::new([file]))], ..Config::default() };
            assert_eq!(config.check(), Err(ConfigError::PagePath { path }));
        }
    }

    #[derive(Debug)]
    struct Named(&'static str);

    impl Face for Named {
        fn name(&self) -> &'static str {
            self.0
        }

        fn claims(&self, _: &str) -> bool {
            false
        }

        fn answer<'a>(
            &'a self,
            _: &'a State,
            _: &'a Parts,
            _: RequestBody,
        ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
            unreachable!("it claims no path")
        }
    }

    #[test]
    fn two_protocols_cannot_have_one_name_nor_a_protocol_that_of_a_route() {
        let config = |names: &[&'static str]| {
            let faces = names.iter().map(|name| Arc::new(Named(name)) as Arc<dyn Face>);
            Config { faces: faces.collect(), ..Config::default() }
        };
        assert_eq!(config(&["a", "b"]).check(), Ok(()));
        for names in [&["a", "b", "a"][..], &["/events"], &["page"], &["none"], &["mercure"]] {
            let name = names.last().copied().unwrap();
            assert_eq!(config(names).check(), Err(ConfigError::FaceName { name }));
        }
    }

    #[test]
    fn a_zero_is_named() {
        let config = Config { ingest_pause_max: Duration::ZERO, ..Config::default() };
        assert_eq!(config.check(), Err(ConfigError::Zero { name: "ingest_pause_max" }));
    }
}
