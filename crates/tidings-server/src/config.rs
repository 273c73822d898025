use std::sync::Arc;
use std::time::Duration;

use tidings_http::{Face, HttpConfig};
#[cfg(feature = "mercure")]
use tidings_mercure::MercureConfig;

use crate::limits;

/// How a hub is configured.
///
/// Every field has a default; [`check`](Self::check) says whether they fit together. Keys and
/// origins cannot be built wrong, so what is left to check are numbers and the rule about open
/// addresses. Where only the server is configured, an [`HttpConfig`] does in its place.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses, TLS, keys, and the bounds of connections and requests.
    pub http: HttpConfig,
    /// The Mercure protocol, at `/.well-known/mercure`.
    #[cfg(feature = "mercure")]
    pub mercure: MercureConfig,
    /// Further protocols, each at paths of its own.
    pub faces: Vec<Arc<dyn Face>>,
    /// Static files to serve: the console unless set. Of two with the same path the later wins.
    pub pages: Vec<&'static [tidings_web::File]>,
    /// The longest a long poll (`?wait=`) may ask to wait. At the edge: 400.
    pub wait_max: Duration,
    /// How long a publisher's stream of events may pause. At the edge: 408; what came before is
    /// published.
    pub ingest_pause_max: Duration,
    /// Topics and patterns of one native subscription. At the edge: 400.
    pub matchers_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http: HttpConfig::default(),
            #[cfg(feature = "mercure")]
            mercure: MercureConfig::default(),
            faces: Vec::new(),
            pages: vec![tidings_web::CONSOLE],
            wait_max: limits::WAIT_MAX,
            ingest_pause_max: limits::INGEST_PAUSE_MAX,
            matchers_max: limits::MATCHERS_MAX,
        }
    }
}

impl From<HttpConfig> for Config {
    fn from(http: HttpConfig) -> Self {
        Self { http, ..Self::default() }
    }
}
