use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::nanos;
use crate::error::RunError;
use crate::limits::TICK;
use crate::plan::Plan;
use crate::process::{self, Sample};
use crate::publishing::{PublishTally, Publishing};
use crate::reading::{Read, Reader, Tally};
use crate::report::{Connect, Deliveries, Percentiles, Process, Published, Report, Returns};
use crate::shared::Shared;

/// Runs `plan` and reports the result. Once a second the status is written to `progress`, over one
/// line.
///
/// # Errors
///
/// [`RunError`] if the system or the server does not let the run begin. Later failures are in the
/// report.
pub fn run(plan: Plan, progress: Option<&mut dyn Write>) -> Result<Report, RunError> {
    let plan = Arc::new(plan);
    let shared = Arc::new(Shared::new(run_number()));
    let mut watch = Watch { shared: Arc::clone(&shared), progress, next_ns: 0, earlier: (0, 0, 0) };
    let before = process::sample(&plan.pids);

    let readers = start_readers(&plan, &shared)?;
    let outcome = measure(&plan, &shared, &mut watch);
    shared.stop.store(true, Ordering::Relaxed);
    let mut tally = Tally::new();
    let mut subscribers = Vec::new();
    for reader in readers {
        let read = reader.join().expect("a reader does not panic")?;
        tally.merge(&read.tally);
        subscribers.extend(read.subscribers);
    }
    watch.clear();
    let measured = outcome?;

    let losses = match (&measured.published, plan.lanes()) {
        (Some(published), Some(lanes)) => {
            let total = |publisher: usize| published.totals[publisher];
            let none = Vec::new();
            let lost = |subscriber: &crate::subscriber::Subscriber| -> u64 {
                let topic = subscriber.topic;
                let per_lane = |lane| {
                    let unknown = published.unknown.get(&(topic, lane)).unwrap_or(&none);
                    let all = lanes.published(topic, lane, total);
                    subscriber.judge.losses(lane, all, unknown)
                };
                (0..lanes.per_topic()).map(per_lane).sum()
            };
            subscribers.iter().filter(|each| !each.stalled).map(lost).sum()
        }
        _ => 0,
    };
    Ok(report(&plan, &tally, &measured, losses, before))
}

/// Measurements from outside the readers.
struct Measured {
    connected: usize,
    published: Option<PublishTally>,
    expected: u64,
    drain: Duration,
    /// Samples with all connected, and at the beginning and the end of the measured time.
    idle: Option<Sample>,
    from: Option<Sample>,
    to: Option<Sample>,
    own_cpu: Option<Duration>,
}

fn start_readers(
    plan: &Arc<Plan>,
    shared: &Arc<Shared>,
) -> Result<Vec<JoinHandle<std::io::Result<Read>>>, RunError> {
    let mut readers = Vec::new();
    for thread in 0..plan.threads {
        let reader = Reader::new(plan, shared, thread)?;
        let name = format!("bench-read-{thread}");
        let spawned = thread::Builder::new().name(name).spawn(move || reader.run());
        readers.push(spawned.inspect_err(|_| shared.stop.store(true, Ordering::Relaxed))?);
    }
    Ok(readers)
}

