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
        },
        Setting {
            name: "allowed-host",
            heading: Some("Access"),
            value: Value::List("HOST"),
            default: Default::Is("[]"),
            is_common: true,
            help: "A host by which a hub without keys may be asked for, or *; may be repeated",
            note: "Hosts by which a hub that is open, or has no keys, may be asked for, \
             beside loopback names and addresses: [\"hub.example\"], or [\"*\"] for \
             every host. Also hosts to which `redirect-listen` sends readers, beside \
             those of the certificate.",
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
        },
        Setting {
            name: "jwt-secret-file",
            heading: Some("Access"),
            value: Value::One("FILE"),
            default: Default::Example(r#""/etc/tidings/jwt-secret""#),
            is_common: true,
            help: "A file with the secret that signs tokens",
            note: "",
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
        },
        Setting {
            name: "cors-credentials",
            heading: Some("Access"),
            value: Value::Switch,
            default: Default::Is("false"),
            is_common: false,
            help: "They may send cookies along",
            note: "Whether they may send cookies and the like along. Not together with \"*\".",
        },
    ],
};
