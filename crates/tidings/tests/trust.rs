//! Certificates that nobody else trusts: what client commands say, and `--ca-file`.

use crate::world;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::world::{Folder, Hub, Process, eventually, run, said, tidings};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// A hub under TLS, and the file with its certificate.
struct Scene {
    hub: Hub,
    certificate: PathBuf,
    folder: Folder,
}

impl Scene {
    /// A hub with a certificate of its own, which calls itself an authority or does not.
    fn self_signed(names: &[&str], is_ca: IsCa) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self::start(&pem, &key.serialize_pem())
    }

    fn start(certificate: &str, key: &str) -> Self {
        let folder = Folder::new();
        let certificate = folder.file("cert.pem", certificate);
        let key = folder.file("key.pem", key);
        let mut command = tidings();
        command.args(["serve", "--log", "error", "--store", "memory", "--tls-cert"]);
        let hub = Hub::start(command.arg(&certificate).arg("--tls-key").arg(key));
        Self { hub, certificate, folder }
    }

    fn with_ca(&self, words: &[&str]) -> (String, String, i32) {
        said(self.hub.command(words).arg("--ca-file").arg(&self.certificate))
    }
}

/// What `openssl req -x509` makes by default.
const AUTHORITY: IsCa = IsCa::Ca(BasicConstraints::Unconstrained);

const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

#[test]
fn a_server_that_nobody_trusts_is_asked_once_and_the_hint_says_how_to_trust_it() {
    for (is_ca, hint) in [
        (AUTHORITY, "trust it with --ca-file FILE"),
        (IsCa::NoCa, "or got it from a staging directory"),
    ] {
        let scene = Scene::self_signed(&HERE, is_ca);
        for words in [
            vec!["publish", "t", "x"],
            vec!["subscribe", "t"],
            vec!["topics"],
            vec!["end", "t"],
            vec!["erase", "t", "--all"],
            vec!["health"],
            vec!["trace", "1-1"],
        ] {
            let (_, stderr, code) = said(&mut scene.hub.command(&words));
            assert!(stderr.ends_with(&format!("{hint}\n")), "{words:?}: {stderr}");
            assert!(!stderr.contains("more tries") && !stderr.contains("again in"), "{stderr}");
            assert!(stderr.matches("because: ").count() <= 2, "{stderr}");
            // The TLS library's own words are for -v.
            assert!(!stderr.contains("CaUsed") && !stderr.contains("UnknownIssuer"), "{stderr}");
            assert!(code == 6 || words[0] == "health" && code == 1, "{words:?}: {code}");
        }
    }
}

#[test]
fn with_its_certificate_every_command_trusts_it() {
    for is_ca in [AUTHORITY, IsCa::NoCa] {
        let scene = Scene::self_signed(&HERE, is_ca);
        let (_, stderr, code) = scene.with_ca(&["publish", "t", "x"]);
        assert_eq!((stderr.as_str(), code), ("", 0));
        let (stdout, ..) = scene.with_ca(&["subscribe", "t", "--last", "1", "-n", "1"]);
        assert!(stdout.ends_with("  x\n"), "{stdout}");
        let (stdout, ..) = scene.with_ca(&["topics"]);
        assert!(stdout.ends_with("  t\n"), "{stdout}");
        assert_eq!(scene.with_ca(&["health"]).0, "ready\n");
        assert_eq!(scene.with_ca(&["stats"]).2, 0);
        // A topic that has ended leaves no stream, which would be judged by how fast it is.
        assert_eq!(scene.with_ca(&["publish", "over", "x", "--end"]).2, 0);
        let over = scene.hub.url("/events/over");
        let (found, _, code) = scene.with_ca(&["doctor", &over, "--for", "1m"]);
        assert!(code == 0 && found.contains("HTTP/2.0 204"), "{found}");
        let stream = scene.hub.url("/events/t");
        let mut relay = scene.hub.command(&["relay", &stream, "copy", "--ca-file"]);
        let relay = Process::spawn(relay.arg(&scene.certificate).stdin(Stdio::null()));
        // The relay begins with what comes next.
        eventually(|| {
            scene.with_ca(&["publish", "t", "y"]);
            scene.with_ca(&["topics"]).0.contains("copy")
        });
        drop(relay);
        assert_eq!(scene.with_ca(&["end", "t"]).2, 0);
    }
}

