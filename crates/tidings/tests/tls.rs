//! The hub under TLS, as its operator runs it: real files, real signals, the real `curl`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::world::tls::{Pair, Peer, trusting};
use crate::world::{Folder, Hub, Process, eventually, run, said, text, tidings};
use rustls::{ClientConfig, HandshakeKind};

/// A certificate for 120 days that is valid for `days` days from now.
fn expiring(days: i32) -> Pair {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let in_days = |days: i32| {
        let date = today.saturating_add(jiff::Span::new().days(days));
        let [month, day] = [date.month(), date.day()].map(|part| u8::try_from(part).unwrap());
        rcgen::date_time_ymd(date.year().into(), month, day)
    };
    (params.not_before, params.not_after) = (in_days(days - 120), in_days(days));
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    Pair { pem: cert.pem(), key: key.serialize_pem(), der: cert.der().clone() }
}

/// A hub that shows a certificate from two files.
struct Scene {
    hub: Hub,
    certificate: PathBuf,
    key: PathBuf,
    log: PathBuf,
    folder: Folder,
}

impl Scene {
    fn start(pair: &Pair, arguments: &[&str]) -> Self {
        let folder = Folder::new();
        let certificate = folder.file("cert.pem", &pair.pem);
        let key = folder.file("key.pem", &pair.key);
        let log = folder.path().join("log");
        let mut command = tidings();
        command.args(["serve", "--log", "info", "--store", "memory"]);
        command.arg("--tls-cert").arg(&certificate).arg("--tls-key").arg(&key).args(arguments);
        let hub = Hub::start(command.stderr(fs::File::create(&log).unwrap()));
        Self { hub, certificate, key, log, folder }
    }

    /// `curl` that trusts what `cert.pem` was when this was called.
    fn curl(&self, words: &[&str], path: &str) -> String {
        let trusted = self.trusted();
        let mut all = vec!["--cacert", trusted.to_str().unwrap()];
        all.extend(words);
        self.hub.curl(&all, path)
    }

    fn trusted(&self) -> PathBuf {
        let path = self.folder.path().join("trusted.pem");
        if !path.exists() {
            fs::copy(&self.certificate, &path).unwrap();
        }
        path
    }

    fn says(&self, words: &str) -> bool {
        fs::read_to_string(&self.log).unwrap().contains(words)
    }
}

#[test]
fn curl_agrees_on_http_2_or_1_1_and_gets_the_same_stream() {
    let scene = Scene::start(&Pair::new(), &[]);
    assert_eq!(scene.hub.scheme, "https");
    let publish = |data: &str| scene.curl(&["-d", data], "/events/t");
    publish("one");
    publish("two");
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let trusted = scene.trusted();
        let words = ["--cacert", trusted.to_str().unwrap(), option, "-i"];
        let mut listener = scene.hub.listen(&words, "/events/t?last=2");
        assert!(listener.line().starts_with(&format!("HTTP/{version} 200")));
        assert_eq!(listener.values("data: ", 2), ["one", "two"]);
        publish("live");
        assert_eq!(listener.values("data: ", 1), ["live"]);
        scene.curl(&["-X", "DELETE"], "/events/t");
        assert_eq!(listener.line_with("event: "), "event: end");
        assert!(listener.wait().success(), "{option}: the stream ends well");
        publish("one");
        publish("two");
    }
}

#[test]
fn streams_share_one_http_2_connection() {
    let scene = Scene::start(&Pair::new(), &[]);
    scene.curl(&["-d", "x"], "/events/a/1");
    let trusted = scene.trusted();
    let mut curl = Command::new("curl");
    curl.args(["-sN", "--max-time", "30", "--http2", "--parallel", "--cacert"]).arg(trusted);
    curl.args(["-w", "connections %{num_connects}\n"]);
    // The first is answered before the others start, as a browser does it.
    curl.arg(scene.hub.url("/events/a/1?last=1"));
    curl.args([scene.hub.url("/events/a/2"), scene.hub.url("/events/a/3")]);
    let mut curl = Process::spawn(curl.stdin(Stdio::null()));
    (0..3).for_each(|_| drop(curl.line_with("id: ")));
    for topic in ["a/1", "a/2", "a/3"] {
        scene.curl(&["-d", "x"], &format!("/events/{topic}"));
        scene.curl(&["-X", "DELETE"], &format!("/events/{topic}"));
    }
    let opened: Vec<u32> =
        curl.values("connections ", 3).iter().map(|count| count.parse().unwrap()).collect();
    assert_eq!(opened.iter().sum::<u32>(), 1, "{opened:?}");
}

