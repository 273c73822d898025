//! Every bound in the engine: its default, why, what it costs, and what happens at the edge.

use std::time::Duration;

/// Drafts that wait for the committer, in bytes. Enough for a batch in the making while another is being
/// synced. At the edge: publishers wait their turn, so a slow disk slows publishers down instead of filling
/// memory.
pub const COMMIT_QUEUE_BYTES_MAX: usize = 32 << 20;

/// Drafts in one batch, in bytes: what one `fsync` covers at most. At the edge: the rest goes into the next batch.
pub const COMMIT_BATCH_BYTES_MAX: usize = 4 << 20;

/// How long retention may lag: the committer applies it this often.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(5);

/// Records in one page of history, and their bytes. At the edge: the reader asks for the next page.
pub const PAGE_RECORDS_MAX: usize = 1000;
/// See [`PAGE_RECORDS_MAX`].
pub const PAGE_BYTES_MAX: usize = 1 << 20;

/// Store reads on behalf of HTTP requests under way at once. At the edge: they wait for each other.
pub const STORE_READS_MAX: usize = 32;
