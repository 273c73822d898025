//! Events that are published one after the other, so that each is a block.

use std::collections::HashSet;
use std::time::Duration;

use http::{Method, StatusCode};
use tidings_testkit::transcript::Seen;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::hub::PATH;
use crate::world::{PATIENCE, World};

/// Pause after an event that was not taken.
const AGAIN: Duration = Duration::from_millis(100);

/// Publishes to all hubs in turn.
#[derive(Debug, Default)]
pub(crate) struct OneByOne {
    number: u64,
    /// Every number, acknowledged or not.
    pub(crate) published: HashSet<u64>,
}

impl OneByOne {
    /// Publishes until `count` events are acknowledged, and returns these.
    pub(crate) async fn publish(
        &mut self,
        world: &mut World,
        count: usize,
    ) -> Result<Vec<Seen>, String> {
        let mut stored = Vec::new();
        let until = Instant::now() + PATIENCE;
        while stored.len() < count {
            let hub = stored.len() % world.hubs.len();
            self.number += 1;
            self.published.insert(self.number);
            let mut client = Client::new(world.hubs[hub].address);
            let body = self.number.to_string();
            // None is repeated: a number that was given up may be stored all the same.
            match client.send(Method::POST, PATH, &[], body.clone()).await {
                Ok((StatusCode::OK, answer)) => {
                    let said: serde_json::Value =
                        serde_json::from_slice(&answer).unwrap_or_default();
                    stored.extend(Seen::parse(said["id"].as_str().unwrap_or_default(), &body));
                }
                _ if Instant::now() > until => {
                    return Err(format!("hub {hub} takes no events within {PATIENCE:?}"));
                }
                _ => {
                    world.supervise().map_err(|error| error.to_string())?;
                    sleep(AGAIN).await;
                }
            }
        }
        Ok(stored)
    }

    /// Publishes one event to `hub`, which must not take it: it must answer 503 with `Retry-After`.
    pub(crate) async fn is_turned_away(&mut self, world: &World, hub: usize) -> Result<(), String> {
        self.number += 1;
        self.published.insert(self.number);
        let mut client = Client::new(world.hubs[hub].address);
        let body = self.number.to_string().into();
        let answer = client.begin(Method::POST, PATH, &[], body);
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let answer = answer.map_err(|_| format!("hub {hub} does not answer a publisher"))?;
        let answer = answer.map_err(|failure| format!("hub {hub}, publishing: {failure:?}"))?;
        let (status, retry) = (answer.status(), answer.headers().contains_key("retry-after"));
        if status == StatusCode::SERVICE_UNAVAILABLE && retry {
            return Ok(());
        }
        Err(format!("hub {hub} answers a publisher with {status}, Retry-After: {retry}"))
    }
}
