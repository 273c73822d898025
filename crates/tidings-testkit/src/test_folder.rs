//! Folders of tests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The path of a folder for one test, which makes it if it needs it; removed at the end.
#[derive(Debug)]
pub struct TestFolder(PathBuf);

impl TestFolder {
    /// A path that no other test has, with `name` in it.
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidings-{name}-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// The path of `name` in the folder.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