#[test]
fn an_authority_is_trusted_for_what_it_signs_and_a_certificate_for_its_names_only() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = AUTHORITY;
    let root = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(HERE.map(str::to_owned)).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap().pem();
    let scene = Scene::start(&leaf, &leaf_key.serialize_pem());
    let root = scene.folder.file("root.pem", &root);
    let mut publish = scene.hub.command(&["publish", "t", "x", "--ca-file"]);
    assert_eq!(said(publish.arg(&root)).2, 0);
    let mut by_variable = scene.hub.command(&["publish", "t", "x"]);
    assert_eq!(said(by_variable.env("SSL_CERT_FILE", &root)).2, 0);

    for is_ca in [AUTHORITY, IsCa::NoCa] {
        let elsewhere = Scene::self_signed(&["hub.example"], is_ca);
        let (_, stderr, code) = elsewhere.with_ca(&["publish", "t", "x"]);
        assert!(stderr.contains("for another name than the one in the URL"), "{stderr}");
        assert_eq!(code, 6);
    }
    // One trusted certificate is no trust in another.
    let other = Scene::self_signed(&HERE, AUTHORITY);
    let mut publish = other.hub.command(&["publish", "t", "x", "--ca-file"]);
    assert_eq!(said(publish.arg(&scene.certificate)).2, 6);
}

#[test]
fn a_file_without_certificates_and_a_server_without_tls_are_named() {
    let folder = Folder::new();
    let hub = Hub::serve(&folder, &[]);
    let empty = folder.file("empty.pem", "nothing\n");
    for (file, part) in
        [(empty, "holds no certificate"), (folder.path().join("missing.pem"), "cannot be read")]
    {
        let mut topics = hub.command(&["topics", "--ca-file"]);
        let (_, stderr, code) = said(topics.arg(&file));
        assert!(stderr.contains(part) && code == 2, "{stderr}");
    }
    let tls = format!("https://{}", hub.address);
    let (_, stderr, code) = said(tidings().args(["topics", "--url", &tls]));
    assert!(stderr.contains("does the server speak TLS there?") && code == 6, "{stderr}");
}

/// The lines of docs/operating/tls.md, word for word.
#[test]
fn the_recipe_for_a_certificate_of_ones_own_works() {
    let page = include_str!("../../../docs/operating/tls.md");
    let recipe = page.split("## A certificate of your own").nth(1).unwrap();
    let blocks: Vec<_> = recipe.split("```sh\n").skip(1).collect();
    let lines = |block: &str| block.split("```").next().unwrap().to_owned();
    let (make, use_it) = (lines(blocks[0]), lines(blocks[1]));
    let folder = Folder::new();
    let shell = |script: &str| {
        let mut shell = Command::new("sh");
        world::clean(&mut shell);
        let path = std::env::var("PATH").unwrap();
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_tidings")).parent().unwrap();
        shell.env("PATH", format!("{}:{path}", program.display()));
        shell.current_dir(folder.path()).args(["-e", "-c", script]);
        shell
    };
    let make = make.lines().filter(|line| !line.starts_with("tidings serve"));
    let output = run(&mut shell(&make.collect::<Vec<_>>().join("\n")));
    assert!(output.status.success(), "{output:?}");
    let mut serve = tidings();
    serve.current_dir(folder.path()).args(["serve", "--log", "error", "--store", "memory"]);
    let hub = Hub::start(serve.args(["--tls-cert", "cert.pem", "--tls-key", "key.pem"]));
    let use_it =
        use_it.replace("https://localhost:3000", &hub.url("").replace("127.0.0.1", "localhost"));
    let use_it = use_it.replace(" -N ", " ").replace("/events/hello", "/readyz");
    let output = run(&mut shell(&use_it));
    assert!(output.status.success(), "{use_it}: {output:?}");
}
