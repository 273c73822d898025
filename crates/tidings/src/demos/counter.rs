//! A number that grows by one each second.

use std::time::Duration;

use super::{Ended, Hub};

pub(super) async fn run(hub: Hub) -> Result<(), Ended> {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    for count in 1_u64.. {
        every.tick().await;
        hub.publish("demo/counter", count.to_string()).await?;
    }
    Ok(())
}
