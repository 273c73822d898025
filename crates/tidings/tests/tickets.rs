//! Sessions of TLS that are resumed at another process than the one that began them.

use crate::world;
use std::fs;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::world::tls::{Pair, Peer, trusting};
use crate::world::{Folder, Hub, said, tidings};
use rustls::{ClientConfig, HandshakeKind};

struct Scene {
    folder: Folder,
    pair: Pair,
}

impl Scene {
    fn new() -> Self {
        let (folder, pair) = (Folder::new(), Pair::new());
        folder.file("cert.pem", &pair.pem);
        folder.file("key.pem", &pair.key);
        Self { folder, pair }
    }

    fn command(&self, keys: Option<&Path>) -> Command {
        let mut command = tidings();
        command.args(["serve", "--store", "memory"]);
        command.current_dir(self.folder.path()).args(["--tls-cert", "cert.pem"]);
        command.args(["--tls-key", "key.pem"]);
        if let Some(keys) = keys {
            command.arg("--tls-ticket-keys").arg(keys);
        }
        command
    }

    fn hub(&self, keys: Option<&Path>) -> Hub {
        Hub::start(&mut self.command(keys))
    }

    fn client(&self) -> Arc<ClientConfig> {
        trusting(&[&self.pair])
    }
}

fn handshake(hub: &Hub, config: &Arc<ClientConfig>) -> Option<HandshakeKind> {
    let mut peer = Peer::connect(&hub.address, config);
    peer.subscribe("t");
    peer.stream.conn.handshake_kind()
}

#[test]
fn a_client_resumes_its_session_after_a_restart_of_the_hub() {
    let scene = Scene::new();
    let keys = scene.folder.path().join("keys");
    for (keys, after_restart) in
        [(None, HandshakeKind::Full), (Some(&*keys), HandshakeKind::Resumed)]
    {
        let client = scene.client();
        let mut hub = scene.hub(keys);
        assert_eq!(handshake(&hub, &client), Some(HandshakeKind::Full));
        assert_eq!(handshake(&hub, &client), Some(HandshakeKind::Resumed));
        hub.process.kill();
        let hub = scene.hub(keys);
        assert_eq!(handshake(&hub, &client), Some(after_restart), "{keys:?}");
        assert_eq!(handshake(&hub, &client), Some(HandshakeKind::Resumed));
    }
    #[cfg(unix)]
    assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn hubs_that_start_together_share_one_file_and_each_others_sessions() {
    let scene = Scene::new();
    let keys = scene.folder.path().join("keys");
    let hubs: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..3).map(|_| scope.spawn(|| scene.hub(Some(&keys)))).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let client = scene.client();
    let kinds: Vec<_> = hubs.iter().map(|hub| handshake(hub, &client)).collect();
    let resumed = Some(HandshakeKind::Resumed);
    assert_eq!(kinds, [Some(HandshakeKind::Full), resumed, resumed]);
}

#[test]
fn an_old_key_is_replaced_and_still_opens_its_tickets() {
    let scene = Scene::new();
    let (old, long_ago) = ("ab".repeat(32), jiff::Timestamp::now().as_second() - 7 * 3600);
    let keys = scene.folder.file("keys", &format!("{long_ago} {old}\n"));
    let hub = scene.hub(Some(&keys));
    let client = scene.client();
    assert_eq!(handshake(&hub, &client), Some(HandshakeKind::Full));
    world::eventually(|| fs::read_to_string(&keys).unwrap().lines().count() == 3);
    let text = fs::read_to_string(&keys).unwrap();
    assert!(text.lines().last().unwrap().ends_with(&old), "the newest is first:\n{text}");
    assert_eq!(handshake(&hub, &client), Some(HandshakeKind::Resumed));
}

#[test]
fn a_file_that_holds_no_keys_stops_the_start_and_says_why() {
    let scene = Scene::new();
    let keys = scene.folder.file("keys", "secret\n");
    let (_, stderr, code) = said(&mut scene.command(Some(&keys)));
    assert!(stderr.contains("line 1 is not a time in seconds and 64 hexadecimal"), "{stderr}");
    assert_eq!(code, 3);
    assert_eq!(fs::read_to_string(&keys).unwrap(), "secret\n");

    let mut plain = tidings();
    plain.args(["serve", "--store", "memory", "--tls-ticket-keys"]).arg(&keys);
    let (_, stderr, code) = said(&mut plain);
    let expected = "error: --tls-ticket-keys: tls-ticket-keys needs TLS beside it\n";
    assert_eq!((stderr.as_str(), code), (expected, 3));
}
