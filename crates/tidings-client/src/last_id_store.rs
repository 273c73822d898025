//! `LastIdStore`: storage for a last event id that outlives the process.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use tidings_codec::EventId;

/// Stores the last event id so that it outlives the process, and a restarted program continues
/// where it was.
///
/// An id is saved when the program asks for the next item, after it has received everything before:
/// so an event whose handling was cut short arrives again. Calls are made on the task that reads
/// the source, and should be quick.
pub trait LastIdStore: Send + 'static {
    /// The last id saved, if any.
    ///
    /// # Errors
    ///
    /// The error that prevents reading it. The source is then not opened: it must not begin in the
    /// wrong place.
    fn load(&mut self) -> io::Result<Option<EventId>>;

    /// Saves an id, replacing the previous one. `None` if the server has reset the id.
    ///
    /// # Errors
    ///
    /// The error that prevents saving it. The source continues, and tries again with the next id; a
    /// store that wants the error reported must do so itself.
    fn save(&mut self, id: Option<&EventId>) -> io::Result<()>;
}

/// A last event id in a file of its own, which is replaced atomically.
///
/// A crash of the machine, as opposed to the program, may bring back an older id.
#[derive(Debug, Clone)]
pub struct LastIdFile {
    path: PathBuf,
}

impl LastIdFile {
    /// Keeps the id in the file at `path`, which need not exist yet. A temporary file with the
    /// suffix `.new` is written beside it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl LastIdStore for LastIdFile {
    fn load(&mut self) -> io::Result<Option<EventId>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let id = text.strip_suffix('\n').unwrap_or(&text);
        if id.is_empty() {
            return Ok(None);
        }
        EventId::new(id)
            .map(Some)
            .map_err(|invalid| io::Error::new(ErrorKind::InvalidData, invalid))
    }

    fn save(&mut self, id: Option<&EventId>) -> io::Result<()> {
        let mut new_path = self.path.clone().into_os_string();
        new_path.push(".new");
        let mut file = fs::File::create(&new_path)?;
        writeln!(file, "{}", id.map_or("", EventId::as_str))?;
        drop(file);
        fs::rename(&new_path, &self.path)
    }
}
