//! What a certificate says that the hub needs to know: when it is valid, and how its authority
//! calls it.
//!
//! Nothing here decides about trust: clients judge certificates themselves.

use std::time::{Duration, SystemTime};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls::pki_types::CertificateDer;

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

/// What a certificate says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// When it is valid.
    pub validity: Validity,
    /// Whether it names itself as its issuer.
    pub is_self_issued: bool,
}

impl CertificateFacts {
    /// Reads a certificate in DER; `None` if it is encoded in a way that this reader does not know.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let mut fields = fields(certificate)?;
        let issuer = fields.nth(2)?.of(SEQUENCE)?;
        let mut validity = Elements(fields.next()?.of(SEQUENCE)?);
        let validity = Validity { begins: time(validity.next()?)?, ends: time(validity.next()?)? };
        Some(Self { validity, is_self_issued: fields.next()?.of(SEQUENCE)? == issuer })
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
    Some(CertificateFacts::of(certificate)?.validity)
}

/// `None` if the certificate does not name the key of its authority.
pub(super) fn issued_as(certificate: &CertificateDer<'_>) -> Option<IssuedAs> {
    let mut fields = fields(certificate)?;
    let serial = fields.next()?.of(INTEGER)?.to_vec();
    let extensions = fields.find_map(|field| field.of(EXTENSIONS))?;
    let mut extensions = Elements(Elements(extensions).next()?.of(SEQUENCE)?);
    let authority = extensions.find_map(|extension| authority(extension.of(SEQUENCE)?))?;
    Some(IssuedAs { authority: authority.to_vec(), serial })
}

/// The key identifier, if this is the extension that has it (RFC 5280 §4.2.1.1).
fn authority(extension: &[u8]) -> Option<&[u8]> {
    let mut parts = Elements(extension);
    let is_it = parts.next()?.of(OBJECT_IDENTIFIER)? == AUTHORITY_KEY_IDENTIFIER;
    // Between the two it may say whether it is critical.
    let value = parts.last().filter(|_| is_it)?.of(OCTET_STRING)?;
    Elements(Elements(value).next()?.of(SEQUENCE)?).next()?.of(KEY_IDENTIFIER)
}

/// The fields of a certificate, without its version: serial number, algorithm, issuer, validity,
/// and so on.
fn fields(certificate: &[u8]) -> Option<Elements<'_>> {
    let whole = Elements(certificate).next()?.of(SEQUENCE)?;
    let mut fields = Elements(Elements(whole).next()?.of(SEQUENCE)?);
    let mut after_version = Elements(fields.0);
    if after_version.next()?.tag == VERSION {
        fields = after_version;
    }
    Some(fields)
}

/// A time in UTC, to the second (RFC 5280 §4.1.2.5).
fn time(element: Element<'_>) -> Option<SystemTime> {
    let text = str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 || !rest.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let part = |place: usize| rest[2 * place..2 * place + 2].parse::<i8>().ok();
    let time = DateTime::new(year, part(0)?, part(1)?, part(2)?, part(3)?, part(4)?, 0).ok()?;
    Some(TimeZone::UTC.to_timestamp(time).ok()?.into())
}

/// An element of DER (X.690 §8.1).
#[derive(Clone, Copy)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

impl<'a> Element<'a> {
    /// The content, if this is the tag.
    fn of(self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }
}

/// Elements, one after the other. They end at the first that is damaged.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (&[tag, length], rest) = std::mem::take(&mut self.0).split_first_chunk()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(length), rest),
            // The length follows, in this many bytes. No certificate needs more.
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Element { tag, content })
    }
}

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;

/// The version of a certificate, explicitly tagged with 0, and its extensions, with 3.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// The identifier in that extension, implicitly tagged with 0.
const KEY_IDENTIFIER: u8 = 0x80;

/// 2.5.29.35.
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::UNIX_EPOCH;

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

    /// As authorities leave it where everything is in the alternative names.
    #[test]
    fn a_certificate_without_a_subject_has_an_end_too() {
        let mut params = params();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.not_after = rcgen::date_time_ymd(2030, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let ends = UNIX_EPOCH + Duration::from_secs(1_898_553_600);
        assert_eq!(validity(certificate.der()).unwrap().ends, ends);
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
