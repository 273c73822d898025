//! The format of the folder, which changes when something comes into it that older versions do not
//! know.

use std::io;
use std::sync::atomic::Ordering;

use crate::disk::Disk;
use crate::log_identity::{FORMAT_2, FORMAT_FILE, LogName};
use crate::state::Shared;

impl Shared {
    /// Makes sure that versions which do not know format 2 do not open the folder. Comes before the
    /// first thing in it that they would not see, or would misread.
    pub(crate) fn ensure_format_2(&self) -> io::Result<()> {
        if self.format.load(Ordering::Acquire) >= FORMAT_2 {
            return Ok(());
        }
        self.rewrite_format(|name| name.format = FORMAT_2)?;
        self.format.store(FORMAT_2, Ordering::Release);
        Ok(())
    }

    /// Changes the format file; what is not changed stays.
    pub(crate) fn rewrite_format(&self, change: impl FnOnce(&mut LogName)) -> io::Result<()> {
        let _alone = self.format_file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut name = read_format(&*self.disk)?;
        change(&mut name);
        name.write(&*self.disk)
    }
}

fn read_format(disk: &dyn Disk) -> io::Result<LogName> {
    let file = disk.open(FORMAT_FILE)?;
    let mut text = vec![0; 4096];
    let read = file.read_at(&mut text, 0)?;
    LogName::parse(&String::from_utf8_lossy(&text[..read]))
        .map_err(|_| io::Error::other("the file that names the log cannot be read"))
}
