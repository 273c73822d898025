//! `GET /metrics`: the hub's metrics in the text format of Prometheus (version 0.0.4).
//!
//! Nothing is labelled by topic, because publishers can invent any number of topics, and each would
//! be a time series forever. Request some by name, with `?topic=`.

mod authorize;
mod exposition;
mod notify;
mod process;
mod retention;

use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use tidings_engine::{Durations, Latencies, Status};
use tidings_http::Tls;
use tidings_http::answer::{self, Answer};
use tidings_http::counts::Counts;
use tidings_http::problem::Problem;
use tidings_http::query;
use tidings_http::state::State;
use tidings_hub::{Backlog, Retained, Topic};

use crate::limits::METRICS_TOPICS_MAX;
use crate::request::RequestContext;
use crate::route_counts::RouteCounts;
use crate::store_problem;

use exposition::Exposition;
use exposition::Kind::{Counter, Gauge};

/// The media type of the format, with the parameters that scrapers expect.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Requires permission to look.
pub(crate) async fn metrics(
    mut context: RequestContext<'_>,
    requests: &RouteCounts,
    started: SystemTime,
) -> Result<Answer, Problem> {
    context.require_look()?;
    let topics = context.query.take_all("topic");
    context.finish_query(["topic"])?;
    if topics.len() > METRICS_TOPICS_MAX {
        let detail = format!("ask for at most {METRICS_TOPICS_MAX} topics");
        return Err(query::bad_value("topic", detail));
    }
    let topics = topics
        .iter()
        .map(|text| Topic::new(text).map_err(|error| query::bad_value("topic", error.to_string())));
    let topics = topics.collect::<Result<Vec<_>, Problem>>()?;

    let state = context.state;
    let mut page = Exposition::default();
    subscribers(&mut page, &state.engine().status(), &state.engine().backlog().await);
    let retained = state.engine().retained();
    log(&mut page, &state.engine().status(), &retained);
    retention::write(&mut page, &retained);
    let help = "Hubs on the same log that are known, with this one.";
    let hubs = state.hubs().map_or(1, |hubs| hubs.count());
    page.one("tidings_hubs", Gauge, help, hubs as f64);
    latencies(&mut page, &state.engine().latencies());
    connections(&mut page, state.counts());
    answered(&mut page, requests);
    refusals(&mut page, state.counts());
    authorize::write(&mut page, state.auth().authorize_rules());
    notify::write(&mut page, state.notified());
    certificate(&mut page, state.config().tls.as_ref());
    of_topics(&mut page, state, &topics).await?;
    process::write(&mut page, started).await;
    let mut response = answer::whole(StatusCode::OK, CONTENT_TYPE, page.into_text());
    response
        .headers_mut()
        .insert(http::header::CACHE_CONTROL, http::header::HeaderValue::from_static("no-store"));
    Ok(Answer::Response(response))
}

fn subscribers(page: &mut Exposition, status: &Status, backlog: &Backlog) {
    let [sockets, bodies] = status.sinks;
    let help = "Subscribers connected now; socket: written by a worker itself (HTTP/1.1), body: by \
                the HTTP library (HTTP/2).";
    page.family("tidings_subscribers", Gauge, help);
    page.sample(&[("sink", "socket")], sockets as f64);
    page.sample(&[("sink", "body")], bodies as f64);
    let help = "Subscribers whose sockets are full: the peer or the network to it is slow.";
    page.one("tidings_subscribers_blocked", Gauge, help, backlog.blocked as f64);
    let help = "Subscribers that read the log.";
    page.one("tidings_subscribers_catching_up", Gauge, help, backlog.catching_up as f64);
    let help =
        "Events of the log, on any topic, between the subscriber furthest behind and the newest.";
    page.one("tidings_subscribers_lag_events_max", Gauge, help, backlog.lag_max as f64);
    let help = "Sets of subscribers with the same subscription.";
    page.one("tidings_groups", Gauge, help, backlog.groups as f64);
    let help = "Bytes of events that wait in memory for subscribers.";
    page.one("tidings_rings_bytes", Gauge, help, backlog.rings_bytes as f64);
    page.family("tidings_subscribers_closed_total", Counter, "Closed subscriptions by reason.");
    for (reason, count) in &status.closes {
        page.sample(&[("reason", reason.name())], *count as f64);
    }
    let help = "Subscribers that could not continue where they asked to, by reason.";
    page.family("tidings_resets_total", Counter, help);
    for (reason, count) in status.resets {
        page.sample(&[("reason", reason.name())], count as f64);
    }
    let help = "Events given to subscribers.";
    page.one("tidings_deliveries_total", Counter, help, status.deliveries as f64);
    let help = "Writes to subscribers; under load one carries many events.";
    page.one("tidings_writes_total", Counter, help, status.writes as f64);
    let help = "Bytes written to subscribers.";
    page.one("tidings_written_bytes_total", Counter, help, status.bytes_written as f64);
}

