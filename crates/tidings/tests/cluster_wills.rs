//! Last wills at hubs on one log, over a real server of NATS: a hub is killed with SIGKILL, and the
//! others carry out what is left there, although none is started.
#![cfg(feature = "nats")]

use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::Nats;
use crate::wills::{Producer, data, is_ended};
use crate::world::{Folder, Hub, eventually};
use serde_json::Value;

/// More than the others need to notice it (8 s), and than it has to answer (20 s).
const PATIENCE: Duration = Duration::from_secs(120);

fn in_the_end(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "it does not come to hold");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Finds how many records others have added to the log, by the positions of own events.
struct Probes {
    first: u64,
    count: u64,
}

impl Probes {
    fn position(hub: &Hub) -> u64 {
        let id = hub.publish("probe", "x");
        let place = id.rsplit(':').next().unwrap();
        place.split('.').next().unwrap().parse().unwrap()
    }

    fn begin(hub: &Hub) -> Self {
        Self { first: Self::position(hub), count: 0 }
    }

    fn others(&mut self, hub: &Hub) -> u64 {
        self.count += 1;
        Self::position(hub) - self.first - self.count
    }
}

#[test]
fn the_will_at_a_hub_that_was_killed_is_carried_out_by_another_one_and_no_other_is() {
    let folder = Folder::new();
    let Some(nats) = Nats::start(&folder) else { return };
    let start = |name: &str| Hub::start(&mut nats.hub(&folder.path().join(name)));
    let [mut one, two] = ["one", "two"].map(start);
    let known = |hub: &Hub| {
        let stats: Value = serde_json::from_str(&hub.curl(&[], "/stats")).unwrap();
        stats["hubs"]["known"].as_u64()
    };
    eventually(|| known(&one) == Some(2) && known(&two) == Some(2));
    let dead = Producer::begin(&one, "run/one", "300ms");
    // It sends nothing for much longer than its will gives others, while a hub starts and one dies.
    let live = Producer::begin(&two, "run/two", "300ms");
    let mut probes = Probes::begin(&two);
    let three = start("three");
    // The hub that starts asks both others, and both answer.
    eventually(|| probes.others(&two) >= 4 && known(&two) == Some(3));
    one.process.kill();
    in_the_end(|| is_ended(&two, "run/one") && is_ended(&three, "run/one"));
    for hub in [&two, &three] {
        assert_eq!(data(hub, "run/one"), ["one", "gone"]);
        assert_eq!(data(hub, "run/two"), ["one"]);
        assert!(!is_ended(hub, "run/two"));
    }
    dead.kill();
    // It was carried out for good.
    two.publish("run/one", "again");
    live.kill();
    in_the_end(|| is_ended(&three, "run/two"));
    assert_eq!(data(&three, "run/two"), ["one", "gone"]);
    assert_eq!(data(&three, "run/one"), ["one", "gone", "again"]);
}
