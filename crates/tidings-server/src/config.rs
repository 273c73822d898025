use std::sync::Arc;
use std::time::Duration;

use tidings_http::{Face, HttpConfig};
#[cfg(feature = "mercure")]
use tidings_mercure::MercureConfig;

use crate::limits;

/// Configuration of a hub.
///
/// Every field has a default; [`check`](Self::check) says whether they fit together. Keys and
/// origins cannot be built with invalid values, so only numbers and the rule about open addresses
/// are left to check. If only the server is configured, an [`HttpConfig`] is enough.
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
    /// Maximum wait of a long poll (`?wait=`). At the edge: 400.
    pub wait_max: Duration,
    /// Maximum pause of a publisher's stream of events. At the edge: 408; the events before it are
    /// published.
    pub ingest_pause_max: Duration,
    /// Maximum topics and patterns of one native subscription. At the edge: 400.
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
