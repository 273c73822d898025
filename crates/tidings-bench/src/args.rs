use std::time::Duration;

use clap::Args;

use crate::error::PlanError;
use crate::header_lines;
use crate::plan::{Plan, Publish};
use crate::target::Target;
use crate::template::Template;

/// Measure a server of event streams, this hub or any other.
///
/// Opens subscribers, publishes, and checks what arrives: deliveries, latency, losses, repeats,
/// order. With --pid it also reports the server's cost: CPU per delivery, memory per subscriber.
///
/// In URLs, headers and bodies, {topic} is the topic, {data} the payload, {id} an id unique to the
/// event, {n} a number.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct BenchArgs {
    /// Where to subscribe [default: /events/{topic} at TIDINGS_URL, or at http://127.0.0.1:3000]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Additional header of a subscribe request, or @FILE for those in a file; may be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Connections to hold
    #[arg(long, short = 'n', default_value_t = 100, value_name = "N")]
    pub subscribers: usize,
    /// Number of subscribers that never read
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub stalled: usize,
    /// Reconnect like an EventSource when a connection ends: after `retry`, with Last-Event-ID
    #[arg(long, alias = "restart")]
    pub reconnect: bool,
    /// Send this Last-Event-ID with the first request
    #[arg(long, value_name = "ID")]
    pub last_event_id: Option<String>,
    /// Connections opened at the same time
    #[arg(long, default_value_t = 128, hide_short_help = true, value_name = "N")]
    pub connects: usize,
    /// Threads that read
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub threads: usize,
    /// Loopback addresses to connect from [default: as many as ports require]
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub source_addresses: Option<usize>,

    /// Number of topics that the subscribers are spread over
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub topics: usize,
    /// Name of a topic
    #[arg(long, default_value = "bench-{n}", value_name = "NAME")]
    pub topic_template: String,

    /// Events a second; `max` sends the next once the last is answered; 0 publishes nothing
    #[arg(long, short, default_value = "10", value_name = "RATE")]
    pub rate: String,
    /// Where to publish [default: the subscribe URL]
    #[arg(long, value_name = "URL")]
    pub publish_url: Option<String>,
    /// Method of a publish request
    #[arg(long, default_value = "POST", value_name = "METHOD")]
    pub publish_method: String,
    /// Additional header of a publish request, or @FILE for those in a file; may be repeated
    #[arg(long = "publish-header", value_name = "NAME: VALUE")]
    pub publish_headers: Vec<String>,
    /// Body of a publish request
    #[arg(long, default_value = "{data}", value_name = "BODY")]
    pub publish_body: String,
    /// Bytes of an event's data
    #[arg(long, default_value_t = 100, value_name = "BYTES")]
    pub payload_bytes: usize,
    /// Connections that publish
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub publishers: usize,
    /// Requests in flight on each of them
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub pipeline: usize,
    /// Events in one request: the body is repeated, with a line end after each
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub batch: usize,
    /// Publish only to the first N topics [default: all]
    #[arg(long, value_name = "N")]
    pub publish_topics: Option<usize>,

    /// Seconds before measuring
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    pub warmup: f64,
    /// Seconds measured
    #[arg(long, short, default_value_t = 10.0, value_name = "SECONDS")]
    pub duration: f64,
    /// Seconds until all must be connected
    #[arg(long, default_value_t = 60.0, hide_short_help = true, value_name = "SECONDS")]
    pub connect_timeout: f64,
    /// Seconds between the last connection and the first event
    #[arg(long, default_value_t = 1.0, hide_short_help = true, value_name = "SECONDS")]
    pub settle: f64,
    /// Seconds without an arrival after which missing events are lost
    #[arg(long, default_value_t = 5.0, hide_short_help = true, value_name = "SECONDS")]
    pub grace: f64,

    /// Process of the server, including its children; may be repeated
    #[arg(long = "pid", value_name = "PID")]
    pub pids: Vec<u32>,
    /// Fail (exit code 1) on any loss, repeat, ordering fault or failed publish
    #[arg(long)]
    pub verify: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// A hub on this machine.
const URL: &str = "http://127.0.0.1:3000/events/{topic}";

