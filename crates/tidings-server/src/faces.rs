//! The protocols beside the native API: the only place that lists them.

use std::sync::Arc;

use tidings_http::Face;

use crate::config::Config;

/// The faces of a hub with this configuration.
pub(crate) fn of(config: &Config) -> Vec<Arc<dyn Face>> {
    config.faces.iter().cloned().chain(mercure(config)).collect()
}

#[cfg(feature = "mercure")]
fn mercure(config: &Config) -> Option<Arc<dyn Face>> {
    let mercure = || tidings_mercure::Mercure::new(config.mercure.clone());
    config.mercure.enabled.then(|| Arc::new(mercure()) as _)
}

#[cfg(not(feature = "mercure"))]
fn mercure(_: &Config) -> Option<Arc<dyn Face>> {
    None
}
