//! Errors that end the program: one sentence, its causes, a hint, an exit code.

use std::error::Error;
use std::fmt;

use crate::exit_code::ExitCode;
use crate::foreign_text::presentable;
use crate::settings::SettingProblem;
use crate::tls_hint;

/// An expected end of the program other than success.
#[derive(Debug)]
pub(crate) struct CliError {
    code: ExitCode,
    message: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    hint: Option<String>,
    /// Further lines, each an error of its own.
    more: Vec<SettingProblem>,
}

impl CliError {
    /// An error that is described by one sentence fragment.
    pub(crate) fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), cause: None, hint: None, more: Vec::new() }
    }

    /// Settings that are wrong.
    pub(crate) fn settings(mut problems: Vec<SettingProblem>) -> Self {
        // The command line is to blame only if all of it is.
        let code = match problems.iter().all(|problem| problem.origin.is_flag()) {
            true => ExitCode::Usage,
            false => ExitCode::Configuration,
        };
        if problems.is_empty() {
            return Self::new(code, "the configuration is wrong");
        }
        let first = problems.remove(0);
        Self { hint: first.hint.clone(), more: problems, ..Self::new(code, first.to_string()) }
    }

    /// Adds what caused it.
    #[must_use]
    pub(crate) fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds a hint on what to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What caused it, and what caused that.
    fn causes(&self) -> Vec<&(dyn Error + 'static)> {
        let mut causes = Vec::new();
        let mut cause = self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static));
        while let Some(error) = cause {
            causes.push(error);
            cause = error.source();
        }
        causes
    }

    /// How the program is to end.
    pub(crate) fn code(&self) -> ExitCode {
        self.code
    }
}

impl fmt::Display for CliError {
    /// The whole text for standard error, without a line feed at its end. Of many causes it names
    /// the first, which the command knows, and the last, where it began; `{:#}` names all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", presentable(&self.message))?;
        let mut causes = self.causes();
        let about_tls = causes.first().and_then(|cause| tls_hint::hint(*cause));
        if !f.alternate() && causes.len() > 2 {
            causes.drain(1..causes.len() - 1);
        }
        // The TLS library names some problems in a programmer's words only.
        let origin =
            causes.last().filter(|_| !f.alternate()).and_then(|last| tls_hint::words(*last));
        if origin.is_some() {
            causes.pop();
        }
        for cause in causes {
            write!(f, "\n  because: {}", presentable(&cause.to_string()))?;
        }
        if let Some(words) = origin {
            write!(f, "\n  because: {words}")?;
        }
        if let Some(hint) = about_tls.or(self.hint.as_deref()) {
            write!(f, "\nhint: {}", presentable(hint))?;
        }
        for problem in &self.more {
            write!(f, "\nerror: {problem}")?;
            if let Some(hint) = &problem.hint {
                write!(f, "\nhint: {hint}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// An error with a cause.
    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_ref().map(|link| &**link as _)
        }
    }

    #[test]
    fn of_many_causes_the_first_and_the_last_are_named_and_all_in_the_long_form() {
        let chain = Link("c", Some(Box::new(Link("d", None))));
        let chain = Link("a", Some(Box::new(Link("b", Some(Box::new(chain))))));
        let error = CliError::new(ExitCode::Unreached, "no").because(chain);
        assert_eq!(error.to_string(), "error: no\n  because: a\n  because: d");
        let all = "error: no\n  because: a\n  because: b\n  because: c\n  because: d";
        assert_eq!(format!("{error:#}"), all);
    }

    #[test]
    fn causes_are_chained_and_the_hint_comes_last() {
        let error = CliError::new(ExitCode::CannotStart, "the log cannot be opened")
            .because(io::Error::other("no room"))
            .hint("make room");
        assert_eq!(
            error.to_string(),
            "error: the log cannot be opened\n  because: no room\nhint: make room"
        );
    }
}
