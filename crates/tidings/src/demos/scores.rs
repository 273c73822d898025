//! Three football matches at once, a minute a second: events of the types `kickoff`, `goal` and
//! `fulltime`.

use std::time::Duration;

use serde_json::{Value, json};

use super::chance::below;
use super::{Ended, Hub};

const TEAMS: [[&str; 2]; 3] =
    [["Harbour", "Millfield"], ["Northgate", "Orchard"], ["Riverside", "Station"]];

pub(super) async fn run(hub: Hub) -> Result<(), Ended> {
    loop {
        let mut scores = [[0; 2]; TEAMS.len()];
        for [home, away] in TEAMS {
            tell(&hub, "kickoff", json!({ "home": home, "away": away, "score": [0, 0] })).await?;
        }
        for minute in 1..=90 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            for ([home, away], score) in TEAMS.iter().zip(&mut scores) {
                // Somewhat more goals than there should be.
                if below(22) == 0 {
                    score[below(2)] += 1;
                    let goal =
                        json!({ "home": home, "away": away, "score": score, "minute": minute });
                    tell(&hub, "goal", goal).await?;
                }
            }
        }
        for ([home, away], score) in TEAMS.iter().zip(&scores) {
            tell(&hub, "fulltime", json!({ "home": home, "away": away, "score": score })).await?;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

async fn tell(hub: &Hub, event_type: &str, what: Value) -> Result<(), Ended> {
    hub.publish_as(event_type, "demo/scores", what.to_string()).await
}
