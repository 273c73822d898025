//! A notification every few seconds, of one of three severities.

use std::time::Duration;

use serde_json::json;

use super::chance::{below, one_of};
use super::{Ended, Hub};

const NOTES: &[(&str, &str)] = &[
    ("info", "Your parcel has left the depot"),
    ("info", "Maria commented on your photo"),
    ("info", "The weekly report is ready"),
    ("warning", "Your storage is nearly full"),
    ("warning", "A sign-in from a new device"),
    ("alert", "The backup did not finish"),
];

pub(super) async fn run(hub: Hub) -> Result<(), Ended> {
    loop {
        let (degree, text) = one_of(NOTES);
        let note = json!({ "text": text });
        hub.publish_as(degree, "demo/notifications", note.to_string()).await?;
        tokio::time::sleep(Duration::from_millis(3000 + below(4000) as u64)).await;
    }
}
