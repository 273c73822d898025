//! Headlines, each an event with JSON in it.

use std::time::Duration;

use serde_json::json;

use super::chance::{below, one_of};
use super::{Ended, Hub};

const SECTIONS: &[(&str, &[&str])] = &[
    ("Town", &["The library", "The night bus", "The market hall", "The old bridge"]),
    (
        "Science",
        &["A small comet", "The tide station", "A bell-shaped fossil", "The new telescope"],
    ),
    ("Sports", &["The rowing club", "The chess team", "The marathon", "The harbour swim"]),
];
const WHAT: &[&str] = &[
    "opens an hour earlier from Monday",
    "draws a larger crowd than last year",
    "is delayed by fog, and nobody minds",
    "wins a prize for doing one thing well",
    "returns after a long absence",
];

pub(super) async fn run(hub: Hub) -> Result<(), Ended> {
    loop {
        let (section, subjects) = one_of(SECTIONS);
        let title = format!("{} {}", one_of(subjects), one_of(WHAT));
        let item = json!({ "section": section, "title": title });
        hub.publish("demo/news", item.to_string()).await?;
        tokio::time::sleep(Duration::from_millis(2500 + below(2500) as u64)).await;
    }
}
