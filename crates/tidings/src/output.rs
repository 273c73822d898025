//! Standard output, standard error, and when they are coloured.
//!
//! Standard output carries what was asked for, and nothing else: events, ids, tokens, pages.
//! Standard error carries what is said about it.
//!
//! What others chose (an id, what a server says) has no power over a terminal: on standard error it
//! is always [presentable]; on standard output only where that is a terminal, for in a pipe every
//! byte counts.

use std::env;
use std::io::{self, ErrorKind, IsTerminal, Write};

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::foreign_text::{harmless_json, harmless_lines, presentable};

/// Prints why the program ends, with every cause if `verbose`.
#[allow(clippy::print_stderr)] // this is the place
pub(crate) fn complain(error: &CliError, verbose: bool) {
    match verbose {
        true => eprintln!("{error:#}"),
        false => eprintln!("{error}"),
    }
}

/// Says something beside what was asked for.
#[allow(clippy::print_stderr)] // this is the place
pub(crate) fn remark(text: &str) {
    eprintln!("{}", presentable(text));
}

/// Writes text for people that was asked for, harmless if a terminal shows it. For the rest see
/// [`print()`].
///
/// # Errors
///
/// As for [`print()`].
pub(crate) fn print_text(text: &str) -> Result<bool, CliError> {
    match io::stdout().is_terminal() {
        true => print(harmless_lines(text).as_bytes()),
        false => print(text.as_bytes()),
    }
}

/// Writes JSON that was asked for: on a terminal with escapes for all that would steer it.
///
/// # Errors
///
/// As for [`print()`].
pub(crate) fn print_json(text: &str) -> Result<bool, CliError> {
    match io::stdout().is_terminal() {
        true => print(harmless_json(text).as_bytes()),
        false => print(text.as_bytes()),
    }
}

/// Writes what was asked for, at once, as it is. Returns whether somebody still reads it: a closed
/// pipe is no error, but the end.
///
/// # Errors
///
/// It cannot be written for another reason.
pub(crate) fn print(text: &[u8]) -> Result<bool, CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            let message = "standard output cannot be written";
            Err(CliError::new(ExitCode::Failure, message).because(error))
        }
    }
}

/// How to write on a stream: with colours, or without.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    pub(crate) dim: &'static str,
    pub(crate) accent: &'static str,
    pub(crate) warning: &'static str,
    pub(crate) plain: &'static str,
}

impl Palette {
    const NONE: Self = Self { dim: "", accent: "", warning: "", plain: "" };
    const ANSI: Self =
        Self { dim: "\x1b[2m", accent: "\x1b[36m", warning: "\x1b[33m", plain: "\x1b[0m" };

    /// For standard output.
    pub(crate) fn for_stdout() -> Self {
        if may_colour(io::stdout().is_terminal()) { Self::ANSI } else { Self::NONE }
    }
}

/// Whether to colour what goes to a stream that is a terminal, or is none (no-color.org).
pub(crate) fn may_colour(is_terminal: bool) -> bool {
    is_terminal
        && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && env::var_os("TERM").is_none_or(|term| term != "dumb")
}
