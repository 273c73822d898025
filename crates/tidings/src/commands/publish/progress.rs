//! The progress line, for people.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::input::Change;
use crate::output;

/// Counts what is sent, and draws the number on a terminal if the input takes long enough.
pub(super) struct Progress {
    started: Instant,
    ticks: Interval,
    sent: u64,
    /// Since when the hub has taken nothing, and whether that was said.
    waiting_since: Option<Instant>,
    has_complained: bool,
    is_watched: bool,
    is_quiet: bool,
    /// What was said of lines that are not published as they were read.
    changes: Vec<Change>,
    is_drawn: bool,
    /// When it was drawn last.
    drawn: Instant,
}

impl Progress {
    pub(super) fn new(is_quiet: bool) -> Self {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            started: Instant::now(),
            ticks,
            sent: 0,
            waiting_since: None,
            has_complained: false,
            // A person who types the lines needs no count.
            is_watched: !is_quiet && io::stderr().is_terminal() && !io::stdin().is_terminal(),
            is_quiet,
            changes: Vec::new(),
            is_drawn: false,
            drawn: Instant::now(),
        }
    }

    /// Counts a line.
    pub(super) fn sent(&mut self) {
        self.sent += 1;
        if self.is_watched && self.sent.is_multiple_of(LINES_PER_LOOK) {
            self.show();
        }
    }

    /// Draws how far it is, if that is worth it by now.
    pub(super) fn show(&mut self) {
        let now = Instant::now();
        let is_time = now.duration_since(self.drawn) >= TICK;
        if self.is_watched && is_time && now.duration_since(self.started) >= DRAW_AFTER {
            self.drawn = now;
            // Whether it can be drawn matters to nobody.
            let _ = write!(io::stderr(), "\r\x1b[K{} lines sent", self.sent);
            self.is_drawn = true;
        }
    }

    /// Waits for `work`, and meanwhile says how it stands.
    pub(super) async fn watch<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        self.waiting_since = None;
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.has_complained = false;
                    return done;
                }
                now = self.ticks.tick() => self.tick(now),
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        let since = *self.waiting_since.get_or_insert(now);
        if !self.has_complained && now.duration_since(since) >= COMPLAIN_AFTER {
            self.clear();
            output::remark("the hub does not take events; trying on, nothing is lost");
            self.has_complained = true;
        }
        self.show();
    }

    /// Says how many events were published.
    pub(super) fn finish(mut self) {
        self.clear();
        if !self.is_quiet {
            let took = self.started.elapsed().as_secs_f64();
            let events = if self.sent == 1 { "event" } else { "events" };
            output::remark(&format!("{} {events} published in {took:.1} s", self.sent));
        }
    }

    /// Says that lines are not published as they were read; once for each way.
    pub(super) fn changed(&mut self, line: u64, change: Change) {
        if self.changes.contains(&change) {
            return;
        }
        self.changes.push(change);
        self.clear();
        output::remark(&match change {
            Change::Replaced => format!(
                "line {line} is not UTF-8, or holds NUL: such bytes are published as U+FFFD \
                 (--strict: an error)"
            ),
            Change::Split => format!(
                "line {line} is too long for one event: it is published in parts \
                 (--strict: an error)"
            ),
        });
    }

    fn clear(&mut self) {
        if self.is_drawn {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

const TICK: Duration = Duration::from_millis(200);

/// In a flood of lines, the clock is looked at this often.
const LINES_PER_LOOK: u64 = 256;

/// Short work needs no progress line.
const DRAW_AFTER: Duration = Duration::from_secs(1);

/// How long the hub may take nothing before that is said.
const COMPLAIN_AFTER: Duration = Duration::from_secs(3);
