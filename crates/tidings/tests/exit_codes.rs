//! How the program ends, and what it says then.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Stdio;

use tidings_testkit::ports;

use crate::world::{Folder, Hub, Process, said, tidings};

#[test]
fn an_address_that_others_can_reach_needs_keys_or_the_word_open() {
    let folder = Folder::new();
    let mut serve = tidings();
    serve.args(["serve", "--listen", "0.0.0.0:0"]).current_dir(folder.path());
    let (stdout, stderr, code) = said(&mut serve);
    assert_eq!((stdout.as_str(), code), ("", 3));
    assert!(stderr.contains("can be reached from other machines"), "{stderr}");
    assert!(stderr.contains("\nhint: --open lets anyone"), "{stderr}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was made");

    // It is the rule that refuses, not the address: checked without being reachable.
    let config = folder.file("open.toml", "listen = \"0.0.0.0:0\"\nopen = true\n");
    assert_eq!(said(tidings().arg("check").arg(&config)).2, 0);
    let keys = "listen = \"[::]:0\"\n[[keys]]\nname = \"k\"\nkey = \"0123456789abcdef\"\n";
    let config = folder.file("keys.toml", keys);
    assert_eq!(said(tidings().arg("check").arg(&config)).2, 0);
}

#[test]
fn a_port_alone_is_one_of_this_machine_however_it_is_given() {
    let folder = Folder::new();
    for words in [["--listen", "0"], ["--port", "0"], ["--listen", "localhost:0"]] {
        let mut serve = tidings();
        serve.args(["serve", "--store", "memory", "--log", "warn"]).args(words);
        let mut hub = Process::spawn(serve.current_dir(folder.path()).stdin(Stdio::null()));
        let line = hub.line();
        assert!(line.starts_with("listening on http://127.0.0.1:"), "{words:?}: {line}");
    }
    let config = folder.file("hub.toml", "listen = 8080\n");
    let (shown, ..) = said(tidings().arg("check").arg(config));
    assert!(shown.contains("8080"), "{shown}");
    for (address, part) in [
        (":8080", "give 127.0.0.1:8080 for this machine only, or 0.0.0.0:8080"),
        ("0.0.0.0", "has no port: give such as 0.0.0.0:3000"),
        ("http://127.0.0.1:80", "give the address alone, such as 127.0.0.1:80"),
    ] {
        let (_, stderr, code) = said(tidings().args(["serve", "--listen", address]));
        assert!(stderr.starts_with("error: --listen: ") && stderr.contains(part), "{stderr}");
        assert_eq!(code, 2);
    }
}

#[test]
fn a_file_with_an_unknown_key_stops_the_start_and_names_the_likely_one() {
    let folder = Folder::new();
    let config = folder.file("hub.toml", "open = false\n\n  retension-age = \"3d\"\n");
    for command in [vec!["serve", "--config"], vec!["check"]] {
        let (_, stderr, code) = said(tidings().args(&command).arg(&config));
        let place = format!("error: {}:3:3: unknown key `retension-age`", config.display());
        assert_eq!(stderr, format!("{place}\nhint: did you mean `retention-age`?\n"));
        assert_eq!(code, 3);
    }
    let missing = folder.path().join("missing.toml");
    let (_, stderr, code) = said(tidings().arg("check").arg(missing));
    assert!(stderr.contains("cannot be read\n  because: No such file"), "{stderr}");
    assert_eq!(code, 3);
}

#[test]
fn a_wrong_value_is_a_usage_error_on_the_command_line_and_a_configuration_error_elsewhere() {
    let (_, stderr, code) = said(tidings().args(["serve", "--heartbeat", "15"]));
    assert!(stderr.starts_with("error: --heartbeat: \"15\" is not a duration"), "{stderr}");
    assert_eq!(code, 2);
    let (_, stderr, code) = said(tidings().arg("check").env("TIDINGS_RETENTION_BYTES", "lots"));
    assert!(
        stderr.starts_with("error: TIDINGS_RETENTION_BYTES: \"lots\" is not a size"),
        "{stderr}"
    );
    assert_eq!(code, 3);
    assert_eq!(said(tidings().args(["serve", "--hartbeat", "15s"])).2, 2);
    assert_eq!(said(&mut tidings()).2, 2);
}

