//! A worker that takes jobs from one topic and tells of each on a topic of its own, which it ends.

use std::time::Duration;

use serde_json::{Value, json};

use super::request;
use super::{Ended, Hub};

const STEPS: [&str; 5] = ["fetching", "checking", "converting", "packing", "sending"];

pub(super) async fn run(hub: Hub) -> Result<(), Ended> {
    let mut jobs = hub.listen("demo/jobs")?;
    while let Some(order) = jobs.next_event().await {
        let order = order?;
        let Ok(order) = order.json::<Value>() else { continue };
        let Some(id) = order["id"].as_str() else { continue };
        if id.len() <= 40 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            tokio::spawn(work(hub.clone(), format!("demo/jobs/{id}")));
        }
    }
    Ok(())
}

async fn work(hub: Hub, topic: String) -> Result<(), Ended> {
    for percent in 0..=100 {
        let step = STEPS[(percent * STEPS.len() / 101).min(STEPS.len() - 1)];
        let progress = json!({ "percent": percent, "step": step });
        hub.publish_as("progress", &topic, progress.to_string()).await?;
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    request::end(&hub, &topic).await?;
    Ok(())
}
