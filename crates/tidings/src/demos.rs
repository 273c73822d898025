//! Publishers for the demo pages: what `tidings demo` runs beside the hub.
//!
//! Each is a short file that publishes by HTTP like anybody's program would; the page shows it
//! beside its own source. A publisher that fails (the hub restarts, perhaps) begins again.

mod assistant;
mod chance;
mod chat;
mod clock;
mod counter;
mod job;
mod monitor;
mod news;
mod notifications;
mod prices;
mod request;
mod scores;

use std::error::Error;
use std::time::Duration;

use tidings_client::{Event, EventSource, EventType, OpenError, Publisher};
use tidings_web::File;
use tokio::task::JoinSet;

/// The publishers' sources, for the pages to show.
pub(crate) const SOURCES: &[File] = &[
    source("/demo/assistant.rs", include_str!("demos/assistant.rs")),
    source("/demo/chat.rs", include_str!("demos/chat.rs")),
    source("/demo/clock.rs", include_str!("demos/clock.rs")),
    source("/demo/counter.rs", include_str!("demos/counter.rs")),
    source("/demo/job.rs", include_str!("demos/job.rs")),
    source("/demo/monitor.rs", include_str!("demos/monitor.rs")),
    source("/demo/news.rs", include_str!("demos/news.rs")),
    source("/demo/notifications.rs", include_str!("demos/notifications.rs")),
    source("/demo/prices.rs", include_str!("demos/prices.rs")),
    source("/demo/scores.rs", include_str!("demos/scores.rs")),
];

const fn source(path: &'static str, body: &'static str) -> File {
    File { path, content_type: "text/plain; charset=utf-8", body }
}

/// The hub the publishers publish to.
#[derive(Clone)]
struct Hub {
    /// Its address, such as `http://127.0.0.1:8080`.
    url: String,
    /// The key of the publishers, if the hub has keys.
    key: String,
    publisher: Publisher,
}

impl Hub {
    /// Listens to a topic.
    fn listen(&self, topic: &str) -> Result<EventSource, OpenError> {
        let url = format!("{}/events/{topic}", self.url);
        EventSource::builder(&url).bearer_token(&self.key).open()
    }

    /// Publishes an event of the default type, `message`.
    async fn publish(&self, topic: &str, data: impl Into<String>) -> Result<(), Ended> {
        self.publisher.publish(topic, &Event::new(data)).await?;
        Ok(())
    }

    /// Publishes an event of a type of its own.
    async fn publish_as(
        &self,
        event_type: &str,
        topic: &str,
        data: impl Into<String>,
    ) -> Result<(), Ended> {
        let mut event = Event::new(data);
        event.event_type = Some(EventType::new(event_type)?);
        self.publisher.publish(topic, &event).await?;
        Ok(())
    }
}

/// The result of a publisher's `run`, which ends only when something went wrong.
type Ended = Box<dyn Error + Send + Sync>;

/// Starts all publishers; they stop when what is returned is dropped.
///
/// # Errors
///
/// [`OpenError`] if `url` is not that of a hub.
pub(crate) fn start(url: &str, key: &str) -> Result<JoinSet<()>, OpenError> {
    // Ids of the hub's own making are shorter, and a demo event may be lost.
    let publisher = Publisher::builder(url).bearer_token(key).assign_ids(false).build()?;
    let url = url.trim_end_matches('/').to_owned();
    let hub = Hub { url, key: key.to_owned(), publisher };
    let mut tasks = JoinSet::new();
    tasks.spawn(again("assistant", hub.clone(), assistant::run));
    tasks.spawn(again("chat", hub.clone(), chat::run));
    tasks.spawn(again("clock", hub.clone(), clock::run));
    tasks.spawn(again("counter", hub.clone(), counter::run));
    tasks.spawn(again("job", hub.clone(), job::run));
    tasks.spawn(again("monitor", hub.clone(), monitor::run));
    tasks.spawn(again("news", hub.clone(), news::run));
    tasks.spawn(again("notifications", hub.clone(), notifications::run));
    tasks.spawn(again("prices", hub.clone(), prices::run));
    tasks.spawn(again("scores", hub, scores::run));
    Ok(tasks)
}

async fn again<F>(name: &'static str, hub: Hub, run: impl Fn(Hub) -> F)
where
    F: Future<Output = Result<(), Ended>>,
{
    loop {
        if let Err(error) = run(hub.clone()).await {
            tracing::debug!(demo = name, %error, "a demo publisher begins again");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
