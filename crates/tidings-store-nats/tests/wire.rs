//! What hubs say to each other, over real servers.

#![allow(clippy::unwrap_used, clippy::print_stderr, unreachable_pub)]

#[allow(dead_code)]
mod world;

use std::sync::{Arc, Mutex};

use tidings_hub::Wire;
use tidings_store_nats::NatsWire;
use world::{Cluster, eventually};

/// A wire, with what was heard on it.
struct Listener {
    wire: NatsWire,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Listener {
    fn on(cluster: &Cluster, stream: &str) -> Self {
        let wire = NatsWire::connect(&cluster.client(stream)).unwrap();
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let kept = Arc::clone(&heard);
        wire.listen(Box::new(move |bytes| kept.lock().unwrap().push(bytes.to_vec())));
        eventually(|| wire.is_connected());
        Self { wire, heard }
    }

    fn has_heard(&self, message: &[u8]) -> bool {
        self.heard.lock().unwrap().iter().any(|heard| heard == message)
    }
}

#[test]
fn hubs_on_one_stream_hear_each_other_also_after_a_server_was_killed() {
    let Some(mut cluster) = Cluster::start() else { return };
    let (one, two) = (Listener::on(&cluster, "hub"), Listener::on(&cluster, "hub"));
    let other = Listener::on(&cluster, "another");
    let arrives = |message: &[u8]| {
        eventually(|| {
            one.wire.say(message.to_vec());
            two.has_heard(message)
        });
    };
    arrives(b"first");
    let large = vec![b'x'; 1 << 20];
    arrives(&large);
    for number in 0..3 {
        cluster.kill(number);
        arrives(format!("without {number}").as_bytes());
        cluster.start_server(number);
        eventually(|| one.wire.is_connected() && two.wire.is_connected());
    }
    assert!(other.heard.lock().unwrap().is_empty(), "hubs of another log are none of theirs");

    for number in 0..3 {
        cluster.kill(number);
    }
    eventually(|| !one.wire.is_connected());
    one.wire.say(b"into nothing".to_vec());
    for number in 0..3 {
        cluster.start_server(number);
    }
    arrives(b"again");
    assert!(!two.has_heard(b"into nothing"), "nothing is said late");
}
