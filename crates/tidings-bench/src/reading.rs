use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use crate::clock::nanos;
use crate::head::{Head, Resume};
use crate::judge::Verdict;
use crate::latency::Latency;
use crate::limits::{POLL_EVENTS, READ_BYTES, REFUSED_WAIT, RETRY_DEFAULT, TICK};
use crate::plan::Plan;
use crate::shared::{DeadEnd, Shared};
use crate::subscriber::{EVENT_STREAM, Life, Progress, Subscriber};
use crate::template::Values;

/// A thread's share of the subscribers: opens, reads and reconnects them.
///
/// One buffer serves all; an event costs its share of a `read`, two or three `memchr` calls and a
/// histogram update, and allocates nothing. The poller is edge-triggered: a `read` that does not
/// fill the buffer has emptied the socket.
pub(crate) struct Reader {
    plan: Arc<Plan>,
    shared: Arc<Shared>,
    poll: Poll,
    subscribers: Vec<Subscriber>,
    /// Subscribers to open, by time on the run's clock.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    opening: usize,
    buffer: Vec<u8>,
    tally: Tally,
}

/// Counts of one thread.
pub(crate) struct Tally {
    /// Time from the intended time to arrival, for events that arrived in the measured time.
    pub(crate) latency: Latency,
    /// Time from the first packet to the response head, for first connections.
    pub(crate) connect: Latency,
    /// Time from the first packet to the first event.
    pub(crate) first_event: Latency,
    pub(crate) delivered: u64,
    pub(crate) duplicates: u64,
    pub(crate) late: u64,
    pub(crate) strays: u64,
    /// Failed attempts that were retried.
    pub(crate) connect_retries: u64,
    /// Connections that ended before the run did.
    pub(crate) lost: u64,
    /// Reconnections.
    pub(crate) returned: u64,
    /// Reconnections with an id, by the server's answer.
    pub(crate) resumed: u64,
    pub(crate) reset: u64,
    /// Subscribers that the server told not to reconnect.
    pub(crate) ended: u64,
    pub(crate) first_connect_ns: Option<u64>,
    pub(crate) last_connect_ns: Option<u64>,
    pub(crate) first_lost_ns: Option<u64>,
    pub(crate) last_return_ns: Option<u64>,
}

/// The result of a thread.
pub(crate) struct Read {
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) tally: Tally,
}

impl Reader {
    /// The `thread`-th share of the plan's subscribers.
    pub(crate) fn new(plan: &Arc<Plan>, shared: &Arc<Shared>, thread: usize) -> io::Result<Self> {
        let numbers = (thread..plan.subscribers).step_by(plan.threads);
        let subscribers: Vec<_> = numbers.map(|number| Subscriber::new(plan, number)).collect();
        Ok(Self {
            plan: Arc::clone(plan),
            shared: Arc::clone(shared),
            poll: Poll::new()?,
            due: (0..subscribers.len()).map(|at| Reverse((0, at))).collect(),
            subscribers,
            opening: 0,
            buffer: vec![0; READ_BYTES],
            tally: Tally::new(),
        })
    }