fn measure(
    plan: &Arc<Plan>,
    shared: &Arc<Shared>,
    watch: &mut Watch<'_>,
) -> Result<Measured, RunError> {
    let deadline = shared.clock.now_ns() + nanos(plan.connect_timeout);
    let connected = || shared.connected.load(Ordering::Relaxed);
    while connected() < plan.subscribers {
        if shared.clock.now_ns() > deadline {
            return Err(RunError::NotConnected {
                connected: connected(),
                wanted: plan.subscribers,
                waited: plan.connect_timeout,
                last: shared.last_failure(),
            });
        }
        watch.sleep("connecting", TICK / 10)?;
    }
    let connected = connected();
    shared.all_connected.store(true, Ordering::Relaxed);
    watch.sleep("settling", plan.settle)?;
    let idle = process::sample(&plan.pids);

    let start_ns = shared.clock.now_ns() + nanos(Duration::from_millis(5));
    let from_ns = start_ns + nanos(plan.warmup);
    let to_ns = from_ns + nanos(plan.duration);
    shared.set_window(from_ns, to_ns);
    let publishing = match &plan.publish {
        Some(publish) => {
            let publishing = Publishing::new(plan, publish, shared, start_ns)?;
            let name = "bench-publish".to_owned();
            Some(thread::Builder::new().name(name).spawn(move || publishing.run())?)
        }
        None => None,
    };
    watch.sleep_until("warming up", from_ns)?;
    let (from, own_from) = (process::sample(&plan.pids), process::own_cpu());
    watch.sleep_until("measuring", to_ns)?;
    let (to, own_to) = (process::sample(&plan.pids), process::own_cpu());

    shared.stop_publishing.store(true, Ordering::Relaxed);
    let published = match publishing {
        Some(thread) => Some(thread.join().expect("the publisher does not panic")?),
        None => None,
    };
    let stopped_ns = shared.clock.now_ns();
    let expected = published.as_ref().map_or(0, |published| expected(plan, published));
    let last_ns = watch.drain(plan, expected);
    Ok(Measured {
        connected,
        published,
        expected,
        drain: Duration::from_nanos(last_ns.saturating_sub(stopped_ns)),
        idle,
        from,
        to,
        own_cpu: own_to.zip(own_from).map(|(to, from)| to.saturating_sub(from)),
    })
}

/// Number of deliveries expected from events of known fate.
fn expected(plan: &Plan, published: &PublishTally) -> u64 {
    let Some(lanes) = plan.lanes() else { return 0 };
    let mut readers: HashMap<usize, u64> = HashMap::new();
    for number in 0..plan.subscribers - plan.stalled {
        *readers.entry(number % plan.topics).or_default() += 1;
    }
    let events = |topic: usize| -> u64 {
        let per_lane = |lane| {
            let unknown = published.unknown.get(&(topic, lane)).map_or(0, Vec::len) as u64;
            lanes.published(topic, lane, |publisher| published.totals[publisher]) - unknown
        };
        (0..lanes.per_topic()).map(per_lane).sum()
    };
    readers.into_iter().map(|(topic, readers)| readers * events(topic)).sum()
}

fn report(
    plan: &Plan,
    tally: &Tally,
    measured: &Measured,
    losses: u64,
    before: Option<Sample>,
) -> Report {
    let seconds = plan.duration.as_secs_f64();
    let events = measured.published.as_ref().map_or(0, |published| published.events);
    let connecting = tally.first_connect_ns.zip(tally.last_connect_ns);
    let connect_seconds = connecting.map_or(0.0, |(from, to)| to.saturating_sub(from) as f64 / 1e9);
    let deliveries = measured.published.is_some() && plan.subscribers > plan.stalled;
    Report {
        server: format!("http://{}{}", plan.subscribe.authority, plan.subscribe.path),
        seconds,
        connect: Connect {
            subscribers: measured.connected,
            stalled: plan.stalled,
            per_second: tally.connect.count() as f64 / connect_seconds.max(1e-3),
            ms: Percentiles::of(&tally.connect),
            retries: tally.connect_retries,
            lost: tally.lost,
            ended: tally.ended,
        },
        publish: measured.published.as_ref().map(|published| Published {
            requests: published.requests,
            events: published.events,
            requests_per_second: published.requests as f64 / seconds,
            events_per_second: published.events as f64 / seconds,
            ms: Percentiles::of(&published.latency),
            unknown: published.unknown_events,
            refused_status: published.refused_status,
        }),
        deliveries: deliveries.then(|| Deliveries {
            count: tally.delivered,
            per_second: tally.delivered as f64 / seconds,
            ms: Percentiles::of(&tally.latency),
            expected: measured.expected,
            losses,
            duplicates: tally.duplicates,
            order_faults: tally.late,
            strays: tally.strays,
            drain_seconds: measured.drain.as_secs_f64(),
        }),
        returns: plan.reconnect.then(|| Returns {
            lost: tally.lost,
            returned: tally.returned,
            resumed: tally.resumed,
            reset: tally.reset,
            seconds: tally
                .first_lost_ns
                .zip(tally.last_return_ns)
                .map(|(from, to)| to.saturating_sub(from) as f64 / 1e9),
        }),
        first_event_ms: plan.last_event_id.as_ref().map(|_| Percentiles::of(&tally.first_event)),
        process: process(plan, tally, measured, events, before),
        generator_cores: measured.own_cpu.map(|cpu| cpu.as_secs_f64() / seconds),
    }
}

