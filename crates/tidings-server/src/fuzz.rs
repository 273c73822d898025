//! What the fuzz targets in `fuzz/` call of the native API.

pub use crate::native::{fuzz_headers as headers, fuzz_ndjson as ndjson};
