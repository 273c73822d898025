use tidings_server::AllowedHosts;

use crate::settings::setting::{Default, Section, Setting, Value};

pub(super) const SECTION: Section = Section {
    title: "Who may do what",
    settings: &[
        Setting {
            name: "open",
            heading: Some("Access"),
            value: Value::Switch,
            default: Default::Is("false"),
            is_common: true,
            help: "Everybody may do everything, on any address",
            note: "Everybody may publish and subscribe to everything, on any address.",
            set: |hub, given| {
                hub.server.http.open = given.switch()?;
                Ok(())
            },
        },
        Setting {
            name: "allowed-host",
            heading: Some("Access"),
            value: Value::List("HOST"),
            default: Default::Is("[]"),
            is_common: true,
            help: "A host name for a hub without keys, or *; may be repeated",
            note: "Host names under which a hub that is open, or has no keys, answers, in \
                   addition to loopback names and addresses: [\"hub.example\"], or [\"*\"] for \
                   every host. `redirect-listen` redirects to them as well, besides the names in \
                   the certificate.",
            set: |hub, given| {
                hub.server.http.allowed_hosts = AllowedHosts::new(&given.texts)?;
                Ok(())
            },
        },
        Setting {
            name: "jwt-secret",
            heading: Some("Access"),
            value: Value::Secret,
            default: Default::Example(r#""…""#),
            is_common: false,
            help: "",
            note: "A secret, at least 32 bytes, that signs JSON Web Tokens with HS256: in the \
             file, or better in a file of its own. The claim `mercure` says what the \
             bearer may do; `tidings token` mints tokens.",
            set: |hub, given| {
                hub.jwt_secret.text = Some(given.text().to_owned());
                Ok(())
            },
        },
        Setting {
            name: "jwt-secret-file",
            heading: Some("Access"),
            value: Value::Path("FILE"),
            default: Default::Example(r#""/etc/tidings/jwt-secret""#),
            is_common: true,
            help: "A file with the secret that signs tokens",
            note: "",
            set: |hub, given| {
                hub.jwt_secret.file = Some(given.path()?);
                Ok(())
            },
        },
        Setting {
            name: "cors-origin",
            heading: Some("Access"),
            value: Value::List("ORIGIN"),
            default: Default::Is("[]"),
            is_common: true,
            help: "An origin whose web pages may use the hub, or *; may be repeated",
            note: "Which web pages of other origins may use the hub: \
             [\"https://app.example\"], or [\"*\"] for all.",
            set: |hub, given| {
                hub.cors.origins = given.texts.clone();
                Ok(())
            },
        },
        Setting {
            name: "cors-credentials",
            heading: Some("Access"),
            value: Value::Switch,
            default: Default::Is("false"),
            is_common: false,
            help: "Allow these pages to send cookies",
            note: "Whether these pages may send cookies and other credentials. Cannot be combined \
                   with \"*\".",
            set: |hub, given| {
                hub.cors.credentials = given.switch()?;
                Ok(())
            },
        },
    ],
};
