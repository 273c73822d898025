//! `[[notify]]` of the program: what is wrong with a table is said before the start, and secrets
//! are replaced while the hub runs.

use crate::world::{Folder, Hub, eventually, said, tidings};
use serde_json::Value;
use tidings_testkit::backend::{Asked, Backend, Reply};

/// Secrets, and what a receiver knows of them.
const SECRETS: [(&str, &[u8]); 3] = [
    ("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &[0; 24]),
    (
        "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
        &[4, 16, 65, 4, 16, 65, 4, 16, 65, 4, 16, 65, 4, 16, 65, 4, 16, 65, 4, 16, 65, 4, 16, 65],
    ),
    ("whsec_////////////////////////////////", &[255; 24]),
];

#[test]
fn a_receiver_that_cannot_be_meant_stops_the_start_and_no_secret_is_shown() {
    let folder = Folder::new();
    let [good, second, third] = SECRETS.map(|(text, _)| text);
    let url = "url = \"https://app.example/hub?token=hidden\"";
    let long = "A".repeat(120);
    let receivers = format!("[[notify]]\n{url}\nsecret = \"{good}\"\n").repeat(5);
    for (table, part) in [
        (format!("secret = \"{good}\""), "a receiver of `notify` needs the `url` to send to"),
        (url.to_owned(), "a receiver of `notify` needs either `secret` or `secret-file`"),
        (
            format!("{url}\nsecret = \"{good}\"\nsecret-file = \"a\""),
            "a receiver of `notify` needs either `secret` or `secret-file`",
        ),
        (format!("{url}\nsecret = \"{}\"", &good[6..]), "whsec_"),
        (format!("{url}\nsecret = \"{}\"", &good[..30]), "24 to 64 bytes"),
        (format!("{url}\nsecret = \"whsec_{long}\""), "24 to 64 bytes"),
        (format!("{url}\nsecret = \"whsec_{}\"", "*".repeat(32)), "whsec_"),
        (format!("{url}\nsecret = [\"{good}\", \"{second}\", \"{third}\"]"), "2"),
        (format!("{url}\nsecret = []"), "secret"),
        (format!("{url}\nsecret-file = \"nowhere\""), "nowhere cannot be read"),
        (format!("{url}\nsecrets = \"{good}\""), "did you mean"),
        (format!("{url}\nsecret = \"{good}\"\naddresses = \"yes\""), "addresses"),
        (format!("url = \"ftp://app.example/\"\nsecret = \"{good}\""), "http"),
        (format!("url = \"https://me:hidden@app.example/\"\nsecret = \"{good}\""), "password"),
        (format!("url = \"app.example\"\nsecret = \"{good}\""), "http"),
        (receivers.trim_start_matches("[[notify]]\n").to_owned(), "4"),
    ] {
        let config = folder.file("hub.toml", &format!("[[notify]]\n{table}\n"));
        let (stdout, stderr, code) = said(tidings().arg("check").arg(&config));
        assert_eq!(code, 3, "{table}: {stdout} {stderr}");
        assert!(stderr.contains(part), "{table}: {stderr}");
        let shown = format!("{stdout}{stderr}");
        let is_shown = |secret: &str| shown.contains(secret.trim_start_matches("whsec_"));
        assert!(![good, second, third, &long, "hidden"].into_iter().any(is_shown), "{shown}");
    }
}

#[test]
fn check_shows_who_is_told_and_nothing_of_the_secret() {
    let folder = Folder::new();
    let [(first, _), (second, _), _] = SECRETS;
    folder.file("one", &format!("{first}\n"));
    folder.file("two", second);
    let config = folder.file(
        "hub.toml",
        "[[notify]]\nurl = \"https://app.example/hub?token=hidden\"\n\
         secret-file = [\"one\", \"two\"]\naddresses = true\n",
    );
    let (stdout, stderr, code) = said(tidings().arg("check").arg(&config));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("[[notify]] \"https://app.example/hub\""), "{stdout}");
    assert!(stdout.contains("signed with 2 secrets, with the addresses of clients"), "{stdout}");
    assert!(!stdout.contains("hidden") && !stdout.contains("AAAA"), "{stdout}");
}

/// The messages that told of a stream of this topic.
fn about(backend: &Backend, topic: &str) -> Vec<Asked> {
    let is_about = |asked: &Asked| {
        let message: Value = serde_json::from_str(&asked.body).unwrap();
        let connected = message["data"]["connected"].as_array().unwrap();
        connected.iter().any(|one| one["topics"][0] == topic)
    };
    backend.asked().into_iter().filter(is_about).collect()
}

#[test]
fn a_hangup_replaces_the_secrets_and_what_is_wrong_changes_nothing() {
    let folder = Folder::new();
    let [(first, known_first), (second, known_second), (_, unknown)] = SECRETS;
    folder.file("secret", first);
    let backend = Backend::start(|_| Reply::status(204));
    let table = format!("[[notify]]\nurl = {:?}\nsecret-file = \"secret\"\n", backend.url("/hub"));
    let config = folder.file("hub.toml", &table);
    let hub = Hub::serve(&folder, &["--config", config.to_str().unwrap()]);
    let told = |topic: &str| {
        let _stream = hub.listen(&[], &format!("/events/{topic}"));
        eventually(|| !about(&backend, topic).is_empty());
        let told = about(&backend, topic).remove(0);
        assert!(!told.is_signed_with(unknown));
        (told.is_signed_with(known_first), told.is_signed_with(known_second))
    };
    assert_eq!(told("before"), (true, false));

    folder.file("secret", second);
    hub.process.signal("HUP");
    // The hub reads it some time after the signal.
    let mut round = 0;
    eventually(|| {
        round += 1;
        told(&format!("after/{round}")) == (false, true)
    });
    // Neither a file that is no secret nor one that is not there changes anything.
    folder.file("secret", "whsec_short");
    hub.process.signal("HUP");
    assert_eq!(told("nonsense"), (false, true));
    std::fs::remove_file(folder.path().join("secret")).unwrap();
    hub.process.signal("HUP");
    assert_eq!(told("nothing"), (false, true));
    assert!(!hub.curl(&["-d", "x"], "/events/a").is_empty(), "it goes on");
}