#[test]
fn a_certificate_is_replaced_while_a_thousand_streams_stay_open() {
    let (old, new) = (Pair::new(), Pair::new());
    let scene = Scene::start(&old, &[]);
    let (hub, config) = (&scene.hub, trusting(&[&old, &new]));
    let mut peers: Vec<_> = (0..1000)
        .map(|_| {
            let mut peer = Peer::connect(&hub.address, &config);
            peer.subscribe("t");
            peer
        })
        .collect();
    assert_eq!(peers[0].shown(), old.der);

    // Only the certificate: now the files do not belong together.
    fs::write(&scene.certificate, &new.pem).unwrap();
    hub.process.signal("HUP");
    eventually(|| scene.says("cannot use the new certificate; the old one stays in use"));
    let shown = |config: &Arc<ClientConfig>| {
        let mut peer = Peer::connect(&hub.address, config);
        peer.subscribe("other");
        peer.shown()
    };
    assert_eq!(shown(&trusting(&[&old])), old.der);

    fs::write(&scene.key, &new.key).unwrap();
    hub.process.signal("HUP");
    eventually(|| scene.says("certificate reloaded"));
    assert_eq!(shown(&trusting(&[&new])), new.der);

    let mut publisher = Peer::connect(&hub.address, &trusting(&[&new]));
    let head = "POST /events/t HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n";
    publisher.send(&format!("{head}still"));
    publisher.reads("{\"id\":");
    for peer in &mut peers {
        peer.reads("data: still\n");
    }
}

#[test]
fn files_that_change_are_noticed_without_a_signal() {
    let (old, new) = (Pair::new(), Pair::new());
    let scene = Scene::start(&old, &[]);
    fs::write(&scene.key, &new.key).unwrap();
    fs::write(&scene.certificate, &new.pem).unwrap();
    eventually(|| scene.says("certificate reloaded"));
}