#[test]
fn check_says_what_a_file_means_and_where_each_value_comes_from() {
    let folder = Folder::new();
    let text = "data = \"history\"\n[[keys]]\nname = \"k\"\nkey = \"0123456789abcdef\"\n\
                publish = [\"a/*\"]\n";
    let config = folder.file("hub.toml", text);
    let mut check = tidings();
    let (stdout, stderr, code) = said(
        check
            .arg("check")
            .arg(&config)
            .env("TIDINGS_RETRY", "5s")
            .env("TIDINGS_JWT_SECRET", SECRET),
    );
    assert_eq!((stderr.as_str(), code), ("", 0));
    let line = |start: &str| {
        let found = stdout.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("{start} in {stdout}")).to_owned()
    };
    let data = folder.path().join("history");
    assert!(line("data = ").contains(data.to_str().unwrap()));
    assert!(line("data = ").ends_with(&format!("# {}:1:1", config.display())));
    assert!(line("retry = \"5s\"").ends_with("# TIDINGS_RETRY"));
    assert!(line("heartbeat = \"15s\"").ends_with("# default"));
    assert!(line("  publish = ").contains("a/*"));
    assert!(line("API keys: 1; keys that sign tokens: 1").is_ascii());
    for secret in ["0123456789abcdef", SECRET] {
        assert!(!stdout.contains(secret), "secrets are not shown");
    }
}

#[test]
fn check_shows_everything_about_a_key_but_its_secret() {
    let folder = Folder::new();
    folder.file("door.key", "0123456789abcdef\n");
    let limits = "max-connections = 5\nmax-publish-bytes = \"64KiB\"\nmax-topics = 7\n";
    let api = "[[keys]]\nname = \"door\"\nkey-file = \"door.key\"\nsubscribe = [\"a/**\"]\n";
    let signing = "[[jwt-keys]]\nalgorithm = \"HS256\"\nissuer = \"https://login.example\"\n\
                   role = \"subscriber\"\nkey = \"a secret of at least thirty-two bytes\"\n";
    let config = folder.file("hub.toml", &format!("{api}{limits}{signing}{limits}{signing}"));
    let (stdout, stderr, code) = said(tidings().arg("check").arg(config));
    assert_eq!((stderr.as_str(), code), ("", 0));
    let tables: Vec<_> = stdout.split("[[").skip(1).collect();
    let [door, limited, free] = tables[..] else { panic!("three tables in {stdout}") };
    for line in ["publish = []", "subscribe = [\"a/**\"]", "door.key\""] {
        assert!(door.contains(line), "{line} in {door}");
    }
    for table in [limited, free] {
        let lines = ["\"HS256\"", "role = \"subscriber\"", "issuer = \"https://login.example\""];
        assert!(lines.iter().all(|line| table.contains(line)), "{table}");
    }
    for (table, values) in [(door, ["5", "65536", "7"]), (free, ["\"unlimited\""; 3])] {
        let names = ["max-connections", "max-publish-bytes", "max-topics"];
        for (name, value) in names.iter().zip(values) {
            assert!(table.contains(&format!("  {name} = {value}\n")), "{name} in {table}");
        }
    }
    assert!(limited.contains("max-topics = 7\n"));
    assert!(!stdout.contains("0123456789") && !stdout.contains("thirty-two"));
}

#[cfg(unix)]
#[test]
fn bytes_that_are_not_utf_8_are_rejected_and_not_read_as_something_else() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let folder = Folder::new();
    std::fs::write(folder.path().join("door.key"), b"0123456789abcdef\xff").unwrap();
    let text = "[[keys]]\nname = \"door\"\nkey-file = \"door.key\"\n";
    let config = folder.file("hub.toml", text);
    let (_, stderr, code) = said(tidings().arg("check").arg(config));
    assert!(stderr.contains(":1:1: the key \"door\" is not UTF-8"), "{stderr}");
    assert!(stderr.contains("hint: an API key is visible ASCII"), "{stderr}");
    assert_eq!(code, 3);
    for variable in ["TIDINGS_JWT_SECRET", "TIDINGS_DATA", "MERCURE_PUBLISHER_JWT_KEY"] {
        let value = OsStr::from_bytes(b"a secret of thirty-two bytes or more\xff");
        let (_, stderr, code) = said(tidings().arg("check").env(variable, value));
        assert!(stderr.contains(&format!("{variable}: the value is not UTF-8")), "{stderr}");
        assert_eq!(code, 3);
    }
}

