use std::collections::HashMap;
use std::io;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::clock::nanos;
use crate::header_lines::{self, USER_AGENT};
use crate::lanes::Lanes;
use crate::latency::Latency;
use crate::limits::{POLL_EVENTS, READ_BYTES, REFUSED_WAIT, TICK, UNKNOWN_MAX};
use crate::payload::{self, Header};
use crate::plan::{Plan, Publish};
use crate::publisher::{Flight, Publisher};
use crate::shared::{DeadEnd, Shared};
use crate::template::Values;

/// The thread that publishes, over all its connections.
///
/// With a rate, events are scheduled: the `i`-th is due `i / rate` after the start, and says so in
/// its payload, however late it is really sent. Without one, the next request is sent when one is
/// answered.
pub(crate) struct Publishing {
    plan: Arc<Plan>,
    publish: Publish,
    shared: Arc<Shared>,
    lanes: Lanes,
    /// Time at which the first event is due.
    start_ns: u64,
    poll: Poll,
    publishers: Vec<Publisher>,
    topics: Vec<String>,
    buffer: Vec<u8>,
    payload: Vec<u8>,
    body: Vec<u8>,
    tally: PublishTally,
}

/// Counts of published events and their outcomes.
pub(crate) struct PublishTally {
    /// Time from the intended time to the answer, for requests answered in the measured time.
    pub(crate) latency: Latency,
    /// Events and requests acknowledged in the measured time.
    pub(crate) events: u64,
    pub(crate) requests: u64,
    /// Events rejected, or of unknown fate because the connection ended, over the whole run.
    pub(crate) unknown_events: u64,
    /// Last status that was not a success.
    pub(crate) refused_status: Option<u16>,
    /// Numbers of such events, by topic and lane, ascending.
    pub(crate) unknown: HashMap<(usize, usize), Vec<u64>>,
    /// Number of events by publisher.
    pub(crate) totals: Vec<u64>,
}

impl Publishing {
    pub(crate) fn new(
        plan: &Arc<Plan>,
        publish: &Publish,
        shared: &Arc<Shared>,
        start_ns: u64,
    ) -> io::Result<Self> {
        Ok(Self {
            lanes: plan.lanes().expect("there is something to publish"),
            plan: Arc::clone(plan),
            publish: publish.clone(),
            shared: Arc::clone(shared),
            start_ns,
            poll: Poll::new()?,
            publishers: (0..publish.publishers).map(|_| Publisher::default()).collect(),
            topics: (0..publish.topics).map(|number| plan.topic_name(number)).collect(),
            buffer: vec![0; READ_BYTES],
            payload: Vec::new(),
            body: Vec::new(),
            tally: PublishTally {
                latency: Latency::new(),
                events: 0,
                requests: 0,
                unknown_events: 0,
                refused_status: None,
                unknown: HashMap::new(),
                totals: Vec::new(),
            },
        })
    }

    /// Publishes until the run stops, then waits for the outstanding answers.
    pub(crate) fn run(mut self) -> io::Result<PublishTally> {
        let mut events = Events::with_capacity(POLL_EVENTS);
        let mut last_answers_by = None;
        loop {
            let now_ns = self.shared.clock.now_ns();
            let stopping = self.shared.stop_publishing.load(Ordering::Relaxed);
            if stopping {
                let by = *last_answers_by.get_or_insert(now_ns + nanos(self.plan.grace));
                if now_ns >= by || self.publishers.iter().all(|each| each.in_flight() == 0) {
                    break;
                }
            } else {
                (0..self.publishers.len()).for_each(|index| self.ask_due(index, now_ns));
            }
            let wait = if stopping { TICK } else { self.wait() };
            if wait < Duration::from_millis(1) && !wait.is_zero() {
                // The poller's timeout has a resolution of milliseconds, which is too coarse for a
                // schedule.
                thread::sleep(wait);
                self.poll(&mut events, Duration::ZERO)?;
            } else {
                self.poll(&mut events, Duration::from_millis(wait.as_millis() as u64))?;
            }
            for event in &events {
                let index = event.token().0;
                if event.is_writable() {
                    self.publishers[index].writable();
                }
                self.turn(index);
            }
        }
        for index in 0..self.publishers.len() {
            self.disconnect(index);
        }
        self.tally.totals = self.publishers.iter().map(|each| each.next).collect();
        self.tally.unknown.values_mut().for_each(|numbers| numbers.sort_unstable());
        Ok(self.tally)
    }