#[test]
fn a_certificate_that_ends_soon_is_told_of_in_the_log_in_the_metrics_and_by_check() {
    let (soon, late) = (expiring(10), expiring(100));
    let scene = Scene::start(&soon, &[]);
    eventually(|| scene.says("renew the certificate"));
    // It is the end of the day before that counts, whatever the hour is now.
    assert!(scene.says("9 days, until ") || scene.says("10 days, until "));
    let end = || -> i64 {
        let name = "tidings_tls_certificate_expiry_timestamp_seconds ";
        let page = scene.hub.curl(&["--insecure"], "/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.expect("a sample").parse().unwrap()
    };
    let days = |end: i64| (end - jiff::Timestamp::now().as_second()) / (24 * 3600);
    assert!([9, 10].contains(&days(end())), "{}", end());
    fs::write(&scene.key, &late.key).unwrap();
    fs::write(&scene.certificate, &late.pem).unwrap();
    eventually(|| [99, 100].contains(&days(end())));
    let log = fs::read_to_string(&scene.log).unwrap();
    assert_eq!(log.matches("renew the certificate").count(), 1, "{log}");

    let check = |pair: &Pair| {
        let mut check = tidings();
        check.env("TIDINGS_TLS_CERT", scene.folder.file("other.pem", &pair.pem));
        check.env("TIDINGS_TLS_KEY", scene.folder.file("other.key", &pair.key));
        let (stdout, stderr, code) = said(check.arg("check"));
        assert_eq!((stderr.as_str(), code), ("", 0));
        stdout.lines().find(|line| line.starts_with("the certificate: ")).unwrap().to_owned()
    };
    assert!(!check(&late).contains("renew"), "{}", check(&late));
    assert!(check(&soon).ends_with("; renew it"), "{}", check(&soon));
    let over = check(&expiring(-3));
    assert!(over.starts_with("the certificate: expired at ") && over.ends_with("; renew it"));
}

#[test]
fn who_comes_back_resumes_its_session_also_after_the_certificate_was_replaced() {
    let (old, new) = (Pair::new(), Pair::new());
    let scene = Scene::start(&old, &[]);
    let config = trusting(&[&old, &new]);
    let handshake = || {
        let mut peer = Peer::connect(&scene.hub.address, &config);
        peer.subscribe("t");
        peer.stream.conn.handshake_kind()
    };
    assert_eq!(handshake(), Some(HandshakeKind::Full));
    assert_eq!(handshake(), Some(HandshakeKind::Resumed));
    fs::write(&scene.key, &new.key).unwrap();
    fs::write(&scene.certificate, &new.pem).unwrap();
    scene.hub.process.signal("HUP");
    eventually(|| scene.says("certificate reloaded"));
    assert_eq!(handshake(), Some(HandshakeKind::Resumed));
}

#[test]
fn a_plain_port_sends_readers_to_tls_and_refuses_publishers() {
    let pair = Pair::new();
    let mut scene = Scene::start(&pair, &["--redirect-listen", "127.0.0.1:0"]);
    let plain = scene.hub.process.line_with("redirecting from ");
    let plain = plain["redirecting from ".len()..].to_owned();
    let trusted = scene.trusted();
    let curl = |words: &[&str], url: String| {
        let mut curl = Command::new("curl");
        curl.args(["-s", "--max-time", "30", "--cacert"]).arg(&trusted).args(words).arg(url);
        text(run(&mut curl).stdout)
    };
    scene.curl(&["-d", "one"], "/events/t");
    let page = curl(&["-L", "-H", "Accept: application/json"], format!("{plain}/events/t?last=1"));
    assert!(page.contains("\"one\""), "{page}");
    let head = curl(&["-i"], format!("{plain}/events/t?last=1"));
    assert!(head.starts_with("HTTP/1.1 308 "), "{head}");
    let location = format!("location: {}", scene.hub.url("/events/t?last=1"));
    assert!(head.contains(&location), "{head}");
    // Neither a token nor a reader goes where it should not.
    let head = curl(&["-i"], format!("{plain}/events/t?token=s3cret&last=1&authorization=s3cret"));
    assert!(head.contains(&location) && !head.contains("s3cret"), "{head}");
    assert!(head.contains("x-content-type-options: nosniff"), "{head}");
    let head = curl(&["-i", "-H", "Host: evil.example"], format!("{plain}/events/t"));
    assert!(head.starts_with("HTTP/1.1 421 ") && !head.contains("location:"), "{head}");
    let refused = curl(&["-d", "two"], format!("{plain}/events/t"));
    assert!(refused.contains("\"code\":\"tls_required\""), "{refused}");
    let lost = curl(&[], format!("http://{}/events/t", scene.hub.address));
    assert!(lost.contains("\"code\":\"tls_required\""), "{lost}");
}

#[test]
fn our_own_client_speaks_to_it() {
    let scene = Scene::start(&Pair::new(), &[]);
    let url = scene.hub.url("").replace("127.0.0.1", "localhost");
    let trusted = scene.trusted();
    let command = |words: &[&str]| {
        let mut command = tidings();
        command.args(words).env("TIDINGS_URL", &url).env("SSL_CERT_FILE", &trusted);
        command
    };
    let (stdout, stderr, code) = said(&mut command(&["publish", "t", "hello"]));
    assert_eq!(code, 0, "{stdout}{stderr}");
    let mut watcher = Process::spawn(&mut command(&["subscribe", "t", "--last", "1", "--json"]));
    assert!(watcher.line().contains("hello"));
}

#[test]
fn a_certificate_that_is_no_use_stops_the_start_and_says_why() {
    let folder = Folder::new();
    let (one, two) = (Pair::new(), Pair::new());
    let certificate = folder.file("cert.pem", &one.pem);
    let key = folder.file("key.pem", &two.key);
    let mut serve = tidings();
    serve.args(["serve", "--listen", "127.0.0.1:0", "--tls-cert"]).arg(&certificate);
    let (_, stderr, code) = said(&mut serve);
    assert_eq!(
        (stderr.as_str(), code),
        ("error: --tls-cert: tls-cert needs a tls-key beside it\n", 3)
    );
    let (_, stderr, code) = said(serve.arg("--tls-key").arg(&key));
    assert!(stderr.contains("because: certificate and key cannot be used together"), "{stderr}");
    assert_eq!(code, 3);
    let mut serve = tidings();
    serve.args(["serve", "--redirect-listen", "127.0.0.1:0"]);
    let (_, stderr, code) = said(&mut serve);
    assert!(stderr.contains("there is no TLS to redirect to"), "{stderr}");
    assert_eq!(code, 3);
}

#[test]
fn the_doctor_says_what_is_wrong_with_a_certificate() {
    for (days, trusts, expected, exit) in [
        (90, true, &["no-content"][..], 0),
        (20, true, &["certificate-ends", "no-content"], 7),
        (-2, true, &["certificate-expired"], 6),
        (90, false, &["certificate-untrusted"], 6),
    ] {
        let scene = Scene::start(&expiring(days), &[]);
        // A topic that has ended leaves no stream, which would be judged by how fast it is.
        scene.curl(&["--insecure", "-d", "x"], "/events/a?end");
        let mut doctor = tidings();
        doctor.args(["doctor", &scene.hub.url("/events/a"), "--json", "--for", "1m"]);
        if trusts {
            doctor.arg("--ca-file").arg(&scene.certificate);
        }
        let (stdout, stderr, code) = said(&mut doctor);
        let found: serde_json::Value = serde_json::from_str(&stdout).expect(&stderr);
        let findings = found["findings"].as_array().unwrap();
        let codes: Vec<_> =
            findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect();
        assert_eq!((&*codes, code), (expected, exit), "{days} {found:#}");
    }
}