const EXAMPLES: &str = "\
Examples:
  A hub on this machine, 10,000 subscribers, 10 events a second:
    tidings bench -n 10000 --rate 10 --pid \"$(pgrep -x tidings)\"

  How fast can it go: one publisher, the next event when the last is answered:
    tidings bench -n 1000 --rate max

  Durable publishes, without subscribers:
    tidings bench -n 0 --rate max --publishers 64 --payload-bytes 200

  Another server:
    tidings bench --url 'http://127.0.0.1:8080/sub/{topic}' \\
      --publish-url 'http://127.0.0.1:8080/pub/{topic}'

  A Mercure hub:
    tidings bench --url 'http://127.0.0.1:3000/.well-known/mercure?topic={topic}' \\
      --publish-url http://127.0.0.1:3000/.well-known/mercure \\
      --publish-header 'Content-Type: application/x-www-form-urlencoded' \\
      --publish-header \"Authorization: Bearer $TOKEN\" --publish-body 'topic={topic}&data={data}'
";

impl BenchArgs {
    /// Checks the arguments and makes them a plan.
    ///
    /// # Errors
    ///
    /// [`PlanError`].
    pub fn plan(&self) -> Result<Plan, PlanError> {
        let subscribe = Target::parse(self.url())?;
        let loopback = subscribe.address.ip().is_loopback();
        let source_addresses = self.source_addresses.unwrap_or_else(|| {
            if loopback { Plan::source_addresses_needed(self.subscribers) } else { 0 }
        });
        let plan = Plan {
            subscribe,
            subscribe_headers: header_lines::read(&self.headers)?,
            subscribers: self.subscribers,
            stalled: self.stalled,
            threads: self.threads,
            connects: self.connects,
            source_addresses,
            reconnect: self.reconnect,
            last_event_id: self.last_event_id.clone(),
            topics: self.topics,
            topic: Template::new(&self.topic_template),
            publish: self.publish()?,
            warmup: seconds("--warmup", self.warmup)?,
            duration: seconds("--duration", self.duration)?,
            connect_timeout: seconds("--connect-timeout", self.connect_timeout)?,
            settle: seconds("--settle", self.settle)?,
            grace: seconds("--grace", self.grace)?,
            pids: self.pids.clone(),
        };
        plan.check()?;
        Ok(plan)
    }

    fn url(&self) -> &str {
        self.url.as_deref().unwrap_or(URL)
    }

    fn publish(&self) -> Result<Option<Publish>, PlanError> {
        let rate = match self.rate.as_str() {
            "max" => None,
            text => match text.parse::<f64>() {
                Ok(0.0) => return Ok(None),
                Ok(rate) if rate > 0.0 => Some(rate),
                _ => {
                    let allowed = "events a second, or `max`".to_owned();
                    return Err(PlanError::OutOfBounds { name: "--rate", allowed });
                }
            },
        };
        Ok(Some(Publish {
            target: Target::parse(self.publish_url.as_deref().unwrap_or(self.url()))?,
            method: self.publish_method.clone(),
            headers: header_lines::read(&self.publish_headers)?,
            body: Template::new(&self.publish_body),
            payload_bytes: self.payload_bytes,
            publishers: self.publishers,
            pipeline: self.pipeline,
            batch: self.batch,
            rate,
            topics: self.publish_topics.unwrap_or(self.topics),
        }))
    }
}

fn seconds(name: &'static str, seconds: f64) -> Result<Duration, PlanError> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PlanError::OutOfBounds { name, allowed: "a number of seconds".to_owned() })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn plan(args: &[&str]) -> Result<Plan, PlanError> {
        let args = std::iter::once(&"bench").chain(args);
        Command::try_parse_from(args).expect("known flags").bench.plan()
    }

    #[test]
    fn the_flags_are_sound_and_the_defaults_make_a_plan() {
        Command::command().debug_assert();
        let plan = plan(&[]).expect("a plan");
        assert_eq!(plan.publish.expect("it publishes").rate, Some(10.0));
    }

    #[test]
    fn a_rate_may_be_max_or_zero_but_not_negative() {
        let rate = |text| {
            plan(&[&format!("--rate={text}")]).map(|plan| plan.publish.map(|each| each.rate))
        };
        assert_eq!(rate("max").expect("a plan"), Some(None));
        assert_eq!(rate("0").expect("a plan"), None);
        assert!(rate("-1").is_err() && rate("x").is_err());
    }

    #[test]
    fn a_header_with_a_line_end_is_rejected() {
        assert!(matches!(plan(&["--header", "a: b\nc: d"]), Err(PlanError::Header(_))));
    }
}
