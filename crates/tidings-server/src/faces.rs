//! The protocols beside the native API: the one place that knows which there are.

use std::sync::Arc;

use crate::face::Face;
use crate::hub_config::Config;
use crate::mercure::Mercure;

/// The faces of a hub of this configuration.
pub(crate) fn of(config: &Config) -> Vec<Arc<dyn Face>> {
    let mut faces: Vec<Arc<dyn Face>> = Vec::new();
    if config.mercure.enabled {
        faces.push(Arc::new(Mercure::new(config.mercure.clone())));
    }
    faces
}
