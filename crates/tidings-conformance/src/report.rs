use std::fmt;

use serde::Serialize;

use crate::check::{Check, Outcome};
use crate::dialect::Dialect;

/// The results of all checks.
#[derive(Debug, Default)]
pub struct Report {
    /// Findings in the order in which the checks ran.
    pub findings: Vec<Finding>,
}

/// The result of one check.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// The dialect in which it ran.
    pub dialect: Dialect,
    /// Its outcome.
    pub outcome: Outcome,
}

impl Finding {
    pub(crate) fn new(check: &Check, dialect: Dialect, outcome: Outcome) -> Self {
        Self { check: *check, dialect, outcome }
    }
}

impl Report {
    /// Numbers of checks that passed, failed, and were skipped.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |is: fn(&Outcome) -> bool| {
            self.findings.iter().filter(|finding| is(&finding.outcome)).count()
        };
        (
            count(|outcome| matches!(outcome, Outcome::Pass)),
            count(|outcome| matches!(outcome, Outcome::Fail(_))),
            count(|outcome| matches!(outcome, Outcome::Skipped(_))),
        )
    }

    /// Reasons for which checks were skipped, each with its number of checks, the most frequent
    /// first.
    pub fn skipped(&self) -> Vec<(&str, usize)> {
        let mut reasons: Vec<(&str, usize)> = Vec::new();
        for finding in &self.findings {
            let Outcome::Skipped(why) = &finding.outcome else { continue };
            match reasons.iter_mut().find(|(reason, _)| reason == why) {
                Some((_, count)) => *count += 1,
                None => reasons.push((why, 1)),
            }
        }
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons
    }

    /// The report as JSON, for programs.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            passed: usize,
            failed: usize,
            skipped: usize,
            checks: Vec<Line<'a>>,
        }
        #[derive(Serialize)]
        struct Line<'a> {
            name: &'static str,
            dialect: String,
            section: &'static str,
            sentence: &'static str,
            result: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<&'a str>,
        }
        let (passed, failed, skipped) = self.counts();
        let line = |finding: &'_ Finding| {
            let Check { name, sentence, section, .. } = finding.check;
            let dialect = finding.dialect.to_string();
            (name, dialect, section, sentence)
        };
        let checks = self.findings.iter().map(|finding| {
            let (name, dialect, section, sentence) = line(finding);
            let (result, reason) = match &finding.outcome {
                Outcome::Pass => ("pass", None),
                Outcome::Fail(why) => ("fail", Some(why.as_str())),
                Outcome::Skipped(why) => ("skipped", Some(why.as_str())),
            };
            Line { name, dialect, section, sentence, result, reason }
        });
        let document = Document { passed, failed, skipped, checks: checks.collect() };
        serde_json::to_string_pretty(&document).expect("texts and numbers only")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, dialect, outcome } = self;
        let result = match outcome {
            Outcome::Pass => "pass",
            Outcome::Fail(_) => "FAIL",
            Outcome::Skipped(_) => "skip",
        };
        write!(f, "{result}  {dialect}  {:<24}  {}", check.section, check.sentence)?;
        match outcome {
            Outcome::Pass => Ok(()),
            Outcome::Fail(why) | Outcome::Skipped(why) => write!(f, "\n           {why}"),
        }
    }
}
