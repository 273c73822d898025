//! The doctor's results: findings, passed checks, and checks that could not be made.

use std::borrow::Cow;

use serde::Serialize;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Advice,
    /// It works now, but will not always.
    Warning,
    /// Subscribers do not get their events, or not in time.
    Error,
}

impl Severity {
    /// Its name, for display.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One problem.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Stable name for programs.
    pub code: &'static str,
    /// Severity.
    pub severity: Severity,
    /// The problem and its consequence.
    pub title: String,
    /// Observations that show it.
    pub evidence: String,
    /// Lines to change.
    pub fixes: Vec<Fix>,
}

/// A line to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// Place of the change: `nginx`, `Caddy`, `HAProxy`, `cloud`, or `server` for the program that
    /// sends the stream.
    pub at: &'static str,
    /// The line itself, with a comment on where it belongs.
    pub line: Cow<'static, str>,
}

/// All results of a run.
#[derive(Debug, Default, Serialize)]
pub struct Diagnosis {
    /// Problems, the worst first.
    pub findings: Vec<Finding>,
    /// Checks that passed.
    pub passed: Vec<String>,
    /// Checks that could not be made, and why.
    pub unjudged: Vec<String>,
}

impl Diagnosis {
    pub(crate) fn find(
        &mut self,
        code: &'static str,
        severity: Severity,
        title: impl Into<String>,
        evidence: impl Into<String>,
        fixes: impl Into<Vec<Fix>>,
    ) {
        self.findings.push(Finding {
            code,
            severity,
            title: title.into(),
            evidence: evidence.into(),
            fixes: fixes.into(),
        });
    }

    pub(crate) fn pass(&mut self, what: impl Into<String>) {
        self.passed.push(what.into());
    }

    pub(crate) fn leave(&mut self, what: impl Into<String>) {
        self.unjudged.push(what.into());
    }

    /// Number of findings of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// The severity of the worst finding.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}
