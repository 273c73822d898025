//! The time, each second, as an event of the type `tick`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Ended, Hub};

pub(super) async fn run(hub: Hub) -> Result<(), Ended> {
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        // Sleep to the beginning of the next second.
        let wait = Duration::from_nanos(1_000_000_000 - u64::from(now.subsec_nanos()));
        tokio::time::sleep(wait).await;
        let millis = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        hub.publish_as("tick", "demo/clock", millis.to_string()).await?;
    }
}
