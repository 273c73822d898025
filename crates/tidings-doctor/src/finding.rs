//! What the doctor has to say: findings, what was all right, and what could not be judged.

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Advice,
    /// It works now, and will not always.
    Warning,
    /// Subscribers do not get their events, or not in time.
    Error,
}

impl Severity {
    /// Its name, as it is shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that could be better.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// A name for programs; it does not change.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, and what comes of it.
    pub title: String,
    /// How it was seen.
    pub evidence: String,
    /// Where to change what.
    pub fixes: Vec<Fix>,
}

/// A line to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// `nginx`, `Caddy`, `HAProxy`, `cloud`, or `server` for what sends the stream.
    pub at: &'static str,
    /// The line itself, with a word where it belongs.
    pub line: &'static str,
}

/// Everything there is to say.
#[derive(Debug, Default, Serialize)]
pub struct Diagnosis {
    /// The worst first.
    pub findings: Vec<Finding>,
    /// What was looked at and is as it should be.
    pub passed: Vec<String>,
    /// What could not be told, and why.
    pub unjudged: Vec<String>,
}

impl Diagnosis {
    pub(crate) fn find(
        &mut self,
        code: &'static str,
        severity: Severity,
        title: impl Into<String>,
        evidence: impl Into<String>,
        fixes: &[Fix],
    ) {
        self.findings.push(Finding {
            code,
            severity,
            title: title.into(),
            evidence: evidence.into(),
            fixes: fixes.to_vec(),
        });
    }

    pub(crate) fn pass(&mut self, what: impl Into<String>) {
        self.passed.push(what.into());
    }

    pub(crate) fn leave(&mut self, what: impl Into<String>) {
        self.unjudged.push(what.into());
    }

    /// The severity of the worst finding.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}
