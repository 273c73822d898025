//! The environment of a Mercure hub's image, as settings of ours: a compose file works when its
//! image is changed.
//!
//! `SERVER_NAME` is a name that other programs have too, so it counts only beside a `MERCURE_`
//! variable. What is said in our own words wins over all of it.

use std::net::{Ipv4Addr, SocketAddr};

use tidings_server::KeyLimits;

use super::given::Given;
use super::layer::{JwtKeyTable, Layer, Role, SettingProblem};
use super::origin::Origin;

/// The variables, each with what it does: for the reference.
pub(crate) const DROP_IN_VARIABLES: [(&str, &str); 6] = [
    (PUBLISHER_KEY, "the key of publishers' tokens, as in the Mercure image"),
    (PUBLISHER_ALGORITHM, "its algorithm [HS256]"),
    (SUBSCRIBER_KEY, "the key of subscribers' tokens"),
    (SUBSCRIBER_ALGORITHM, "its algorithm [HS256]"),
    (DIRECTIVES, "directives of a Mercure hub, one a line, such as: cors_origins *"),
    (SERVER_NAME, "beside one of these: the port to listen on, such as :80"),
];

const PUBLISHER_KEY: &str = "MERCURE_PUBLISHER_JWT_KEY";
const PUBLISHER_ALGORITHM: &str = "MERCURE_PUBLISHER_JWT_ALG";
const SUBSCRIBER_KEY: &str = "MERCURE_SUBSCRIBER_JWT_KEY";
const SUBSCRIBER_ALGORITHM: &str = "MERCURE_SUBSCRIBER_JWT_ALG";
const DIRECTIVES: &str = "MERCURE_EXTRA_DIRECTIVES";
const SERVER_NAME: &str = "SERVER_NAME";

/// Directives about what is otherwise here, or not here at all: they change nothing.
const WITHOUT_EFFECT: [&str; 8] = [
    "demo",
    "ui",
    "transport",
    "transport_url",
    "write_timeout",
    "dispatch_timeout",
    "protocol_version_compatibility",
    "subscriber_list_cache_size",
];

/// The settings that the variables make; `get` finds one that is not empty.
pub(crate) fn drop_in(get: impl Fn(&str) -> Option<String>) -> Layer {
    let mut layer = Layer::default();
    let mut is_meant = false;
    for (key, algorithm, role) in [
        (PUBLISHER_KEY, PUBLISHER_ALGORITHM, Role::Publisher),
        (SUBSCRIBER_KEY, SUBSCRIBER_ALGORITHM, Role::Subscriber),
    ] {
        let Some(text) = get(key) else { continue };
        is_meant = true;
        layer.jwt_keys.push(JwtKeyTable {
            algorithm: get(algorithm).unwrap_or_else(|| "HS256".to_owned()),
            key: Some(text),
            key_file: None,
            url: None,
            role: Some(role),
            issuer: None,
            limits: KeyLimits::default(),
            origin: Origin::Environment(key.to_owned()),
        });
    }
    if let Some(text) = get(DIRECTIVES) {
        is_meant = true;
        for line in text.lines() {
            directive(&mut layer, line);
        }
    }
    if let Some(name) = get(SERVER_NAME).filter(|_| is_meant) {
        let origin = Origin::Environment(SERVER_NAME.to_owned());
        let names = name.split([',', ' ']).filter(|name| !name.is_empty());
        let addresses: Vec<_> = names.map(address).collect();
        if addresses.iter().any(Option::is_none) {
            let message = format!("{name:?} is no server name: give :80, or a name and a port");
            layer.problems.push(SettingProblem::at(origin, message));
        } else {
            let texts = addresses.into_iter().flatten().map(|a| a.to_string()).collect();
            layer.values.insert("listen", Given { texts, origin });
        }
    }
    layer
}