#[test]
fn a_key_that_signs_tokens_is_looked_at_before_the_start() {
    let folder = Folder::new();
    let check = |text: &str| {
        let config = folder.file("hub.toml", text);
        said(tidings().arg("check").arg(config))
    };
    let good = "[[jwt-keys]]\nalgorithm = \"HS256\"\nissuer = \"https://login.example\"\n\
                key = \"a secret of at least thirty-two bytes\"\n";
    let (stdout, _, code) = check(good);
    assert!(stdout.contains("keys that sign tokens: 2"), "one to publish, one to subscribe");
    assert_eq!(code, 0);
    let (_, stderr, code) = check(&good.replace("HS256", "HS512"));
    assert!(stderr.contains(":1:1: the key is wrong\n  because: "), "{stderr}");
    assert_eq!(code, 3);
    let (_, stderr, code) = check(&format!("{good}role = \"reader\"\n"));
    assert!(stderr.contains("the role \"reader\" is none of"), "{stderr}");
    assert_eq!(code, 3);
}

#[test]
fn the_default_file_can_be_copied_and_says_the_same() {
    let folder = Folder::new();
    let (defaults, ..) = said(tidings().args(["check", "--defaults"]));
    let (printed, ..) = said(tidings().args(["serve", "--print-default-config"]));
    assert_eq!(defaults, printed);
    let config = folder.file("hub.toml", &defaults);
    let (copied, _, code) = said(tidings().arg("check").arg(config));
    let (plain, ..) = said(tidings().arg("check"));
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.split(" # ").next().unwrap().trim_end());
        lines
            .filter(|line| !line.starts_with("data =") && line.contains(" = "))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(values(&copied), values(&plain));
    assert_eq!(code, 0);
}

#[test]
fn what_another_process_has_cannot_be_had() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let data = folder.path().join("data");
    let mut second = tidings();
    second.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    let (_, stderr, code) = said(&mut second);
    assert!(stderr.contains("is in use by another process"), "{stderr}");
    assert!(stderr.contains("\nhint: "), "{stderr}");
    assert_eq!(code, 4);
    assert_eq!(hub.publish("t", "x").len(), "k7q2ma:1".len(), "the first one goes on");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut second = tidings();
    second.args(["serve", "--store", "memory", "--listen", &address]);
    let (_, stderr, code) = said(&mut second);
    assert!(stderr.contains("hint: another program listens there"), "{stderr}");
    assert_eq!(code, 4);
}

#[test]
fn a_hub_that_refuses_and_one_that_is_not_there_are_told_apart() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let (_, stderr, code) = said(&mut hub.command(&["publish", "a/*", "x"]));
    assert_eq!(code, 5);
    assert!(stderr.contains("because: 400"), "{stderr}");
    let (_, _, code) = said(&mut hub.command(&["subscribe", "a*"]));
    assert_eq!(code, 5);
    let nobody = ports::address();
    let (_, stderr, code) =
        said(tidings().args(["publish", "a", "x", "--url", &format!("http://{nobody}")]));
    assert_eq!(code, 6);
    assert!(stderr.contains("Connection refused"), "{stderr}");
}

