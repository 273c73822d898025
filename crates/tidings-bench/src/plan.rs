use std::time::Duration;

use crate::error::PlanError;
use crate::lanes::Lanes;
use crate::limits::{DURATION_MAX, SPARE_FILES, SUBSCRIBERS_PER_ADDRESS};
use crate::process;
use crate::target::Target;
use crate::template::{Template, Values};

/// A complete and checked plan of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Target of subscribe requests.
    pub subscribe: Target,
    /// Additional headers of a subscribe request, each ending in CR LF.
    pub subscribe_headers: String,
    /// Number of connections to hold.
    pub subscribers: usize,
    /// Number of them that never read.
    pub stalled: usize,
    /// Number of threads that read.
    pub threads: usize,
    /// Number of connections being opened at once.
    pub connects: usize,
    /// Number of loopback addresses to connect from; 0 leaves the choice to the system.
    pub source_addresses: usize,
    /// Whether to reconnect like an `EventSource` when a connection ends.
    pub reconnect: bool,
    /// `Last-Event-ID` of the first request.
    pub last_event_id: Option<String>,
    /// Number of topics that subscribers are spread over.
    pub topics: usize,
    /// Name of topic `{n}`.
    pub topic: Template,
    /// What to publish; `None` publishes nothing.
    pub publish: Option<Publish>,
    /// Time before measuring.
    pub warmup: Duration,
    /// Measured time.
    pub duration: Duration,
    /// Time until all must be connected.
    pub connect_timeout: Duration,
    /// Time between the last connection and the first event.
    pub settle: Duration,
    /// Time without an arrival after which missing events are lost.
    pub grace: Duration,
    /// Processes of the server, whose CPU and memory are measured.
    pub pids: Vec<u32>,
}

/// What to publish, and how.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Target of publish requests.
    pub target: Target,
    /// Method, usually `POST`.
    pub method: String,
    /// Additional headers, each ending in CR LF.
    pub headers: String,
    /// Body for one event; `{data}` is the payload.
    pub body: Template,
    /// Bytes in a payload.
    pub payload_bytes: usize,
    /// Number of connections that publish.
    pub publishers: usize,
    /// Requests in flight on each connection.
    pub pipeline: usize,
    /// Events in one request, a line each.
    pub batch: usize,
    /// Events a second over all connections; `None` sends the next when the last is answered.
    pub rate: Option<f64>,
    /// Number of topics to publish to, beginning with the first.
    pub topics: usize,
}

impl Plan {
    /// Checks bounds and combinations of fields.
    ///
    /// # Errors
    ///
    /// [`PlanError`].
    pub fn check(&self) -> Result<(), PlanError> {
        let bound = |fine: bool, name, allowed: &str| {
            let refused = || PlanError::OutOfBounds { name, allowed: allowed.to_owned() };
            fine.then_some(()).ok_or_else(refused)
        };
        bound(self.stalled <= self.subscribers, "--stalled", "at most --subscribers")?;
        bound((1..=64).contains(&self.threads), "--threads", "1 to 64")?;
        bound((1..=16_384).contains(&self.connects), "--connects", "1 to 16384")?;
        bound(self.source_addresses <= 250, "--source-addresses", "at most 250")?;
        bound(self.topics >= 1, "--topics", "at least 1")?;
        let time = self.warmup.saturating_add(self.duration);
        bound(time <= DURATION_MAX, "--duration", "a day at most")?;
        let mut publishers = 0;
        if let Some(publish) = &self.publish {
            publishers = publish.publishers;
            bound((1..=4096).contains(&publish.publishers), "--publishers", "1 to 4096")?;
            bound((1..=1024).contains(&publish.pipeline), "--pipeline", "1 to 1024")?;
            bound((1..=100_000).contains(&publish.batch), "--batch", "1 to 100000")?;
            bound(publish.payload_bytes <= 1 << 20, "--payload-bytes", "at most 1048576")?;
            let topics = 1..=self.topics;
            bound(topics.contains(&publish.topics), "--publish-topics", "1 to --topics")?;
            if let Some(rate) = publish.rate {
                bound(rate > 0.0 && rate <= 1e7, "--rate", "above 0, and 10000000 at most")?;
            }
        }
        let needed = self.subscribers + publishers + SPARE_FILES;
        match process::files_max() {
            Some(allowed) if allowed < needed => Err(PlanError::TooManyFiles { needed, allowed }),
            _ => Ok(()),
        }
    }

    /// Number of source addresses that the subscribers need if the target is on loopback.
    pub fn source_addresses_needed(subscribers: usize) -> usize {
        if subscribers < SUBSCRIBERS_PER_ADDRESS / 2 {
            return 0;
        }
        subscribers.div_ceil(SUBSCRIBERS_PER_ADDRESS / 2)
    }

    /// The name of a topic.
    pub(crate) fn topic_name(&self, number: usize) -> String {
        self.topic.text(&Values { number, ..Values::default() })
    }

    pub(crate) fn lanes(&self) -> Option<Lanes> {
        let publish = self.publish.as_ref()?;
        let run = if publish.target.path.names_topic() { publish.batch } else { 1 };
        Some(Lanes::new(publish.publishers, publish.topics, run as u64))
    }
}
