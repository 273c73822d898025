//! `LastIdStore`: where a last event id outlives the process.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use tidings_codec::EventId;

/// Keeps the last event id where it outlives the process, so that a program that is started again
/// goes on where it was.
///
/// An id is saved when the program comes back for more and everything before has been handed to it:
/// so an event whose handling was cut short arrives again. Calls are made on the task that reads
/// the source, and should be quick.
pub trait LastIdStore: Send + 'static {
    /// The id saved last, if there is one.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being read. The source is then not opened: it must not begin in the
    /// wrong place.
    fn load(&mut self) -> io::Result<Option<EventId>>;

    /// Saves an id in the place of the one before. None: the server took the id back.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being saved. The source goes on, and the next id is saved again; a
    /// store that wants more said about it says so itself.
    fn save(&mut self, id: Option<&EventId>) -> io::Result<()>;
}

/// A last event id in a file of its own. It is replaced whole, never half.
///
/// A crash of the machine, as opposed to the program, may bring back an older id.
#[derive(Debug, Clone)]
pub struct LastIdFile {
    path: PathBuf,
}

impl LastIdFile {
    /// Keeps the id in the file at `path`, which need not exist yet. Beside it, a file with `.new`
    /// added to its name comes and goes.
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
