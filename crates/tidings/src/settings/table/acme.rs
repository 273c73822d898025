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
            help: "A name or address to order a certificate for; may be repeated",
            note: "Names and addresses to get a certificate for, and to renew it, by itself. The \
                   authority must reach the hub under each, at port 443, or at port 80 with \
                   `redirect-listen`. By this you agree to its terms.",
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
            help: "A mail address that the authority may write to; may be repeated",
            note: "Mail addresses that the authority may write to; which authority it is \
                   (\"letsencrypt\", \"letsencrypt-staging\" for trying it out, or the URL of a \
                   directory), and which of its kinds of certificates; the folder for account and \
                   certificates, `acme` in the folder of `data` unless it is set; certificates by \
                   which the directory itself is trusted, for an authority of your own.",
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
            help: "The authority: letsencrypt, letsencrypt-staging, or a directory's URL \
                   [letsencrypt]",
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
            help: "Which of the authority's kinds of certificates to order",
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
            help: "The folder for account and certificates [acme, in the folder of --data]",
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
            help: "A file with certificates that the directory itself is trusted by, in PEM",
            note: "",
            set: |hub, given| {
                hub.acme.ca_file = Some(given.path()?);
                Ok(())
            },
        },
    ],
};
