//! What the doctor has to say: findings, what was all right, and what could not be judged.

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Worth knowing.
    Advice,
    /// It works now, and will not always.
    Warning,
    /// Subscribers do not get their events, or not in time.
    Error,
}

impl Severity {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that could be better.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// A name for programs; it does not change.
    pub(super) code: &'static str,
    pub(super) severity: Severity,
    /// What is wrong, and what comes of it.
    pub(super) title: String,
    /// How it was seen.
    pub(super) evidence: String,
    /// Where to change what.
    pub(super) fixes: Vec<Fix>,
}

/// A line to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fix {
    /// `nginx`, `Caddy`, `HAProxy`, `cloud`, or `server` for what sends the stream.
    pub(super) at: &'static str,
    pub(super) line: &'static str,
}

/// Everything there is to say.
#[derive(Debug, Default, Serialize)]
pub(super) struct Diagnosis {
    /// The worst first.
    pub(super) findings: Vec<Finding>,
    /// What was looked at and is as it should be.
    pub(super) passed: Vec<String>,
    /// What could not be told, and why.
    pub(super) unjudged: Vec<String>,
}

impl Diagnosis {
    pub(super) fn find(
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

    pub(super) fn pass(&mut self, what: impl Into<String>) {
        self.passed.push(what.into());
    }

    pub(super) fn leave(&mut self, what: impl Into<String>) {
        self.unjudged.push(what.into());
    }

    pub(super) fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}
