use tidings_hub::Matcher;
use tidings_server::{ConfigError, MercureResource, PublishOrigins};

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
            set: |hub, given| {
                hub.server.mercure.enabled = given.switch()?;
                Ok(())
            },
        },
        Setting {
            name: "mercure-anonymous",
            heading: Some("Mercure"),
            value: Value::Switch,
            default: Default::Is("false"),
            is_common: false,
            help: "Those without a token may subscribe to public events",
            note: "Those without a token may subscribe to public events.",
            set: |hub, given| {
                hub.server.mercure.anonymous = given.switch()?;
                Ok(())
            },
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
            set: |hub, given| {
                hub.server.mercure.public = given.each(matcher)?;
                Ok(())
            },
        },
        Setting {
            name: "mercure-subscriptions",
            heading: Some("Mercure"),
            value: Value::Switch,
            default: Default::Is("true"),
            is_common: false,
            help: "Enable the presence API and subscription events [true]",
            note: "The presence API and subscription events, for tokens that grant them.",
            set: |hub, given| {
                hub.server.mercure.subscriptions = given.switch()?;
                Ok(())
            },
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
            set: |hub, given| {
                hub.issuers = given.texts.clone();
                Ok(())
            },
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
            set: |hub, given| {
                hub.server.mercure.resource = Some(MercureResource::new(given.text())?);
                Ok(())
            },
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
            set: |hub, given| {
                hub.server.mercure.publish_origins = PublishOrigins::new(&given.texts)?;
                Ok(())
            },
        },
    ],
};

fn matcher(text: &str) -> Result<Matcher, String> {
    Matcher::parse(text)
        .map_err(|error| ConfigError::Matcher { text: text.to_owned(), error }.to_string())
}
