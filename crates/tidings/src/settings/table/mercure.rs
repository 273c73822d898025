use crate::settings::setting::{Default, Section, Setting, Value};

pub(super) const SECTION: Section = Section {
    title: "Mercure",
    settings: &[
        Setting {
            name: "mercure",
            heading: Some("Mercure"),
            value: Value::Switch,
            default: Default::Is("true"),
            is_common: false,
            help: "Speak the Mercure protocol, too, at /.well-known/mercure [true]",
            note: "The Mercure protocol, versions 0.x and 1.0 at once, at \
                   /.well-known/mercure.",
        },
        Setting {
            name: "mercure-anonymous",
            heading: Some("Mercure"),
            value: Value::Switch,
            default: Default::Is("false"),
            is_common: false,
            help: "Those without a token may subscribe to public events",
            note: "Those without a token may subscribe to public events.",
        },
        Setting {
            name: "mercure-public",
            heading: Some("Mercure"),
            value: Value::List("TOPIC"),
            default: Default::Is("[]"),
            is_common: false,
            help: "Topics that are public over Mercure though published natively; may be \
                   repeated",
            note: "Topics, or patterns such as \"news/**\", that everybody who may subscribe \
             over Mercure can read, although they are published on the native API. \
             Other topics of it need a token that grants them.",
        },
        Setting {
            name: "mercure-subscriptions",
            heading: Some("Mercure"),
            value: Value::Switch,
            default: Default::Is("true"),
            is_common: false,
            help: "Enable the presence API and subscription events [true]",
            note: "The presence API and subscription events, for tokens that grant them.",
        },
        Setting {
            name: "mercure-issuer",
            heading: Some("Mercure"),
            value: Value::List("ISSUER"),
            default: Default::Is("[]"),
            is_common: false,
            help: "An issuer whose 1.0 tokens the hub's own keys sign; may be repeated",
            note: "Issuers (`iss`) whose 1.0 tokens are signed with the hub's own keys. An \
             issuer with keys of its own stands in its [[jwt-keys]] table below.",
        },
        Setting {
            name: "mercure-resource",
            heading: Some("Mercure"),
            value: Value::One("URL"),
            default: Default::Example(r#""https://example.com/.well-known/mercure""#),
            is_common: false,
            help: "The URL by which 1.0 tokens name this hub",
            note: "The URL by which 1.0 tokens name this hub. Without it, it is what a \
             request was sent to.",
        },
        Setting {
            name: "mercure-publish-origin",
            heading: Some("Mercure"),
            value: Value::List("ORIGIN"),
            default: Default::Is("[]"),
            is_common: false,
            help: "An origin whose pages may publish with a cookie; may be repeated",
            note: "Pages that may publish with nothing but a cookie, beside the hub's own; a \
             part may be `*`.",
        },
    ],
};
