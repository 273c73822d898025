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
            help: "The NATS servers that hold the shared history",
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
            help: "The JetStream stream that holds the shared history [tidings]",
            note: "The JetStream stream that holds the shared history.",
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
            help: "The credentials file with which the hub logs in to NATS",
            note: "The credentials file (.creds) with which the hub logs in, in place of a user \
                   and password in store-url. It is read for each connection: a renewed file takes \
                   effect without a restart.",
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
            help: "A PEM file with the CA certificates that verify the NATS servers",
            note: "CA certificates that verify the servers, if the system does not trust their \
                   authority; and the hub's client certificate with its private key, if the \
                   servers ask for one.",
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
            help: "A PEM file with the hub's client certificate for the NATS servers",
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
            help: "A PEM file with the client certificate's private key",
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
            help: "Create the stream of the shared history if it does not exist",
            note: "Whether to create the stream of the shared history if it does not exist. A hub \
                   that has followed one never creates another.",
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
            help: "Change the stream's settings to those of this hub where they differ",
            note: "Whether to change the stream's retention-bytes, retention-age and max-topics to \
                   those of this hub where they differ. Without it, a hub whose values differ does \
                   not start.",
            set: |hub, given| {
                hub.store.shared.update = given.switch()?;
                Ok(())
            },
        },
        Setting {
            name: "cluster-allow-gaps",
            heading: Some("Cluster"),
            value: Value::Switch,
            default: Default::Is("false"),
            is_common: false,
            help: "Begin a copy even if the stream may lack what [[retention]] promises",
            note: "Whether a hub without a copy begins one even if the stream has lost its oldest \
                   events, and [[retention]] promises to keep some of those. For one start, if no \
                   hub has a copy any more.",
            set: |hub, given| {
                hub.store.shared.allow_gaps = given.switch()?;
                Ok(())
            },
        },
        Setting {
            name: "store-unsafe",
            heading: Some("Cluster"),
            value: Value::Switch,
            default: Default::Is("false"),
            is_common: false,
            help: "Start even if the servers can lose acknowledged events",
            note: "Whether to start even if the servers can lose acknowledged events (there are \
                   fewer than three, or their version is before 2.10.23), or if their clocks and \
                   the hub's differ by more than five seconds.",
            set: |hub, given| {
                hub.store.shared.allow_unsafe = given.switch()?;
                Ok(())
            },
        },
    ],
};
