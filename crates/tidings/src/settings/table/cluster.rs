use crate::settings::setting::{Default, Section, Setting, Value};

pub(super) const SECTION: Section = Section {
    title: "Cluster",
    settings: &[
        Setting {
            name: "store-url",
            heading: Some("Cluster"),
            value: Value::Servers("URL"),
            default: Default::Example(r#""nats://a.example:4222,nats://b.example:4222""#),
            is_common: false,
            help: "The servers that hold the history which several hubs share",
            note: "With store = \"nats\" several hubs share one history, and each keeps a copy in \
                   its data folder. These are the servers, with user and password where they ask \
                   for one: nats://user:password@host:4222. See docs/operating/cluster.md.",
            set: |hub, given| {
                hub.store.shared.url = Some(given.text().to_owned());
                Ok(())
            },
        },
        Setting {
            name: "store-stream",
            heading: Some("Cluster"),
            value: Value::One("NAME"),
            default: Default::Is(r#""tidings""#),
            is_common: false,
            help: "The stream there that is the history [tidings]",
            note: "The stream there that is the history.",
            set: |hub, given| {
                let text = given.text();
                let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
                if text.is_empty() || text.len() > 64 || !text.chars().all(is_fine) {
                    let problem = "a stream is named with up to 64 letters, digits, - and _";
                    return Err(problem.to_owned().into());
                }
                hub.store.shared.stream = text.to_owned();
                Ok(())
            },
        },
        Setting {
            name: "store-creds",
            heading: Some("Cluster"),
            value: Value::Path("FILE"),
            default: Default::Example(r#""/etc/tidings/hub.creds""#),
            is_common: false,
            help: "The credentials file that the hub logs in with there",
            note: "The credentials file (.creds) that the hub logs in with, in place of user and \
                   password in store-url. It is read for each connection: a renewed one counts \
                   without a restart.",
            set: |hub, given| {
                hub.store.shared.credentials = Some(given.path()?);
                Ok(())
            },
        },
        Setting {
            name: "store-tls-ca",
            heading: Some("Cluster"),
            value: Value::Path("FILE"),
            default: Default::Example(r#""/etc/tidings/nats-ca.pem""#),
            is_common: false,
            help: "Certificates that those of the servers are checked against, in PEM",
            note: "Certificates that those of the servers are checked against, if the system does \
                   not know them; and the hub's own, if the servers ask for one.",
            set: |hub, given| {
                hub.store.shared.tls_ca = Some(given.path()?);
                Ok(())
            },
        },
        Setting {
            name: "store-tls-cert",
            heading: Some("Cluster"),
            value: Value::Path("FILE"),
            default: Default::Example(r#""/etc/tidings/nats.pem""#),
            is_common: false,
            help: "The hub's certificate for the servers, in PEM",
            note: "",
            set: |hub, given| {
                hub.store.shared.tls_identity.certificate = Some(given.path()?);
                Ok(())
            },
        },
        Setting {
            name: "store-tls-key",
            heading: Some("Cluster"),
            value: Value::Path("FILE"),
            default: Default::Example(r#""/etc/tidings/nats.key""#),
            is_common: false,
            help: "Its key, in PEM",
            note: "",
            set: |hub, given| {
                hub.store.shared.tls_identity.key = Some(given.path()?);
                Ok(())
            },
        },
        Setting {
            name: "cluster-create",
            heading: Some("Cluster"),
            value: Value::Switch,
            default: Default::Is("false"),
            is_common: false,
            help: "Create the shared history if there is none",
            note: "Whether to create the shared history if there is none. A hub that has followed \
                   one never creates another.",
            set: |hub, given| {
                hub.store.shared.create = given.switch()?;
                Ok(())
            },
        },
        Setting {
            name: "cluster-update",
            heading: Some("Cluster"),
            value: Value::Switch,
            default: Default::Is("false"),
            is_common: false,
            help: "Give the shared history this hub's settings, where it has others",
            note: "Whether to give the shared history this hub's retention-bytes, \
                   retention-age and max-topics, where it has others. Without it, a hub with \
                   others than the rest does not start.",
            set: |hub, given| {
                hub.store.shared.update = given.switch()?;
                Ok(())
            },
        },
        Setting {
            name: "store-unsafe",
            heading: Some("Cluster"),
            value: Value::Switch,
            default: Default::Is("false"),
            is_common: false,
            help: "Start although the servers can lose acknowledged events",
            note: "Whether to start although the servers can lose acknowledged events: fewer than \
                   three, or a version before 2.10.23; or although their clocks and the hub's \
                   differ by more than five seconds.",
            set: |hub, given| {
                hub.store.shared.allow_unsafe = given.switch()?;
                Ok(())
            },
        },
    ],
};
