//! Entry points of the native API for the fuzz targets in `fuzz/`.

pub use crate::native::{fuzz_headers as headers, fuzz_ndjson as ndjson};
