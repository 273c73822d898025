//! The exit codes: part of the interface, for scripts and supervisors.

use std::process;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// It succeeded.
    Success,
    /// It failed while running.
    Failure,
    /// The command line is wrong.
    Usage,
    /// The configuration is wrong: a file, the environment, or values that do not fit together.
    Configuration,
    /// It cannot start: an address, a folder or a file is not available.
    CannotStart,
    /// The hub, or another server, rejected the request.
    Refused,
    /// The hub, or another server, cannot be reached.
    Unreached,
    /// `doctor` has warnings.
    Warnings,
    /// `doctor` has errors.
    Errors,
    /// The store failed while the hub was serving, and takes no more events: only a restart can
    /// find out what is on the disk.
    StoreFailed,
    /// A thread of the hub panicked while it was serving.
    ThreadPanicked,
    /// The shared log is no longer the one that the hub followed: only a restart can find out how
    /// much of the hub's copy is still right.
    LogChanged,
    /// A second signal interrupted the shutdown.
    CutShort,
}

impl ExitCode {
    /// All of them, in the order of their numbers.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 13] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::Configuration,
        Self::CannotStart,
        Self::Refused,
        Self::Unreached,
        Self::Warnings,
        Self::Errors,
        Self::StoreFailed,
        Self::ThreadPanicked,
        Self::LogChanged,
        Self::CutShort,
    ];

    /// The number.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::CannotStart => 4,
            Self::Refused => 5,
            Self::Unreached => 6,
            Self::Warnings => 7,
            Self::Errors => 8,
            Self::StoreFailed => 9,
            Self::ThreadPanicked => 10,
            Self::LogChanged => 11,
            Self::CutShort => 130,
        }
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

/// The table of codes at the end of `tidings --help` and in the reference.
pub(crate) const TABLE: &str = "\
Exit codes:
    0  success
    1  failure
    2  wrong command line
    3  wrong configuration
    4  cannot start: an address, a folder or a file is not available
    5  the hub, or another server, rejected the request
    6  the hub, or another server, cannot be reached
    7  `doctor` found warnings
    8  `doctor` found errors
    9  the store failed while the hub was serving; start it again
   10  a thread of the hub panicked while it was serving; start it again, and report it
   11  the log that several hubs share lost its end, or went on without this one; start it again
  130  a second signal interrupted the shutdown";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_for_people_has_every_code() {
        let numbers: Vec<u8> = TABLE
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().next().expect("a number"))
            .map(|number| number.parse().expect("digits"))
            .collect();
        assert_eq!(numbers, ExitCode::ALL.map(ExitCode::number));
    }
}