    fn poll(&mut self, events: &mut Events, wait: Duration) -> io::Result<()> {
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Time at which a publisher's next event is due; at once without a schedule.
    fn due_ns(&self, index: usize) -> u64 {
        let Some(rate) = self.publish.rate else { return 0 };
        let place =
            index as f64 + self.publishers[index].next as f64 * self.publishers.len() as f64;
        self.start_ns + (place / rate * 1e9) as u64
    }

    fn wait(&self) -> Duration {
        let free = |index: &usize| self.publishers[*index].in_flight() < self.publish.pipeline;
        let due = (0..self.publishers.len())
            .filter(free)
            .map(|index| self.due_ns(index).max(self.publishers[index].rests_until_ns));
        due.min().map_or(TICK, |ns| self.shared.clock.until(ns)).min(TICK)
    }

    /// Sends events that are due, as far as the pipeline has room.
    fn ask_due(&mut self, index: usize, now_ns: u64) {
        if self.publishers[index].rests_until_ns > now_ns {
            return;
        }
        let mut asked = false;
        while self.publishers[index].in_flight() < self.publish.pipeline {
            let intended_ns = match self.publish.rate {
                Some(_) => self.due_ns(index),
                None => self.shared.clock.now_ns(),
            };
            if intended_ns > now_ns && self.publish.rate.is_some() {
                break;
            }
            if self.publishers[index].stream().is_none() && !self.connect(index) {
                return;
            }
            self.ask(index, intended_ns);
            asked = true;
        }
        if asked && self.publishers[index].flush().is_err() {
            self.disconnect(index);
        }
    }

    fn connect(&mut self, index: usize) -> bool {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let made = TcpStream::connect(self.publish.target.address).and_then(|stream| {
            let stream = self.publishers[index].connected(stream);
            self.poll.registry().register(stream, Token(index), interest)
        });
        if let Err(error) = &made {
            self.not_connected(error);
            self.disconnect(index);
        }
        made.is_ok()
    }

    fn ask(&mut self, index: usize, intended_ns: u64) {
        let (publish, lanes, topics) = (&self.publish, self.lanes, &self.topics);
        let (payload, body) = (&mut self.payload, &mut self.body);
        let first = self.publishers[index].next;
        let events = publish.batch as u64;
        body.clear();
        let mut id = String::new();
        for k in first..first + events {
            let place = lanes.place(index, k);
            let header = Header {
                run: self.shared.run,
                lane: u32::try_from(place.lane).expect("at most the publishers"),
                number: place.number,
                intended_ns,
            };
            payload.clear();
            payload::write(header, publish.payload_bytes, payload);
            id = format!("{}-{index}-{k}", self.shared.run);
            let topic = &topics[place.topic];
            let values = Values { topic, data: payload, id: &id, number: place.topic };
            publish.body.fill(&values, body);
            if events > 1 {
                body.push(b'\n');
            }
        }
        let topic = lanes.place(index, first).topic;
        let values = Values { topic: &topics[topic], data: b"", id: &id, number: topic };
        let flight = Flight { first, events, intended_ns };
        let publisher = &mut self.publishers[index];
        publisher.next += events;
        publisher.ask(flight, |out| {
            out.extend_from_slice(publish.method.as_bytes());
            out.push(b' ');
            publish.target.path.fill(&values, out);
            write!(
                out,
                " HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{}",
                publish.target.authority,
                body.len(),
                publish.headers
            )
            .expect("a Vec takes every write");
            header_lines::push_unless_given(out, &publish.headers, "User-Agent", USER_AGENT);
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(body);
        });
    }

    /// Handles a socket that is readable or writable.
    fn turn(&mut self, index: usize) {
        let now_ns = self.shared.clock.now_ns();
        let measured = self.shared.measured(now_ns);
        let (tally, shared) = (&mut self.tally, &self.shared);
        let mut refused = Vec::new();
        let publisher = &mut self.publishers[index];
        let read = publisher.read(&mut self.buffer, &mut |answer| {
            if !(200..300).contains(&answer.status) {
                tally.refused_status = Some(answer.status);
                refused.push(answer.flight);
                if shared.published.load(Ordering::Relaxed) == 0 {
                    let request = "the first publish";
                    shared.give_up(DeadEnd::of_status(request, answer.status));
                }
                return;
            }
            shared.published.fetch_add(answer.flight.events, Ordering::Relaxed);
            if measured {
                tally.requests += 1;
                tally.events += answer.flight.events;
                tally.latency.record_ns(now_ns.saturating_sub(answer.flight.intended_ns));
            }
        });
        let flushed = publisher.flush();
        refused.into_iter().for_each(|flight| self.unknown(index, flight));
        if let Err(error) = read.and(flushed) {
            self.not_connected(&error);
            self.disconnect(index);
        }
    }

    /// Ends a run in which nothing could be published yet, if nobody listens there.
    fn not_connected(&self, error: &io::Error) {
        if self.shared.published.load(Ordering::Relaxed) == 0 {
            self.shared.give_up(DeadEnd::of_connect(self.publish.target.address, error));
        }
    }

    /// Drops a broken connection.
    fn disconnect(&mut self, index: usize) {
        for flight in self.publishers[index].disconnect() {
            self.unknown(index, flight);
        }
        let rest = self.shared.clock.now_ns() + nanos(REFUSED_WAIT);
        self.publishers[index].rests_until_ns = rest;
    }

    /// Records that the events of a request may or may not have been published.
    fn unknown(&mut self, index: usize, flight: Flight) {
        for k in flight.first..flight.first + flight.events {
            self.tally.unknown_events += 1;
            if self.tally.unknown_events <= UNKNOWN_MAX as u64 {
                let place = self.lanes.place(index, k);
                let numbers = self.tally.unknown.entry((place.topic, place.lane)).or_default();
                numbers.push(place.number);
            }
        }
    }
}
