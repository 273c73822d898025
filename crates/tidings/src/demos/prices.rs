//! Prices of four stocks, each on a topic of its own. They wander by chance.

use std::time::Duration;

use serde_json::json;

use super::chance::swing;
use super::{Ended, Hub};

pub(super) async fn run(hub: Hub) -> Result<(), Ended> {
    let mut prices = [("ACME", 121.40), ("BOLT", 18.25), ("CORK", 64.10), ("DUNE", 240.75)];
    let mut every = tokio::time::interval(Duration::from_millis(500));
    loop {
        every.tick().await;
        for (symbol, price) in &mut prices {
            *price = (*price * (1.0 + 0.002 * swing())).max(1.0);
            let quote = json!({ "symbol": *symbol, "price": (*price * 100.0).round() / 100.0 });
            let topic = format!("demo/prices/{symbol}");
            hub.publish(&topic, quote.to_string()).await?;
        }
    }
}