fn log(page: &mut Exposition, status: &Status, retained: &Retained) {
    let (first, head) = (status.bounds.first.get(), status.bounds.head.get());
    // Rules leave gaps.
    let events = match retained.rules.is_empty() {
        true => (head + 1).saturating_sub(first),
        false => retained.events(),
    };
    let help = "Events ever published to this log, restarts included.";
    page.one("tidings_published_total", Counter, help, head as f64);
    let help = "Events that retention dropped.";
    page.one("tidings_expired_total", Counter, help, head.saturating_sub(events) as f64);
    let help = "Events erased since the start.";
    page.one("tidings_erased_total", Counter, help, status.erased as f64);
    let help = "Events in the log.";
    page.one("tidings_log_events", Gauge, help, events as f64);
    page.one("tidings_log_bytes", Gauge, "Bytes that the log occupies.", status.store.bytes as f64);
    let help = "Topics that have events in the log.";
    page.one("tidings_topics", Gauge, help, status.topics as f64);
    let help = "Maximum number of topics (max-topics).";
    page.one("tidings_topics_max", Gauge, help, status.topics_max as f64);
    let failure = status.store.failure.as_ref();
    let help = "1: no events are taken at the moment.";
    page.one("tidings_store_failed", Gauge, help, f64::from(u8::from(failure.is_some())));
    let help = "Why no events are taken: 1 for the current reason.";
    page.family("tidings_store_failure", Gauge, help);
    for reason in ["full", "away", "undecided", "damaged", "poisoned"] {
        let holds = failure.is_some_and(|failure| failure.kind() == reason);
        page.sample(&[("reason", reason)], f64::from(u8::from(holds)));
    }
    let help = "Seconds for which the shared log has taken no events; 0 if it takes them.";
    let away = status.store.away.map_or(0.0, |away| away.as_secs_f64());
    page.one("tidings_store_away_seconds", Gauge, help, away);
    let following = status.following.unwrap_or_default();
    let help = "Seconds for which this hub's copy of a shared log has not reached its end.";
    page.one("tidings_store_behind_seconds", Gauge, help, following.behind.as_secs_f64());
    let help = "Blocks of a shared log that do not fit it, and that all hubs skip.";
    page.one("tidings_store_void_blocks_total", Counter, help, following.void as f64);
    let help = "Blocks that were made anew because another hub of the shared log was faster.";
    page.one("tidings_store_conflicts_total", Counter, help, following.conflicts as f64);
    let help = "Erasures of a shared log that this hub has yet to carry out in its copy.";
    page.one("tidings_store_erasures_pending", Gauge, help, following.erasures as f64);
    let help = "Failed attempts to write an index or to remove a file. Each is tried again.";
    let failures = status.store.background_failures as f64;
    page.one("tidings_store_background_failures_total", Counter, help, failures);
    let help = "1: the hub is shutting down.";
    page.one("tidings_draining", Gauge, help, f64::from(u8::from(status.draining)));
}

fn latencies(page: &mut Exposition, latencies: &Latencies) {
    let Latencies { publishes, deliveries, commits } = latencies;
    let mut histogram = |name: &'static str, help: &'static str, durations: &Durations| {
        page.histogram(name, help, durations);
    };
    let help = "From the arrival of a successful publish to its answer.";
    histogram("tidings_publish_seconds", help, publishes);
    let help = "From the first publish of a batch to the write to a worker's last live subscriber.";
    histogram("tidings_delivery_seconds", help, deliveries);
    let help = "Writing one batch to the log, as durably as configured.";
    histogram("tidings_commit_seconds", help, commits);
}

