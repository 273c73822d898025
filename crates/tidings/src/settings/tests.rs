#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidings_server::KeyLimits;
use tidings_store_disk::Durability;

use super::setting::Section;
use super::*;
use crate::args::{flags, typed};
use crate::{env, threads};

fn settings(layers: Vec<Layer>) -> Settings {
    Settings::resolve(layers).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn layer(values: &[(&'static str, &str)], origin: &Origin) -> Layer {
    let given = |text: &str| Given { texts: vec![text.to_owned()], origin: origin.clone() };
    let values = values.iter().map(|(key, text)| (*key, given(text))).collect();
    Layer { values, ..Layer::default() }
}

/// Reads `text` as a file, in a folder of its own.
fn read(name: &str, text: &str) -> Result<Layer, String> {
    let folder = std::env::temp_dir().join(format!("tidings-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("hub.toml");
    fs::write(&path, text).unwrap();
    let layer = read_file(&path)
        .map_err(|error| error.to_string().replace(&path.display().to_string(), "hub.toml"));
    fs::remove_dir_all(&folder).unwrap();
    layer
}

#[test]
fn the_default_file_is_what_the_table_makes_and_is_short() {
    settings(Vec::new());
    assert!(DEFAULT_FILE == written_default_file(SETTINGS), "cargo xtask generate");
    assert!(DEFAULT_FILE.lines().count() < 360);
    assert!(DEFAULT_FILE.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn the_default_file_says_what_the_libraries_default_to() {
    let hub = settings(Vec::new()).hub;
    let mut libraries = HubConfig::default();
    // A library does not choose these for the programs it is part of.
    libraries.server.http.listen = vec![([127, 0, 0, 1], 3000).into()];
    libraries.engine.shards = threads::shards_default();
    libraries.store.disk.path = "tidings-data".into();
    libraries.store.shared.stream = "tidings".to_owned();
    libraries.log.filter = "info".to_owned();
    // Line by line: all of it, with the pages of the console, would be no message to read.
    let (hub, libraries) = (format!("{hub:#?}"), format!("{libraries:#?}"));
    for (here, there) in hub.lines().zip(libraries.lines()) {
        assert_eq!(here, there);
    }
    assert_eq!(hub.lines().count(), libraries.lines().count());
}

#[test]
fn every_row_writes_its_own_value() {
    let mut written = BTreeMap::from([(format!("{:?}", settings(Vec::new()).hub), "no row")]);
    for setting in SETTINGS.settings() {
        let origin = Origin::Flag("--flag".to_owned());
        let changed = VALUES.iter().find_map(|text| {
            let mut hub = settings(Vec::new()).hub;
            let given = Given { texts: vec![(*text).to_owned()], origin: origin.clone() };
            (setting.set)(&mut hub, &given).ok()?;
            Some(format!("{hub:?}")).filter(|hub| written.get(hub) != Some(&"no row"))
        });
        let changed = changed.unwrap_or_else(|| panic!("{} changes nothing", setting.name));
        let other = written.insert(changed, setting.name);
        assert_eq!(other, None, "{} writes what another row writes", setting.name);
    }
}

/// For each setting one of these is a value other than its default.
const VALUES: [&str; 17] = [
    "true",
    "false",
    "77",
    "77s",
    "7s",
    "os",
    "memory",
    "portable",
    "json",
    "debug",
    "127.0.0.1:77",
    "192.0.2.0/24",
    "https://hub.example/x",
    "hub.example",
    "a@hub.example",
    "public",
    "news/**",
];

/// A setting that is nowhere but here; the field it writes is there without one.
const TOY: Table = Table {
    sections: &[Section {
        title: "Toys",
        settings: &[Setting {
            name: "max-wait",
            heading: None,
            value: Value::One("DURATION"),
            default: setting::Default::Is("\"20s\""),
            is_common: true,
            help: "How long a long poll may wait [20s]",
            note: "How long a long poll may wait.",
            set: |hub, given| {
                hub.server.wait_max = given.duration()?;
                Ok(())
            },
        }],
    }],
};

#[test]
fn a_new_setting_needs_nothing_but_its_row() {
    let default_file = written_default_file(TOY);
    assert!(default_file.contains("# How long a long poll may wait.\nmax-wait = \"20s\"\n"));
    let wait_max = |layers| {
        let settings =
            Settings::resolve_in(TOY, layers).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        assert_eq!(settings.effective[0].key, "max-wait");
        settings.hub.server.wait_max
    };
    assert_eq!(wait_max(Vec::new()), Duration::from_secs(20));

    let read = |text| file::read(TOY, Path::new("hub.toml"), text);
    let in_file = read("max-wait = \"3s\"").unwrap();
    assert_eq!(wait_max(vec![in_file.clone()]), Duration::from_secs(3));
    let wrong = Settings::resolve_in(TOY, vec![read("max-wait = 3").unwrap()]).unwrap_err();
    assert!(wrong[0].to_string().starts_with("hub.toml:1:1: max-wait: \"3\" is not a duration"));
    let unknown = read("max-wai = 3").unwrap_err();
    assert_eq!(unknown[0].hint.as_deref(), Some("did you mean `max-wait`?"));

    let variables = |name: &str| (name == "TIDINGS_MAX_WAIT").then(|| "4s".to_owned());
    let in_environment = env::layer_of(TOY, variables);
    assert_eq!(wait_max(vec![in_file.clone(), in_environment]), Duration::from_secs(4));

    let mut command = clap::Command::new("hub").args(flags(TOY));
    assert!(command.render_help().to_string().contains("--max-wait <DURATION>"));
    let typed = typed(TOY, &command.get_matches_from(["hub", "--max-wait", "5s"]));
    assert_eq!(wait_max(vec![in_file, typed]), Duration::from_secs(5));
}

#[test]
fn every_value_of_a_list_that_is_wrong_is_named() {
    let layer = read("list", "listen = [\"x\", \"127.0.0.1:1\", \"y\"]").unwrap();
    let problems = Settings::resolve(vec![layer]).unwrap_err();
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("listen: \"x\" is not an address"), "{}", texts[0]);
    assert!(texts[1].contains("listen: \"y\" is not an address"), "{}", texts[1]);
}

#[test]
fn every_commented_line_of_the_default_file_that_sets_something_can_be_uncommented() {
    let uncommented: Vec<_> = DEFAULT_FILE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') && rest.contains(['=', '[']) => rest,
            _ => line,
        })
        .collect();
    let layer = read("uncommented", &uncommented.join("\n")).unwrap();
    assert_eq!(layer.keys[0].name, "sensors");
    assert!(layer.values.contains_key("jwt-secret"));
    assert_eq!(layer.jwt_keys[0].role, Some(Role::Publisher));
}

#[test]
fn the_later_layer_wins_and_its_origin_is_remembered() {
    let variable = Origin::Environment("TIDINGS_RETRY".to_owned());
    let flag = Origin::Flag("--retry".to_owned());
    let layers = vec![
        layer(&[("retry", "3s"), ("heartbeat", "9s")], &variable),
        layer(&[("retry", "4s")], &flag),
    ];
    let settings = settings(layers);
    assert_eq!(settings.hub.server.http.retry, Duration::from_secs(4));
    assert_eq!(settings.hub.engine.heartbeat, Duration::from_secs(9));
    assert_eq!(settings.origin("retry"), flag);
    assert_eq!(settings.origin("heartbeat"), variable);
    assert_eq!(settings.origin("data"), Origin::Default);
}

#[test]
fn everything_that_is_wrong_in_a_file_is_named_by_its_place() {
    let text = "heartbeat = \"5s\"\n\nretension-bytes = 5\n[[keys]]\nname = \"a\"\n  pubish = []\n";
    let error = read("places", text).unwrap_err();
    assert_eq!(
        error,
        "error: hub.toml:3:1: unknown key `retension-bytes`\n\
         hint: did you mean `retention-bytes`?\n\
         error: hub.toml:4:1: a key needs either `key` or `key-file`\n\
         error: hub.toml:6:3: unknown key `pubish`\n\
         hint: did you mean `publish`?"
    );
    let error = read("syntax", "a = 1\nlisten = [\n").unwrap_err();
    assert!(error.starts_with("error: hub.toml:"), "{error}");
}

#[test]
fn a_value_that_is_wrong_is_named_by_its_place_and_key() {
    let layer = read("value", "open = true\nheartbeat = 15\n").unwrap();
    let problems = Settings::resolve(vec![layer]).unwrap_err();
    let text = problems[0].to_string();
    assert!(text.contains("hub.toml:2:1: heartbeat: \"15\" is not a duration"), "{text}");
}

#[test]
fn a_relative_path_in_a_file_begins_in_the_folder_of_the_file() {
    let given = Given {
        texts: vec!["history".to_owned()],
        origin: Origin::File { path: "/etc/tidings/hub.toml".into(), line: 1, column: 1 },
    };
    let layer = Layer { values: [("data", given)].into(), ..Layer::default() };
    assert_eq!(settings(vec![layer]).hub.store.disk.path, PathBuf::from("/etc/tidings/history"));
    assert_eq!(settings(Vec::new()).hub.store.disk.path, PathBuf::from("tidings-data"));
}

#[test]
fn secrets_are_not_shown() {
    let layer = layer(&[("jwt-secret", "hush")], &Origin::Environment("X".to_owned()));
    let settings = settings(vec![layer]);
    assert_eq!(settings.hub.jwt_secret.text.as_deref(), Some("hush"));
    assert!(settings.effective.iter().all(|effective| !effective.shown.contains("hush")));
}

#[test]
fn a_key_that_signs_tokens_has_one_place() {
    let text = |keys: &str| format!("[[jwt-keys]]\nalgorithm = \"ES256\"\n{keys}");
    for one in ["key = \"x\"", "key-file = \"x\"", "url = \"https://x/jwks.json\""] {
        let layer = read("jwt-keys", &text(one)).unwrap();
        assert_eq!(layer.jwt_keys.len(), 1);
        assert_eq!(layer.jwt_keys[0].algorithm, "ES256");
    }
    for wrong in ["", "key = \"x\"\nurl = \"https://x\"", "key = \"x\"\nrole = \"reader\""] {
        assert!(read("jwt-keys", &text(wrong)).is_err(), "{wrong}");
    }
    let set = read("jwt-keys", "[[jwt-keys]]\nurl = \"https://x\"\nrole = \"publisher\"").unwrap();
    assert_eq!(set.jwt_keys[0].role, Some(Role::Publisher));
    assert!(read("jwt-keys", "[[jwt-keys]]\nkey = \"x\"").is_err(), "which algorithm?");
}

#[test]
fn which_store_it_is_is_a_setting_and_the_old_way_to_say_memory_holds_with_a_warning() {
    let flag = Origin::Flag("--durability".to_owned());
    let memory = settings(vec![layer(&[("store", "memory")], &flag)]);
    assert_eq!((memory.hub.store.kind, memory.outdated.len()), (StoreKind::Memory, 0));
    let disk = settings(vec![layer(&[("durability", "os")], &flag)]);
    assert_eq!(
        (disk.hub.store.kind, disk.hub.store.disk.durability),
        (StoreKind::Disk, Durability::Os)
    );

    let old = settings(vec![layer(&[("durability", "memory")], &flag)]);
    assert_eq!(old.hub.store.kind, StoreKind::Memory);
    assert_eq!(old.outdated, ["--durability: say store = \"memory\" instead"]);
    let both = layer(&[("durability", "memory"), ("store", "disk")], &flag);
    let problems = Settings::resolve(vec![both]).unwrap_err();
    assert!(problems[0].to_string().contains("where the store is \"disk\""), "{}", problems[0]);
}

#[test]
fn a_demo_leaves_nothing_behind_unless_it_is_told_where_or_how_firmly() {
    let flag = Origin::Flag("--flag".to_owned());
    let demo = || layer(&[("store", "memory")], &Origin::Demo);
    assert_eq!(settings(vec![demo()]).hub.store.kind, StoreKind::Memory);
    for given in [("data", "here"), ("durability", "fsync"), ("store", "disk")] {
        assert_eq!(settings(vec![demo(), layer(&[given], &flag)]).hub.store.kind, StoreKind::Disk);
    }
    let both = [("store", "memory"), ("data", "here")];
    assert_eq!(settings(vec![demo(), layer(&both, &flag)]).hub.store.kind, StoreKind::Memory);
}

#[test]
fn a_key_may_have_limits_which_are_numbers_or_unlimited() {
    for table in ["[[keys]]\nname = \"a\"\nkey = \"x\"", "[[jwt-keys]]\nurl = \"https://x\""] {
        let limits = |line: &str| {
            let layer = read("share", &format!("{table}\n{line}"))?;
            let keys = layer.keys.iter().map(|key| key.limits);
            let jwt_keys = layer.jwt_keys.iter().map(|key| key.limits);
            Ok::<_, String>(keys.chain(jwt_keys).next().unwrap())
        };
        let none = KeyLimits::default();
        let five = KeyLimits {
            connections_max: NonZeroU32::new(5),
            publish_bytes_max: NonZeroU64::new(64 << 10),
            topics_max: NonZeroU32::new(7),
        };
        assert_eq!(limits(""), Ok(none), "off unless they are set");
        let all = "max-connections = 5\nmax-publish-bytes = \"64KiB\"\nmax-topics = 7";
        assert_eq!(limits(all), Ok(five));
        for name in ["max-connections", "max-publish-bytes", "max-topics"] {
            assert_eq!(limits(&format!("{name} = \"unlimited\"")), Ok(none));
            for wrong in ["0", "\"many\"", "-1", "true"] {
                let error = limits(&format!("{name} = {wrong}")).unwrap_err();
                assert!(error.contains(&format!("{name}: ")), "{wrong}: {error}");
            }
        }
    }
}
