//! The certificate of a server that is reached by https.

use jiff::Timestamp;

use crate::finding::{Diagnosis, Severity};
use crate::fixes;

/// The certificate that the server showed, trusted or not.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// When it was looked at.
    pub now: Timestamp,
    /// Beginning of its lifetime.
    pub begins: Timestamp,
    /// End of its lifetime.
    pub ends: Timestamp,
    /// Whether it was signed by itself.
    pub is_self_signed: bool,
    /// Whether the hub says that it still waits for its first certificate.
    pub is_awaited: bool,
    /// Why this machine does not trust it, if it does not.
    pub refused: Option<String>,
}

impl Certificate {
    pub(crate) fn judge(&self, diagnosis: &mut Diagnosis) {
        match &self.refused {
            Some(why) => self.refused_for(why, diagnosis),
            None => self.trusted(diagnosis),
        }
    }

    /// No client connects.
    fn refused_for(&self, why: &str, diagnosis: &mut Diagnosis) {
        let (begins, ends) = (self.begins, self.ends);
        let (code, title, evidence, fixes) = if self.is_awaited {
            let title =
                "The hub waits for its first certificate, and shows one that nobody trusts.";
            let evidence = "/readyz says no_certificate".to_owned();
            ("no-certificate", title, evidence, fixes::NO_CERTIFICATE)
        } else if ends <= self.now {
            let title = "The certificate has expired, and no client connects.";
            ("certificate-expired", title, format!("it ended at {ends}"), fixes::RENEWAL)
        } else if begins > self.now {
            let title = "The certificate is not valid yet: is the time of this machine right?";
            ("certificate-untrusted", title, format!("it begins at {begins}"), &[][..])
        } else {
            let title = "This machine does not trust the certificate, and others will not either.";
            let own = if self.is_self_signed { "; it is signed by itself" } else { "" };
            ("certificate-untrusted", title, format!("{why}{own}"), fixes::TRUST)
        };
        diagnosis.find(code, Severity::Error, title, evidence, fixes);
    }

    /// Whoever renews it by a third of its lifetime before the end has done so by a quarter.
    fn trusted(&self, diagnosis: &mut Diagnosis) {
        let lifetime = self.ends.as_second() - self.begins.as_second();
        let left = self.ends.as_second() - self.now.as_second();
        let (ends, left_text) = (self.ends, span(left));
        if left.saturating_mul(4) < lifetime {
            let title = "The certificate ends soon, and should have been renewed by now.";
            let evidence = format!("{left_text} of {} are left, until {ends}", span(lifetime));
            diagnosis.find("certificate-ends", Severity::Warning, title, evidence, fixes::RENEWAL);
        } else {
            diagnosis.pass(format!("the certificate is trusted, for {left_text} from now"));
        }
    }
}

/// Days, or hours where those count.
fn span(seconds: i64) -> String {
    const HOUR: i64 = 3600;
    match seconds / HOUR {
        1 => "1 hour".to_owned(),
        hours @ ..72 => format!("{hours} hours"),
        hours => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes of what is found about a certificate by its hours: those left, and its lifetime.
    fn found(left_h: i64, of_h: i64, refused: Option<&str>, is_awaited: bool) -> Vec<&'static str> {
        let at = |hours: i64| Timestamp::from_second(1_800_000_000 + hours * 3600).expect("a time");
        let mut diagnosis = Diagnosis::default();
        let certificate = Certificate {
            now: at(0),
            begins: at(left_h - of_h),
            ends: at(left_h),
            is_self_signed: false,
            is_awaited,
            refused: refused.map(str::to_owned),
        };
        certificate.judge(&mut diagnosis);
        assert_eq!(diagnosis.findings.is_empty(), !diagnosis.passed.is_empty());
        diagnosis.findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_certificate_ends_soon_by_its_own_lifetime_and_not_by_days() {
        for days in [6, 45, 90, 365] {
            let hours = days * 24;
            assert!(found(hours, hours, None, false).is_empty(), "{days} days");
            assert!(found(hours / 3, hours, None, false).is_empty(), "{days} days");
            assert_eq!(found(hours / 5, hours, None, false), ["certificate-ends"], "{days} days");
        }
    }

    #[test]
    fn the_reason_for_no_trust_is_the_one_that_helps() {
        let why = Some("unknown authority");
        assert_eq!(found(100, 200, why, false), ["certificate-untrusted"]);
        assert_eq!(found(-1, 200, why, false), ["certificate-expired"]);
        assert_eq!(found(300, 200, why, false), ["certificate-untrusted"]);
        assert_eq!(found(100, 200, why, true), ["no-certificate"]);
    }
}
