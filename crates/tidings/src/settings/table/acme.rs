use crate::acme::name;
use crate::settings::setting::{Default, Section, Setting, Value};
use crate::settings::value;

pub(super) const SECTION: Section = Section {
    title: "Certificates from an authority (ACME)",
    settings: &[
        Setting {
            name: "acme-domain",
            heading: Some("TLS"),
            value: Value::List("NAME"),
            default: Default::Is("[]"),
            is_common: true,
            help: "A domain or IP address to get a certificate for; may be repeated",
            note: "Domains and IP addresses for which the hub gets a certificate, and renews it. \
                   The authority must reach the hub under each of them, at port 443, or at port 80 \
                   with `redirect-listen`. By setting this you agree to the authority's terms.",
            set: |hub, given| {
                hub.acme.names = name::names(&given.texts)?;
                Ok(())
            },
        },
        Setting {
            name: "acme-contact",
            heading: Some("TLS"),
            value: Value::List("ADDRESS"),
            default: Default::Is("[]"),
            is_common: false,
            help: "An email address for the certificate authority to write to; may be repeated",
            note: "Email addresses that the authority may write to; the authority itself \
                   (\"letsencrypt\", \"letsencrypt-staging\" to try it out, or the URL of another \
                   ACME directory); the certificate profile to ask it for; the folder for the \
                   account and the certificates, `acme` in the folder of `data` unless it is set; \
                   and CA certificates for the connection to the directory, for an authority of \
                   your own.",
            set: |hub, given| {
                hub.acme.contacts = given.each(value::mail_url)?;
                Ok(())
            },
        },
        Setting {
            name: "acme-directory",
            heading: Some("TLS"),
            value: Value::One("URL"),
            default: Default::Is(r#""letsencrypt""#),
            is_common: false,
            help: "The certificate authority: letsencrypt, letsencrypt-staging, or an ACME \
                   directory's URL [letsencrypt]",
            note: "",
            set: |hub, given| {
                hub.acme.directory = given.read(name::directory)?;
                Ok(())
            },
        },
        Setting {
            name: "acme-profile",
            heading: Some("TLS"),
            value: Value::One("NAME"),
            default: Default::Example(r#""shortlived""#),
            is_common: false,
            help: "The certificate profile to ask the authority for",
            note: "",
            set: |hub, given| {
                hub.acme.profile = Some(given.read(value::word)?);
                Ok(())
            },
        },
        Setting {
            name: "acme-dir",
            heading: Some("TLS"),
            value: Value::Path("DIR"),
            default: Default::Example(r#""/var/lib/tidings/acme""#),
            is_common: false,
            help: "The folder for the account and the certificates [acme, in the folder of --data]",
            note: "",
            set: |hub, given| {
                hub.acme.folder = Some(given.path()?);
                Ok(())
            },
        },
        Setting {
            name: "acme-ca-file",
            heading: Some("TLS"),
            value: Value::Path("FILE"),
            default: Default::Example(r#""/etc/tidings/acme-ca.pem""#),
            is_common: false,
            help: "A PEM file with CA certificates for the connection to the ACME directory",
            note: "",
            set: |hub, given| {
                hub.acme.ca_file = Some(given.path()?);
                Ok(())
            },
        },
    ],
};
