//! What a certificate says that the hub needs to know: when it is valid, and how its authority
//! calls it.
//!
//! Nothing here decides about trust: clients judge certificates themselves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use simple_asn1::ASN1Block::{
    self, Explicit, GeneralizedTime, Integer, ObjectIdentifier, OctetString, Sequence, UTCTime,
    Unknown,
};
use simple_asn1::{BigUint, OID};

/// When a certificate is valid (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// `notBefore`.
    pub begins: SystemTime,
    /// `notAfter`.
    pub ends: SystemTime,
}

impl Validity {
    /// The time between the two.
    pub fn lifetime(&self) -> Duration {
        self.ends.duration_since(self.begins).unwrap_or_default()
    }
}

/// By what an authority knows a certificate that it has issued (RFC 9773 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedAs {
    /// The `keyIdentifier` of its authority.
    pub authority: Vec<u8>,
    /// The content of its serial number's DER.
    pub serial: Vec<u8>,
}

/// `None` if the certificate is encoded in a way that this reader does not know.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let fields = fields(certificate)?;
    let Sequence(_, validity) = fields.get(3)? else { return None };
    let [begins, ends] = &validity[..] else { return None };
    Some(Validity { begins: time(begins)?, ends: time(ends)? })
}

/// `None` if the certificate does not name the key of its authority.
pub(super) fn issued_as(certificate: &CertificateDer<'_>) -> Option<IssuedAs> {
    let fields = fields(certificate)?;
    let Integer(_, serial) = fields.first()? else { return None };
    let extensions = fields.iter().find_map(|field| match field {
        Explicit(_, _, tag, block) if *tag == BigUint::from(3_u8) => Some(block),
        _ => None,
    })?;
    let Sequence(_, extensions) = &**extensions else { return None };
    let authority = extensions.iter().find_map(authority)?;
    Some(IssuedAs { authority, serial: serial.to_signed_bytes_be() })
}

/// The key identifier, if this is the extension that has it (RFC 5280 §4.2.1.1).
fn authority(extension: &ASN1Block) -> Option<Vec<u8>> {
    let Sequence(_, parts) = extension else { return None };
    let [ObjectIdentifier(_, name), .., OctetString(_, value)] = &parts[..] else { return None };
    let wanted: [u8; 4] = [2, 5, 29, 35];
    if *name != OID::new(wanted.into_iter().map(BigUint::from).collect()) {
        return None;
    }
    let value = simple_asn1::from_der(value).ok()?;
    let [Sequence(_, value)] = &value[..] else { return None };
    match value.first()? {
        Unknown(_, false, _, tag, identifier) if *tag == BigUint::from(0_u8) => {
            Some(identifier.clone())
        }
        _ => None,
    }
}

/// The fields of a certificate, without its version: serial number, algorithm, issuer, validity.
fn fields(certificate: &CertificateDer<'_>) -> Option<Vec<ASN1Block>> {
    let mut blocks = simple_asn1::from_der(certificate).ok()?;
    let [Sequence(_, certificate)] = &mut blocks[..] else { return None };
    let Sequence(_, fields) = certificate.first_mut()? else { return None };
    let mut fields = std::mem::take(fields);
    // The version may stand before them, explicitly tagged.
    if let Explicit(..) = fields.first()? {
        fields.remove(0);
    }
    Some(fields)
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

    fn params() -> rcgen::CertificateParams {
        rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap()
    }

    fn expiring(year: i32) -> CertificateDer<'static> {
        let mut params = params();
        params.not_before = rcgen::date_time_ymd(1998, 3, 1);
        params.not_after = rcgen::date_time_ymd(year, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_notations() {
        // From 2050 on, years have four digits (RFC 5280 §4.1.2.5.2).
        for (year, seconds) in [(1999, 920_246_400), (2030, 1_898_553_600), (2051, 2_561_241_600)] {
            let ends = UNIX_EPOCH + Duration::from_secs(seconds);
            let begins = UNIX_EPOCH + Duration::from_secs(888_710_400);
            assert_eq!(validity(&expiring(year)), Some(Validity { begins, ends }), "{year}");
        }
    }

    /// The numbers are those of the example in RFC 9773 §4.1.
    #[test]
    fn a_certificate_is_called_by_its_authoritys_key_and_its_serial_number() {
        let authority = [
            0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0,
            0xae, 0x2c, 0xde, 0x01, 0xc8, 0xd4,
        ];
        let mut root = params();
        root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        root.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(authority.to_vec());
        let root = rcgen::Issuer::new(root, rcgen::KeyPair::generate().unwrap());
        let mut leaf = params();
        leaf.serial_number = Some(rcgen::SerialNumber::from(vec![0x87, 0x65, 0x43, 0x21]));
        leaf.use_authority_key_identifier_extension = true;
        let leaf = leaf.signed_by(&rcgen::KeyPair::generate().unwrap(), &root).unwrap();
        let expected =
            IssuedAs { authority: authority.to_vec(), serial: vec![0, 0x87, 0x65, 0x43, 0x21] };
        assert_eq!(issued_as(leaf.der()), Some(expected));
        assert_eq!(issued_as(&expiring(2030)), None, "it is signed by itself");
    }

    #[test]
    fn data_that_is_not_a_certificate_has_no_facts() {
        let certificate = expiring(2030);
        for cut in 0..certificate.len() {
            let cut = CertificateDer::from(&certificate[..cut]);
            assert_eq!((validity(&cut), issued_as(&cut)), (None, None));
        }
        for (at, _) in certificate.iter().enumerate() {
            let mut damaged = certificate.to_vec();
            damaged[at] ^= 0xff;
            let damaged = CertificateDer::from(damaged);
            let _ = (validity(&damaged), issued_as(&damaged));
        }
        assert_eq!(validity(&CertificateDer::from(&[0x30, 0][..])), None);
    }
}
