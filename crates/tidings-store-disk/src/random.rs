use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

/// Source of the 64-bit numbers that tell logs, segments and runs of hubs apart.
///
/// By default they come from the operating system. A test that needs the same run from the same
/// seed gives its own source to everything that it opens. Then an append also waits for the index
/// of a segment that it completes: what an index takes counts when retention compares bytes, so
/// what is dropped would depend on how fast the background thread is.
#[derive(Clone)]
pub struct RandomSource(Option<Arc<Function>>);

type Function = dyn Fn() -> u64 + Send + Sync;

impl RandomSource {
    /// The numbers that `function` returns. No two calls may return the same.
    pub fn from_fn(function: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(function)))
    }

    /// Whether it is a test's own.
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// The next number.
    pub fn number(&self) -> u64 {
        match &self.0 {
            Some(function) => function(),
            // The standard library seeds its hash maps from the operating system.
            None => RandomState::new().hash_one(std::process::id()),
        }
    }
}

impl Default for RandomSource {
    /// The operating system.
    fn default() -> Self {
        Self(None)
    }
}

impl fmt::Debug for RandomSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "RandomSource::from_fn" } else { "RandomSource" })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tidings_hub::{Draft, Log as _, Timestamp, Topic};

    use super::*;
    use crate::segment::{Index, Sealed};
    use crate::{DiskConfig, DiskStore};

    fn counting() -> RandomSource {
        let next = AtomicU64::new(1 << 40);
        RandomSource::from_fn(move || next.fetch_add(1 << 40, Ordering::Relaxed))
    }

    /// Writes a log of several segments into `folder` and returns its files.
    fn write(folder: &Path, random: RandomSource) -> Vec<(String, Vec<u8>)> {
        let segment_bytes = Some(4 << 10);
        let config = DiskConfig { segment_bytes, random, ..DiskConfig::new(folder) };
        let store = DiskStore::open(config).unwrap();
        for number in 0..40 {
            let draft = Draft::new(Topic::new("t").unwrap(), "x".repeat(400));
            store.append(vec![draft], Timestamp::from_millis(number)).unwrap();
        }
        store.wait_for_background();
        let is_index = |name: &String| name.ends_with(".index");
        let files = || {
            let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
            let mut names: Vec<_> =
                entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
            names.sort_unstable();
            names
        };
        let indexes = files().into_iter().filter(is_index).count();
        assert!(indexes > 2, "indexes of full segments are written by now: {indexes}");
        drop(store);
        let read = |name: String| {
            let bytes = std::fs::read(folder.join(&name)).unwrap();
            (name, bytes)
        };
        let files = files().into_iter().map(read).collect();
        std::fs::remove_dir_all(folder).unwrap();
        files
    }

    #[test]
    fn an_append_waits_for_the_index_of_the_segment_that_it_completes() {
        let folder = std::env::temp_dir().join(format!("tidings-index-{}", std::process::id()));
        let segment_bytes = Some(4 << 10);
        let config = DiskConfig { segment_bytes, random: counting(), ..DiskConfig::new(&folder) };
        let store = DiskStore::open(config).unwrap();
        for number in 0..400 {
            let draft = Draft::new(Topic::new("t").unwrap(), "x".repeat(400));
            store.append(vec![draft], Timestamp::from_millis(number)).unwrap();
            let state = store.shared.read_state();
            let is_written = |sealed: &Arc<Sealed>| matches!(sealed.index, Index::File(_));
            assert!(state.sealed.iter().all(is_written), "after {number}");
        }
        assert!(store.shared.read_state().sealed.len() > 10);
        drop(store);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn logs_with_the_same_numbers_have_the_same_files() {
        let folder = std::env::temp_dir().join(format!("tidings-random-{}", std::process::id()));
        let one = write(&folder, counting());
        assert_eq!(write(&folder, counting()), one);
        assert_ne!(write(&folder, RandomSource::default()), one, "and others with others");
    }
}
