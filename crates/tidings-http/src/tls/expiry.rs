//! The expiry of a certificate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use simple_asn1::ASN1Block::{self, Explicit, GeneralizedTime, Sequence, UTCTime};

/// `notAfter` (RFC 5280 §4.1.2.5); `None` if the certificate is encoded in a way that this reader
/// does not know. Only notices depend on it: clients judge certificates themselves.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let blocks = simple_asn1::from_der(certificate).ok()?;
    let [Sequence(_, certificate)] = &blocks[..] else { return None };
    let Sequence(_, fields) = certificate.first()? else { return None };
    // Its version may stand before them, explicitly tagged: serial number, algorithm, issuer.
    let fields = match fields.first()? {
        Explicit(..) => &fields[1..],
        _ => &fields[..],
    };
    let Sequence(_, validity) = fields.get(3)? else { return None };
    time(validity.get(1)?)
}

fn time(block: &ASN1Block) -> Option<SystemTime> {
    let (UTCTime(_, time) | GeneralizedTime(_, time)) = block else { return None };
    let seconds = time.assume_utc().unix_timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    match seconds >= 0 {
        true => UNIX_EPOCH.checked_add(distance),
        false => UNIX_EPOCH.checked_sub(distance),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn expiring(year: i32) -> CertificateDer<'static> {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_notations() {
        // From 2050 on, years have four digits (RFC 5280 §4.1.2.5.2).
        for (year, seconds) in [(1999, 920_246_400), (2030, 1_898_553_600), (2051, 2_561_241_600)] {
            let end = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(not_after(&expiring(year)), Some(end), "{year}");
        }
    }

    #[test]
    fn data_that_is_not_a_certificate_has_no_expiry() {
        let certificate = expiring(2030);
        for cut in 0..certificate.len() {
            assert_eq!(not_after(&CertificateDer::from(&certificate[..cut])), None);
        }
        for (at, _) in certificate.iter().enumerate() {
            let mut damaged = certificate.to_vec();
            damaged[at] ^= 0xff;
            let _ = not_after(&CertificateDer::from(damaged));
        }
        assert_eq!(not_after(&CertificateDer::from(&[0x30, 0][..])), None);
    }
}