    /// Reads until the run is over.
    pub(crate) fn run(mut self) -> io::Result<Read> {
        let mut events = Events::with_capacity(POLL_EVENTS);
        while !self.shared.stopped() {
            self.open_due();
            match self.poll.poll(&mut events, Some(self.wait())) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                self.turn(event.token().0);
            }
        }
        Ok(Read { subscribers: self.subscribers, tally: self.tally })
    }

    fn wait(&self) -> Duration {
        match self.due.peek() {
            Some(Reverse((at, _))) if self.opening < self.plan.connects => {
                self.shared.clock.until(*at).min(TICK)
            }
            _ => TICK,
        }
    }

    fn open_due(&mut self) {
        let now_ns = self.shared.clock.now_ns();
        while self.opening < self.plan.connects
            && let Some(&Reverse((at, index))) = self.due.peek()
            && at <= now_ns
        {
            self.due.pop();
            self.opening += 1;
            self.tally.first_connect_ns.get_or_insert(now_ns);
            let interest = Interest::READABLE | Interest::WRITABLE;
            let begun = self.subscribers[index]
                .connect(&self.plan, self.shared.clock.now_ns())
                .and_then(|stream| self.poll.registry().register(stream, Token(index), interest));
            if let Err(error) = begun {
                self.not_connected(&error);
                self.failed(index, || format!("connect: {error}"));
            }
        }
    }

    /// Handles a subscriber's socket that is readable or writable.
    fn turn(&mut self, index: usize) {
        let subscriber = &mut self.subscribers[index];
        if matches!(subscriber.life, Life::Connecting(_)) {
            let topic = self.plan.topic_name(subscriber.topic);
            match subscriber.ask(&self.plan, &topic) {
                Ok(true) if subscriber.stalled => return self.stalled(index),
                Ok(_) => {}
                Err(error) => {
                    self.not_connected(&error);
                    return self.failed(index, || format!("connect: {error}"));
                }
            }
        }
        loop {
            match self.subscribers[index].read(&mut self.buffer) {
                Ok(0) => return self.gone(index),
                Ok(bytes) => {
                    if !self.arrived(index, bytes) || bytes < self.buffer.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.gone(index),
            }
        }
    }

    /// Handles bytes in the buffer; `false` if the connection is over.
    fn arrived(&mut self, index: usize, bytes: usize) -> bool {
        let now_ns = self.shared.clock.now_ns();
        let (shared, tally) = (&self.shared, &mut self.tally);
        let measured = shared.measured(now_ns);
        let (mut received, mut any) = (0, false);
        let subscriber = &mut self.subscribers[index];
        let progress = subscriber.take(&self.buffer[..bytes], &mut |judge, header| {
            any = true;
            if header.run != shared.run {
                return; // history of another run
            }
            match judge.judge(header) {
                Verdict::First => {}
                Verdict::Late => tally.late += 1,
                Verdict::Duplicate => {
                    tally.duplicates += 1;
                    return;
                }
                Verdict::Stray => {
                    tally.strays += 1;
                    return;
                }
            }
            received += 1;
            if measured {
                tally.latency.record_ns(now_ns.saturating_sub(header.intended_ns));
            }
        });
        if received > 0 {
            self.shared.received.fetch_add(received, Ordering::Relaxed);
            if measured {
                self.tally.delivered += received;
            }
        }
        if any && !subscriber.got_event {
            subscriber.got_event = true;
            self.tally.first_event.record_ns(now_ns.saturating_sub(subscriber.began_ns));
        }
        match progress {
            Progress::Going => return true,
            Progress::Opened(head) => {
                self.opened(index, &head, now_ns);
                return true;
            }
            Progress::Refused(Some(head)) if head.status == 204 => self.told_to_stay_away(index),
            Progress::Refused(head) => {
                let status = head.as_ref().map_or(0, |head| head.status);
                self.rejected(index, head.as_ref());
                self.failed(index, || format!("subscribe: status {status}"));
            }
            Progress::Ended(head) => {
                if let Some(head) = head {
                    self.opened(index, &head, now_ns);
                }
                self.gone(index);
            }
        }
        false
    }

    fn opened(&mut self, index: usize, head: &Head, now_ns: u64) {
        self.opening -= 1;
        self.shared.connected.fetch_add(1, Ordering::Relaxed);
        let subscriber = &mut self.subscribers[index];
        let tally = &mut self.tally;
        if std::mem::replace(&mut subscriber.known, true) {
            tally.returned += 1;
            tally.last_return_ns = Some(now_ns);
            match head.resume {
                Some(Resume::Resumed) => tally.resumed += 1,
                Some(Resume::Reset) => tally.reset += 1,
                Some(Resume::Live) | None => {}
            }
        } else {
            tally.connect.record_ns(now_ns - subscriber.began_ns);
            tally.last_connect_ns = Some(now_ns);
        }
    }

    /// Handles a stalled subscriber: it has sent its request and never reads the answer.
    fn stalled(&mut self, index: usize) {
        if let Some(stream) = self.subscribers[index].stream() {
            // Otherwise the thread would be woken for bytes it will not read.
            let _ = self.poll.registry().deregister(stream);
        }
        self.opening -= 1;
        self.shared.connected.fetch_add(1, Ordering::Relaxed);
    }

    /// Schedules another attempt after a failed one.
    fn failed(&mut self, index: usize, why: impl FnOnce() -> String) {
        self.shared.note_failure(why);
        self.opening -= 1;
        self.tally.connect_retries += 1;
        drop(self.subscribers[index].disconnect());
        self.due.push(Reverse((self.shared.clock.now_ns() + nanos(REFUSED_WAIT), index)));
    }

    /// Ends a run that has not begun, if nobody listens there. Later, the server may be restarting.
    fn not_connected(&self, error: &io::Error) {
        if !self.shared.any_connected() {
            self.shared.give_up(DeadEnd::of_connect(self.plan.subscribe.address, error));
        }
    }

    /// Ends a run that has not begun, if this answer to a subscriber will not change.
    fn rejected(&self, index: usize, head: Option<&Head>) {
        let request = self.request(index);
        self.give_up(match head {
            None => Some(DeadEnd::Rejected(format!("the answer to {request} is not HTTP/1.1"))),
            Some(head) if head.status == 200 => {
                let found = match head.media_type.as_str() {
                    "" => "no content type",
                    media_type => media_type,
                };
                let why = format!("the answer to {request} has {found}, not {EVENT_STREAM}");
                Some(DeadEnd::Rejected(why))
            }
            Some(head) => DeadEnd::of_status(&request, head.status),
        });
    }

    /// Ends the run unless it has begun.
    fn give_up(&self, why: Option<DeadEnd>) {
        if !self.shared.all_connected.load(Ordering::Relaxed) {
            self.shared.give_up(why);
        }
    }

    fn request(&self, index: usize) -> String {
        let topic = self.plan.topic_name(self.subscribers[index].topic);
        let values = Values { topic: &topic, number: index, ..Values::default() };
        let mut path = Vec::new();
        self.plan.subscribe.path.fill(&values, &mut path);
        format!("GET {}", String::from_utf8_lossy(&path))
    }

    /// Handles 204, after which an `EventSource` does not reconnect.
    fn told_to_stay_away(&mut self, index: usize) {
        let why = format!("{} is answered with 204: the stream has ended", self.request(index));
        self.give_up(Some(DeadEnd::Rejected(why)));
        self.opening -= 1;
        self.tally.ended += 1;
        drop(self.subscribers[index].disconnect());
        self.subscribers[index].life = Life::Over;
    }

    /// Handles the end of a connection.
    fn gone(&mut self, index: usize) {
        if !matches!(self.subscribers[index].life, Life::Open(..)) {
            return self.failed(index, || "the connection ended before the response".to_owned());
        }
        let now_ns = self.shared.clock.now_ns();
        self.shared.connected.fetch_sub(1, Ordering::Relaxed);
        self.tally.lost += 1;
        self.tally.first_lost_ns.get_or_insert(now_ns);
        let subscriber = &mut self.subscribers[index];
        drop(subscriber.disconnect());
        if self.plan.reconnect {
            let wait = subscriber.retry().unwrap_or(RETRY_DEFAULT);
            self.due.push(Reverse((now_ns + nanos(wait), index)));
        } else {
            subscriber.life = Life::Over;
            let why = "a stream ended before all subscribers were connected; see --reconnect";
            self.give_up(Some(DeadEnd::Rejected(why.to_owned())));
        }
    }
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            latency: Latency::new(),
            connect: Latency::new(),
            first_event: Latency::new(),
            delivered: 0,
            duplicates: 0,
            late: 0,
            strays: 0,
            connect_retries: 0,
            lost: 0,
            returned: 0,
            resumed: 0,
            reset: 0,
            ended: 0,
            first_connect_ns: None,
            last_connect_ns: None,
            first_lost_ns: None,
            last_return_ns: None,
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.connect.merge(&other.connect);
        self.first_event.merge(&other.first_event);
        self.delivered += other.delivered;
        self.duplicates += other.duplicates;
        self.late += other.late;
        self.strays += other.strays;
        self.connect_retries += other.connect_retries;
        self.lost += other.lost;
        self.returned += other.returned;
        self.resumed += other.resumed;
        self.reset += other.reset;
        self.ended += other.ended;
        let earlier = |one: Option<u64>, two: Option<u64>| [one, two].into_iter().flatten().min();
        self.first_connect_ns = earlier(self.first_connect_ns, other.first_connect_ns);
        self.first_lost_ns = earlier(self.first_lost_ns, other.first_lost_ns);
        self.last_connect_ns = self.last_connect_ns.max(other.last_connect_ns);
        self.last_return_ns = self.last_return_ns.max(other.last_return_ns);
    }
}