/// One line of a Caddyfile's `mercure` block.
fn directive(layer: &mut Layer, line: &str) {
    let origin = Origin::Environment(DIRECTIVES.to_owned());
    let line = line.split('#').next().unwrap_or_default();
    let mut words = line.split_whitespace();
    let Some(name) = words.next() else { return };
    let arguments: Vec<String> = words.map(|word| word.trim_matches('"').to_owned()).collect();
    let mut give = |key: &'static str, texts: Vec<String>| {
        layer.values.insert(key, Given { texts, origin: origin.clone() });
    };
    match (name, arguments.as_slice()) {
        ("anonymous", []) => give("mercure-anonymous", vec!["true".into()]),
        ("subscriptions", []) => give("mercure-subscriptions", vec!["true".into()]),
        ("cors_origins", [_, ..]) => give("cors-origin", arguments),
        ("publish_origins", [_, ..]) => give("mercure-publish-origin", arguments),
        ("heartbeat", [_]) => give("heartbeat", arguments),
        ("resource_identifier", [_]) => give("mercure-resource", arguments),
        ("issuer", [_]) => give("mercure-issuer", arguments),
        ("publisher_jwks_url" | "subscriber_jwks_url", [url]) => {
            let is_publisher = name.starts_with("publisher");
            layer.jwt_keys.push(JwtKeyTable {
                algorithm: String::new(),
                key: None,
                key_file: None,
                url: Some(url.clone()),
                role: Some(if is_publisher { Role::Publisher } else { Role::Subscriber }),
                issuer: None,
                limits: KeyLimits::default(),
                origin,
            });
        }
        (name, _) if WITHOUT_EFFECT.contains(&name) => {}
        _ => {
            let message = format!("the directive {:?} is not known here", line.trim());
            let hint = "known: anonymous, subscriptions, cors_origins, publish_origins, \
                        heartbeat, resource_identifier, issuer, publisher_jwks_url, \
                        subscriber_jwks_url";
            let problem = SettingProblem::at(origin, message).hint(Some(hint.to_owned()));
            layer.problems.push(problem);
        }
    }
}

/// Where a server of this name listens: on every address, whatever its host is.
fn address(name: &str) -> Option<SocketAddr> {
    let (rest, default) = match name.split_once("://") {
        Some(("http", rest)) => (rest, 80),
        // A proxy before this hub terminates TLS.
        Some(("https", rest)) => (rest, 80),
        Some(_) => return None,
        None => (name, 80),
    };
    let port = match rest.rsplit_once(':') {
        // `[::1]` ends with a bracket, a port does not.
        Some((_, port)) if !port.ends_with(']') => port.parse().ok()?,
        _ => default,
    };
    Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(variables: &[(&str, &str)]) -> Layer {
        drop_in(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn texts<'a>(layer: &'a Layer, key: &str) -> Vec<&'a str> {
        let given = layer.values.get(key);
        given.map(|given| given.texts.iter().map(String::as_str).collect()).unwrap_or_default()
    }

    #[test]
    fn the_environment_of_a_compose_file_becomes_settings() {
        let layer = layer(&[
            ("SERVER_NAME", ":80"),
            ("MERCURE_PUBLISHER_JWT_KEY", "!ChangeThisMercureHubJWTSecretKey!"),
            ("MERCURE_SUBSCRIBER_JWT_KEY", "another"),
            ("MERCURE_SUBSCRIBER_JWT_ALG", "HS384"),
            (
                "MERCURE_EXTRA_DIRECTIVES",
                "cors_origins http://127.0.0.1:8000 \"https://a\"\n\n  anonymous # yes\ndemo\n",
            ),
        ]);
        assert!(layer.problems.is_empty(), "{:?}", layer.problems);
        assert_eq!(texts(&layer, "listen"), ["0.0.0.0:80"]);
        assert_eq!(texts(&layer, "cors-origin"), ["http://127.0.0.1:8000", "https://a"]);
        assert_eq!(texts(&layer, "mercure-anonymous"), ["true"]);
        let keys: Vec<_> = layer.jwt_keys.iter().map(|key| (&*key.algorithm, key.role)).collect();
        assert_eq!(keys, [("HS256", Some(Role::Publisher)), ("HS384", Some(Role::Subscriber))]);
    }

    #[test]
    fn a_server_name_alone_is_somebody_elses() {
        assert!(layer(&[("SERVER_NAME", "example.com")]).values.is_empty());
    }

    #[test]
    fn a_server_name_is_a_port() {
        let port = |name: &str| address(name).map(|address| address.port());
        assert_eq!(port(":3000"), Some(3000));
        assert_eq!(port("http://localhost:8080"), Some(8080));
        assert_eq!(port("https://example.com"), Some(80));
        assert_eq!(port("example.com"), Some(80));
        assert_eq!(port("http://[::1]"), Some(80));
        assert_eq!(port("ftp://x"), None);
        assert_eq!(port("localhost:x"), None);
    }

    #[test]
    fn a_directive_that_is_not_known_is_named() {
        let layer = layer(&[("MERCURE_EXTRA_DIRECTIVES", "anonymous\npublish_forever 3")]);
        assert_eq!(layer.problems.len(), 1);
        assert!(layer.problems[0].to_string().contains("publish_forever 3"));
    }
}
