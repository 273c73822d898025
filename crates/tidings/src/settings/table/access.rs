use std::time::Duration;

use tidings_hub::Matcher;
use tidings_server::{AllowedHosts, ConfigError, LEEWAY_MAX};

use crate::settings::setting::{Default, Section, Setting, Value};
use crate::settings::value;

pub(super) const SECTION: Section = Section {
    title: "Who may do what",
    settings: &[
        Setting {
            name: "open",
            heading: Some("Access"),
            value: Value::Switch,
            default: Default::Is("false"),
            is_common: true,
            help: "Let everyone do everything without a token, on any address",
            note: "Let everyone publish, subscribe and administer without a token, on any address.",
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
            note: "Host names that a hub answers to if it is open or has no keys, in addition to \
                   loopback names and addresses: [\"hub.example\"], or [\"*\"] for every host. \
                   `redirect-listen` also redirects to them, besides the names in the certificate.",
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
             file, or better in a file of its own. The claim `tidings` or `mercure` says what the \
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
            name: "anonymous-subscribe",
            heading: Some("Access"),
            value: Value::List("TOPIC"),
            default: Default::Is("[]"),
            is_common: true,
            help: "A topic, or a pattern, to read without a token; may be repeated",
            note: "Topics, or patterns such as \"public/**\", that every client may read, and to \
                   which every client may publish, with or without a token, beside what its token \
                   grants. Private Mercure updates still need a token; over Mercure, reading \
                   without one also needs `mercure-anonymous`.",
            set: |hub, given| {
                hub.server.http.anonymous_subscribe = given.each(matcher)?;
                Ok(())
            },
        },
        Setting {
            name: "anonymous-publish",
            heading: Some("Access"),
            value: Value::List("TOPIC"),
            default: Default::Is("[]"),
            is_common: false,
            help: "A topic, or a pattern, to publish to without a token; may be repeated",
            note: "",
            set: |hub, given| {
                hub.server.http.anonymous_publish = given.each(matcher)?;
                Ok(())
            },
        },
        Setting {
            name: "auth-leeway",
            heading: Some("Access"),
            value: Value::One("DURATION"),
            default: Default::Is("\"0s\""),
            is_common: false,
            help: "Accept tokens this long before `nbf` and after `exp` [0s]",
            note: "How long before its `nbf` and after its `exp` a token is accepted, for clocks \
                   that differ; at most 60s.",
            set: |hub, given| {
                hub.server.http.leeway = given.read(leeway)?;
                Ok(())
            },
        },
        Setting {
            name: "link-age-max",
            heading: Some("Access"),
            value: Value::One("DURATION"),
            default: Default::Is("\"1d\""),
            is_common: false,
            help: "Longest lifetime of a signed link [1d]",
            note: "The longest lifetime of a signed link; at most 7d. The keys that sign links are \
                   in [[link-keys]] tables below.",
            set: |hub, given| {
                hub.server.http.link_age_max = given.duration()?;
                Ok(())
            },
        },
        Setting {
            name: "expiring-before",
            heading: Some("Access"),
            value: Value::One("DURATION"),
            default: Default::Is("\"30s\""),
            is_common: false,
            help: "Warn streams this long before their token or session expires [30s]",
            note: "How long before its token or session expires a stream gets `tidings.expiring`, \
                   so that the client can renew it; a third of the lifetime, if that is less.",
            set: |hub, given| {
                hub.server.http.expiring_before = given.duration()?;
                Ok(())
            },
        },
        Setting {
            name: "session",
            heading: Some("Access"),
            value: Value::Switch,
            default: Default::Is("true"),
            is_common: false,
            help: "Let web pages exchange their token for a cookie [true]",
            note: "Whether web pages may exchange their token for a cookie (POST /session), which \
                   ends after this time unless it is renewed; at most 30d.",
            set: |hub, given| {
                hub.session.is_on = given.switch()?;
                Ok(())
            },
        },
        Setting {
            name: "session-age-max",
            heading: Some("Access"),
            value: Value::One("DURATION"),
            default: Default::Is("\"12h\""),
            is_common: false,
            help: "End sessions that are not renewed for this long [12h]",
            note: "",
            set: |hub, given| {
                hub.session.age_max = given.duration()?;
                Ok(())
            },
        },
        Setting {
            name: "session-secret-file",
            heading: Some("Access"),
            value: Value::List("FILE"),
            default: Default::Is("[]"),
            is_common: false,
            help: "A file with the secret that signs session cookies; may be repeated",
            note: "Files with the secret that signs the cookies of sessions, at least 32 bytes. \
                   Without one, the hub makes one in its data folder. Hubs with a shared history \
                   need the same one. To change it, put the new one first and remove the old one \
                   after `session-age-max`; without the old one all sessions end.",
            set: |hub, given| {
                let folder = given.origin.folder();
                hub.session.secret_files = given.each(|file| Ok(folder.join(file)))?;
                Ok(())
            },
        },
        Setting {
            name: "session-insecure",
            heading: Some("Access"),
            value: Value::Switch,
            default: Default::Is("false"),
            is_common: false,
            help: "Accept session cookies without TLS, on addresses other than loopback",
            note: "Whether these cookies also work without TLS, on a network that is trusted. \
                   Loopback addresses need no TLS.",
            set: |hub, given| {
                hub.session.is_insecure = given.switch()?;
                Ok(())
            },
        },
        Setting {
            name: "public-url",
            heading: Some("Access"),
            value: Value::One("URL"),
            default: Default::Example(r#""https://hub.example""#),
            is_common: false,
            help: "The URL under which clients know the hub",
            note: "The URL under which browsers know the hub, if a proxy hides it: pages of this \
                   origin are the hub's own.",
            set: |hub, given| {
                let origin = given.read(own_origin)?;
                hub.server.http.public_origin = Some(origin);
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

fn leeway(text: &str) -> Result<Duration, String> {
    let leeway = value::parse_duration_or_zero(text)?;
    if leeway > LEEWAY_MAX { Err("can be at most 60s".to_owned()) } else { Ok(leeway) }
}

fn matcher(text: &str) -> Result<Matcher, String> {
    Matcher::parse(text)
        .map_err(|error| ConfigError::Matcher { text: text.to_owned(), error }.to_string())
}

/// The origin of a URL that may have a path.
fn own_origin(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or_else(|| format!("{text:?} is not an http or https URL"))?;
    Ok(url.origin().ascii_serialization())
}
