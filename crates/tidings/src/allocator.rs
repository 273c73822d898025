//! Where memory comes from.
//!
//! A publish is allocated on a thread that reads requests, and freed on the one that writes to the
//! store. The C library's allocator pays for each such block with a lock that both threads want.
//! jemalloc does not (docs/decisions/0059-the-allocator.md has the figures).

use tikv_jemalloc_ctl::{Access as _, AsName as _};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// How long memory that is free stays with the process, in milliseconds. A burst of arrivals needs
/// buffers that nobody needs afterwards.
const KEPT_MS: isize = 500;

/// Makes free memory go back to the system after [`KEPT_MS`]. Called before the first thread is
/// started: it holds for the pools of memory that threads begin from then on.
pub(crate) fn return_memory_soon() {
    // Where the allocator knows no such setting, memory goes back after its own ten seconds.
    let _ = b"arenas.dirty_decay_ms\0".name().write(KEPT_MS);
}
