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
            help: "Serve the Mercure protocol at /.well-known/mercure [true]",
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
            help: "Allow subscribing to public events without a token",
            note: "Subscribers without a token may read public events.",
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
            help: "A topic published natively that is public over Mercure; may be repeated",
            note: "Topics, or patterns such as \"news/**\", that are published on the native API \
                   and are public over Mercure. Other native topics need a token that grants \
                   them.",
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
            help: "An issuer (`iss`) whose 1.0 tokens are signed with the hub's own keys; may be \
                   repeated",
            note: "Issuers (`iss`) whose 1.0 tokens are signed with the hub's own keys. An issuer \
                   with its own keys is configured in a [[jwt-keys]] table below.",
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
            note: "The URL by which 1.0 tokens name this hub. Unless set, it is the URL of the \
                   request.",
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
            note: "Origins, besides the hub's own, whose pages may publish with a cookie alone; a \
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
