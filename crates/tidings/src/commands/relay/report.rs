//! What a relay says on standard error while it runs.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tidings_client::{EventId, Item, MessageEvent};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::TICK;
use crate::output;
use crate::upstream::ConnectionReport;

/// The counters, and when they are reported.
pub(super) struct Report {
    pub(super) received: u64,
    pub(super) published: u64,
    pub(super) duplicates: u64,
    pub(super) left_out: u64,
    pub(super) last_id: Option<EventId>,
    connection: ConnectionReport,
    started: Instant,
    ticks: Interval,
    is_drawn_over: bool,
    has_line: bool,
    every: Duration,
    said: Instant,
    received_then: u64,
    has_complained: bool,
}

impl Report {
    pub(super) fn new(is_quiet: bool, every: Option<Duration>) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let usual = if is_terminal { EVERY_ON_A_TERMINAL } else { EVERY };
        let now = Instant::now();
        Self {
            received: 0,
            published: 0,
            duplicates: 0,
            left_out: 0,
            last_id: None,
            connection: ConnectionReport::new(is_quiet),
            started: now,
            ticks: ticks(),
            is_drawn_over: is_terminal,
            has_line: false,
            every: every.unwrap_or(usual),
            said: now,
            received_then: 0,
            has_complained: false,
        }
    }

    /// Ready after a moment; says how it stands if it is time, and if the hub has been asked to
    /// store something for too long.
    pub(super) async fn tick(&mut self, asked: Option<Instant>) {
        let now = self.ticks.tick().await;
        let is_slow = asked.is_some_and(|asked| now.duration_since(asked) >= COMPLAIN_AFTER);
        if is_slow && !self.has_complained {
            self.say("the hub does not take events; trying on, nothing is lost");
            self.has_complained = true;
        } else if !is_slow && std::mem::take(&mut self.has_complained) {
            self.say("the hub takes events again");
        }
        self.look();
    }

    /// Reports an item that is not an event.
    pub(super) fn tell(&mut self, item: &Item) {
        self.clear();
        self.connection.tell(item);
    }

    /// Reports if the upstream has lost events.
    pub(super) fn tell_reset(&mut self, event: &MessageEvent) {
        self.connection.tell_reset(event);
    }

    /// Reports if the token for the upstream expires; says whether it was that.
    pub(super) fn tell_expiring(&mut self, event: &MessageEvent) -> bool {
        self.connection.tell_expiring(event)
    }

    pub(super) fn say(&mut self, text: &str) {
        self.clear();
        self.connection.remark(text);
    }

    /// Says what the operator must know, also with `--quiet`: an event is left out, or has another
    /// id than the upstream gave it.
    pub(super) fn warn(&mut self, text: &str) {
        self.clear();
        output::remark(text);
    }

    /// The last word.
    pub(super) fn finish(&mut self) {
        let line = self.line(self.received, self.started.elapsed());
        self.say(&line);
    }

    /// Says how it stands, if it is time.
    pub(super) fn look(&mut self) {
        let now = Instant::now();
        let past = now.duration_since(self.said);
        if self.connection.is_quiet || past < self.every {
            return;
        }
        let new = self.received - self.received_then;
        (self.said, self.received_then) = (now, self.received);
        if self.is_drawn_over {
            // Whether it can be drawn matters to nobody.
            let _ = write!(io::stderr(), "\r\x1b[K{}", self.line(new, past));
            self.has_line = true;
        } else if new > 0 {
            output::remark(&self.line(new, past));
        }
    }

    fn line(&self, new: u64, past: Duration) -> String {
        let rate = new as f64 / past.as_secs_f64().max(f64::MIN_POSITIVE);
        let mut line = format!("relayed {} events ({rate:.0}/s)", self.published);
        for (count, what) in [
            (self.duplicates, "were there before"),
            (self.left_out, "left out"),
            (self.connection.reconnections, "reconnections"),
        ] {
            if count > 0 {
                line.push_str(&format!(", {count} {what}"));
            }
        }
        if let Some(id) = &self.last_id {
            // A sender of ids must not be able to control the terminal.
            line.push_str(&format!(", last {:?}", id.as_str()));
        }
        line
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.has_line) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

const EVERY: Duration = Duration::from_secs(60);
const EVERY_ON_A_TERMINAL: Duration = Duration::from_secs(1);

/// How long the hub may take nothing before that is said.
const COMPLAIN_AFTER: Duration = Duration::from_secs(3);
