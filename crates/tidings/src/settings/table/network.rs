use tidings_server::TrustedProxies;

use crate::settings::setting::{Default, Section, Setting, Value};
use crate::settings::value;

pub(super) const SECTION: Section = Section {
    title: "Where",
    settings: &[
        Setting {
            name: "listen",
            heading: None,
            value: Value::List("ADDRESS"),
            default: Default::Is(r#"["127.0.0.1:3000"]"#),
            is_common: true,
            help: "An address, or a port of this machine [127.0.0.1:3000]; may be repeated",
            note: "Addresses to listen on, HTTP/1.1 and HTTP/2. An address that others than \
             this machine can reach needs keys (below), or `open`. A port alone is one of \
             127.0.0.1; port 0 lets the system choose.",
            set: |hub, given| {
                hub.server.http.listen = given.each(value::address)?;
                Ok(())
            },
        },
        Setting {
            name: "tls-cert",
            heading: Some("TLS"),
            value: Value::Path("FILE"),
            default: Default::Example(r#""/etc/tidings/cert.pem""#),
            is_common: true,
            help: "A PEM file with the certificate chain; turns on TLS",
            note: "Files with a certificate chain and its private key, in PEM: these addresses \
                   then speak TLS. The files are read again when they change, and on SIGHUP.",
            set: |hub, given| {
                hub.certificate.certificate = Some(given.path()?);
                Ok(())
            },
        },
        Setting {
            name: "tls-key",
            heading: Some("TLS"),
            value: Value::Path("FILE"),
            default: Default::Example(r#""/etc/tidings/key.pem""#),
            is_common: false,
            help: "A PEM file with the certificate's private key",
            note: "",
            set: |hub, given| {
                hub.certificate.key = Some(given.path()?);
                Ok(())
            },
        },
        Setting {
            name: "tls-ticket-keys",
            heading: Some("TLS"),
            value: Value::Path("FILE"),
            default: Default::Example(r#""/var/lib/tidings/ticket-keys""#),
            is_common: false,
            help: "A file with the keys of TLS session tickets, created if it does not exist",
            note: "A file with the keys of session tickets, made if it does not exist: clients \
                   then resume their sessions after a restart, and at every hub with the same \
                   file.",
            set: |hub, given| {
                hub.ticket_keys = Some(given.path()?);
                Ok(())
            },
        },
        Setting {
            name: "redirect-listen",
            heading: Some("TLS"),
            value: Value::List("ADDRESS"),
            default: Default::Is("[]"),
            is_common: false,
            help: "An HTTP address that redirects to HTTPS; may be repeated",
            note: "HTTP addresses that redirect to the first address with TLS.",
            set: |hub, given| {
                hub.server.http.redirect = given.each(value::address)?;
                Ok(())
            },
        },
        Setting {
            name: "trusted-proxy",
            heading: Some("Limits"),
            value: Value::List("NETWORK"),
            default: Default::Is("[]"),
            is_common: false,
            help: "A proxy, by address or network, whose X-Forwarded-For is trusted; may be \
                   repeated",
            note: "Proxies, by address or network, whose X-Forwarded-For and X-Forwarded-Proto \
                   are trusted.",
            set: |hub, given| {
                hub.server.http.trusted_proxies = TrustedProxies::new(&given.texts)?;
                Ok(())
            },
        },
        Setting {
            name: "data",
            heading: None,
            value: Value::Path("DIR"),
            default: Default::Is(r#""tidings-data""#),
            is_common: true,
            help: "The folder that holds the history [tidings-data]",
            note: "The folder that holds the history, created if it does not exist; one hub at a \
                   time can use it. A relative path starts at the current folder; in a file of \
                   your own, at the folder of that file.",
            set: |hub, given| {
                hub.store.disk.path = given.path()?;
                Ok(())
            },
        },
    ],
};