#[test]
fn a_hub_that_is_ready_and_one_that_is_not_there_are_0_and_1() {
    let folder = Folder::new();
    // A token is asked for by all but this.
    let secret = folder.file("secret", SECRET);
    let hub = Hub::serve(&folder, &["--jwt-secret-file", secret.to_str().unwrap()]);
    let ready = ("ready\n".to_owned(), String::new(), 0);
    assert_eq!(said(&mut hub.command(&["health"])), ready);
    // As in a container, where the hub and the question have the same environment.
    let here = |variable: &str, value: &str| said(tidings().arg("health").env(variable, value));
    assert_eq!(here("TIDINGS_LISTEN", &hub.address), ready);
    let port = hub.address.rsplit_once(':').unwrap().1;
    assert_eq!(here("TIDINGS_LISTEN", &format!("0.0.0.0:{port},[::1]:1")), ready);
    let config = folder.file("hub.toml", &format!("listen = {:?}\n", hub.address));
    assert_eq!(here("TIDINGS_CONFIG", config.to_str().unwrap()), ready);
    // Both are given, as in a container with TLS: the URL says it.
    let mut both = hub.command(&["health"]);
    assert_eq!(
        said(both.env("TIDINGS_CONFIG", folder.file("other.toml", "listen = \"[::1]:1\""))),
        ready
    );

    let nobody = ports::address();
    let (stdout, stderr, code) = here("TIDINGS_URL", &format!("http://{nobody}"));
    assert_eq!((stdout.as_str(), code), ("", 1));
    assert!(stderr.contains("Connection refused"), "{stderr}");
    // It is connected to, and never answers.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_, stderr, code) = here("TIDINGS_LISTEN", &mute.local_addr().unwrap().to_string());
    assert!(stderr.contains("because: deadline has elapsed"), "{stderr}");
    assert_eq!(code, 1);
    assert_eq!(here("TIDINGS_URL", "ftp://nowhere").2, 2);
    assert_eq!(here("TIDINGS_LISTEN", "nowhere").2, 3);
}

/// What a hub says between the signal and its end, to who had a connection before: a new one is
/// not taken then.
#[test]
fn a_hub_that_leaves_is_not_ready_and_what_is_no_hub_is_none() {
    for (head, body, printed) in [
        ("503 Service Unavailable", r#"{"status":"not ready","reasons":["draining"]}"#, "draining"),
        ("200 OK", "<html>", ""),
        ("502 Bad Gateway", r#"{"status":"ready"}"#, ""),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/below", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut reader = BufReader::new(listener.accept().unwrap().0);
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let length = body.len();
            write!(reader.get_mut(), "HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}")
                .unwrap();
            line
        });
        let (stdout, stderr, code) = said(tidings().args(["health", "--url", &url]));
        assert!(server.join().unwrap().starts_with("GET /below/readyz "));
        match printed {
            "" => assert!(stderr.contains("is not a hub") && stdout.is_empty(), "{stderr}"),
            reason => assert_eq!(stdout, format!("not ready: {reason}\n")),
        }
        assert_eq!(code, 1, "{head}");
    }
}

/// Retrying for a day, as when the hub is away, would change nothing.
#[test]
fn lines_for_which_there_is_no_room_end_the_publishing_and_say_why() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &["--max-topics", "1"]);
    let mut lines = hub.command(&["publish", "first", "--json"]);
    let mut publisher = Process::spawn(lines.stdin(Stdio::piped()));
    // This many are confirmed before the next is read: the hub is known to be there.
    publisher.write(&"{\"data\":\"1\"}\n".repeat(1000));
    publisher.write("{\"topic\":\"second\",\"data\":\"2\"}\n");
    publisher.close_stdin();
    let code = publisher.wait().code();
    let stderr = publisher.stderr();
    assert!(stderr.contains("because: 507") && stderr.contains("another topic"), "{stderr}");
    assert_eq!(code, Some(5));
}

#[test]
fn a_token_that_would_be_of_no_use_is_not_minted() {
    let (_, stderr, code) = said(tidings().args(["token", "--secret", SECRET]));
    assert!(stderr.contains("would allow nothing"), "{stderr}");
    assert_eq!(code, 2);
    let weak = ["token", "--publish", "**", "--secret", "short"];
    let (_, stderr, code) = said(tidings().args(weak));
    assert!(stderr.contains("at least 32 bytes"), "{stderr}");
    assert_eq!(code, 3);
    let none = ["token", "--publish", "**"];
    assert_eq!(said(tidings().args(none)).2, 2);
    let odd = ["token", "--publish", "a*b", "--secret", SECRET];
    assert_eq!(said(tidings().args(odd)).2, 2);
}

const SECRET: &str = "a secret of at least thirty-two bytes";
