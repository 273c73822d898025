//! `--since-file`: the last event id, where it outlives the process.

use std::io;
use std::path::Path;

use tidings_client::{EventId, LastIdFile, LastIdStore as _};

use crate::error::CliError;
use crate::exit_code::ExitCode;

/// The file, or none. An id is saved when its event, and all before it, have been dealt with, and
/// not a moment earlier: so a program that is killed gets an event again rather than never. The
/// file is replaced whole; a crash finds the old one or the new one.
pub(crate) struct SinceFile {
    file: Option<(LastIdFile, String)>,
    saved: Option<EventId>,
}

impl SinceFile {
    /// Reads the file at `path`. It is written at once, too: if that fails, it is better now than
    /// after the first event.
    ///
    /// # Errors
    ///
    /// It cannot be read or written, or has no id in it.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, CliError> {
        let Some(path) = path else { return Ok(Self { file: None, saved: None }) };
        let name = path.display().to_string();
        let mut file = LastIdFile::new(path);
        let wrong = |error: io::Error| {
            let message = format!("{name} cannot hold the last event id");
            CliError::new(ExitCode::CannotStart, message).because(error)
        };
        let saved = file.load().map_err(wrong)?;
        file.save(saved.as_ref()).map_err(wrong)?;
        Ok(Self { file: Some((file, name)), saved })
    }

    /// Whether there is a file.
    pub(crate) fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// The id saved last.
    pub(crate) fn id(&self) -> Option<&EventId> {
        self.saved.as_ref()
    }

    /// Saves an id, unless it is the one saved last.
    ///
    /// # Errors
    ///
    /// It cannot be saved. To go on would be to break the promise of the file.
    pub(crate) fn save(&mut self, id: Option<EventId>) -> Result<(), CliError> {
        let Some((file, name)) = &mut self.file else { return Ok(()) };
        if self.saved == id {
            return Ok(());
        }
        file.save(id.as_ref()).map_err(|error| {
            let message = format!("{name} cannot be written");
            CliError::new(ExitCode::Failure, message).because(error)
        })?;
        self.saved = id;
        Ok(())
    }
}