fn process(
    plan: &Plan,
    tally: &Tally,
    measured: &Measured,
    events: u64,
    before: Option<Sample>,
) -> Option<Process> {
    let (before, idle) = (before?, measured.idle?);
    // A restarted server has new processes: then there is no difference to calculate.
    let (from, to) = (measured.from.unwrap_or(idle), measured.to.unwrap_or(idle));
    let cpu_us = to.cpu.saturating_sub(from.cpu).as_secs_f64() * 1e6;
    let per = |count: u64| (count > 0).then(|| cpu_us / count as f64);
    let growth = idle.memory_bytes as f64 - before.memory_bytes as f64;
    Some(Process {
        cpu_cores: cpu_us / 1e6 / plan.duration.as_secs_f64(),
        cpu_us_per_delivery: per(tally.delivered),
        cpu_us_per_event: per(events),
        memory_before_bytes: before.memory_bytes,
        memory_connected_bytes: idle.memory_bytes,
        memory_end_bytes: to.memory_bytes,
        memory_per_subscriber_bytes: (measured.connected > 0)
            .then(|| growth / measured.connected as f64),
    })
}

/// Shows progress while waiting.
struct Watch<'a> {
    shared: Arc<Shared>,
    progress: Option<&'a mut dyn Write>,
    next_ns: u64,
    /// Time, received and published at the last line.
    earlier: (u64, u64, u64),
}

impl Watch<'_> {
    fn sleep(&mut self, doing: &str, time: Duration) -> Result<(), RunError> {
        self.sleep_until(doing, self.shared.clock.now_ns() + nanos(time))
    }

    /// Waits; an error at once if there is nothing to wait for.
    fn sleep_until(&mut self, doing: &str, ns: u64) -> Result<(), RunError> {
        loop {
            if let Some(dead_end) = self.shared.dead_end() {
                // The publisher's thread may be running; it ends by itself.
                self.shared.stop_publishing.store(true, Ordering::Relaxed);
                return Err(dead_end.into());
            }
            self.speak(doing);
            let left = self.shared.clock.until(ns);
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(TICK));
        }
    }

    /// Waits until everything has arrived or nothing more does. Returns the time of the last
    /// arrival.
    fn drain(&mut self, plan: &Plan, expected: u64) -> u64 {
        let received = |watch: &Self| watch.shared.received.load(Ordering::Relaxed);
        let mut last_ns = self.shared.clock.now_ns();
        let mut seen = received(self);
        while seen < expected && self.shared.clock.now_ns() < last_ns + nanos(plan.grace) {
            self.speak("draining");
            thread::sleep(Duration::from_millis(1));
            let now = received(self);
            if now > seen {
                seen = now;
                last_ns = self.shared.clock.now_ns();
            }
        }
        last_ns
    }

    fn speak(&mut self, doing: &str) {
        let now_ns = self.shared.clock.now_ns();
        let Some(out) = &mut self.progress else { return };
        if now_ns < self.next_ns {
            return;
        }
        self.next_ns = now_ns + 1_000_000_000;
        let received = self.shared.received.load(Ordering::Relaxed);
        let published = self.shared.published.load(Ordering::Relaxed);
        let (then_ns, received_then, published_then) = self.earlier;
        let seconds = (now_ns - then_ns).max(1) as f64 / 1e9;
        self.earlier = (now_ns, received, published);
        let line = format!(
            "{doing}: {} subscribers, {:.0} events/s, {:.0} deliveries/s",
            self.shared.connected.load(Ordering::Relaxed),
            (published - published_then) as f64 / seconds,
            (received - received_then) as f64 / seconds,
        );
        let _ = write!(out, "\r\x1b[K{line}").and_then(|()| out.flush());
    }

    fn clear(&mut self) {
        if let Some(out) = &mut self.progress {
            let _ = write!(out, "\r\x1b[K").and_then(|()| out.flush());
        }
    }
}

/// A number that another run on the same server is unlikely to have.
fn run_number() -> u32 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (time.subsec_nanos() ^ (time.as_secs() as u32).rotate_left(16)).wrapping_add(std::process::id())
}