fn connections(page: &mut Exposition, counts: &Counts) {
    let help = "Open HTTP connections, without subscribers whose sockets a worker has taken over.";
    page.family("tidings_connections", Gauge, help);
    for (protocol, open, _) in counts.connections() {
        page.sample(&[("protocol", protocol)], open as f64);
    }
    let help = "HTTP connections in total since the start.";
    page.family("tidings_connections_total", Counter, help);
    for (protocol, _, accepted) in counts.connections() {
        page.sample(&[("protocol", protocol)], accepted as f64);
    }
}

fn answered(page: &mut Exposition, requests: &RouteCounts) {
    let help = "Requests answered, by route and class of status.";
    page.family("tidings_requests_total", Counter, help);
    for (route, status, count) in requests.iter() {
        page.sample(&[("route", route), ("status", status)], count as f64);
    }
}

fn refusals(page: &mut Exposition, counts: &Counts) {
    let help = "Rejected requests, by the code of the problem.";
    page.family("tidings_refusals_total", Counter, help);
    for (code, count) in counts.refusals() {
        page.sample(&[("code", code.name())], count as f64);
    }
    let help = "Subscribers asked to come back later, by reason.";
    page.family("tidings_turned_away_total", Counter, help);
    for (reason, count) in counts.rejections() {
        page.sample(&[("reason", reason.name())], count as f64);
    }
}

fn certificate(page: &mut Exposition, tls: Option<&Tls>) {
    let help = "Expiry of the current certificate.";
    page.family("tidings_tls_certificate_expiry_timestamp_seconds", Gauge, help);
    let validity = tls.and_then(Tls::validity);
    let moment = |page: &mut Exposition, time: Option<SystemTime>| {
        if let Some(time) = time {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            page.sample(&[], since.as_secs() as f64);
        }
    };
    moment(page, validity.map(|validity| validity.ends));
    let help = "Begin of the current certificate's validity.";
    page.family("tidings_tls_certificate_begin_timestamp_seconds", Gauge, help);
    moment(page, validity.map(|validity| validity.begins));
    let renewals = tls.and_then(Tls::renewals);
    let issued = renewals.map(|renewals| renewals.issued());
    let failed = renewals.map(|renewals| renewals.failed());
    let help = "Certificates ordered from an authority, by result, in total since the start.";
    page.family("tidings_acme_orders_total", Counter, help);
    for (result, count) in [("issued", issued), ("failed", failed)] {
        if let Some((count, _)) = count {
            page.sample(&[("result", result)], count as f64);
        }
    }
    let help = "Time at which a certificate was last issued.";
    page.family("tidings_acme_last_issued_timestamp_seconds", Gauge, help);
    moment(page, issued.and_then(|(_, last)| last));
    let help = "Time at which ordering a certificate last failed.";
    page.family("tidings_acme_last_failed_timestamp_seconds", Gauge, help);
    moment(page, failed.and_then(|(_, last)| last));
}

async fn of_topics(page: &mut Exposition, state: &State, topics: &[Topic]) -> Result<(), Problem> {
    if topics.is_empty() {
        return Ok(());
    }
    let subscribers = state.engine().subscribers_of(topics).await;
    page.family(
        "tidings_topic_subscribers",
        Gauge,
        "Subscribers that an event on the topic would reach.",
    );
    for (topic, count) in topics.iter().zip(subscribers) {
        page.sample(&[("topic", topic.as_str())], count as f64);
    }
    page.family("tidings_topic_events", Gauge, "Events of the topic in the log.");
    for topic in topics {
        let known = state.engine().topics(topic.as_str().to_owned(), None, 1).await;
        let known = known.map_err(|error| store_problem::not_read(&error))?;
        let known = known.first().filter(|known| known.topic == *topic);
        page.sample(&[("topic", topic.as_str())], known.map_or(0, |known| known.records) as f64);
    }
    Ok(())
}
