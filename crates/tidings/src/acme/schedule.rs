//! When a certificate is ordered. Pure: the clock is an argument.
//!
//! A certificate is wanted when there is none, and renewed when its authority suggests it (RFC
//! 9773), or at two thirds of its lifetime. That is the *wish*. Against it stand *brakes*, so that
//! no fault makes a loop of orders, whose limits last for a week:
//!
//! - after an order, an hour; after failed ones, twice as long each time, up to a day or a tenth of
//!   the lifetime of the certificate in use;
//! - after an attempt that ended before its order (the authority is away, the disk is full), ten
//!   seconds, twice as long each time, up to an hour;
//! - the time that the authority has asked for (`Retry-After`), up to a day.
//!
//! Attempts are kept in a file, so a restart releases no brake. A clock that was wrong releases
//! none, and holds none for longer than it would last from now.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tidings_server::Validity;

/// What is known when an order is to be planned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    /// The validity of the certificate in use, if there is one.
    pub(super) certificate: Option<Validity>,
    /// When its authority wants it to be renewed.
    pub(super) suggested: Option<Window>,
    /// Where in a window this certificate is renewed, from 0 to 1: not all at the same moment.
    pub(super) spread: f64,
}

/// The time in which an authority wants a certificate to be renewed (RFC 9773 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) begins: SystemTime,
    pub(super) ends: SystemTime,
}

/// What came of the attempts so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Attempts {
    /// Begin of the last order, in seconds since 1970.
    pub(super) ordered: Option<u64>,
    /// Orders in a row that failed.
    #[serde(default)]
    pub(super) failed_orders: u32,
    /// The last attempt that ended before its order, in seconds since 1970.
    #[serde(default)]
    pub(super) tried: Option<u64>,
    /// Such attempts in a row.
    #[serde(default)]
    pub(super) failed_tries: u32,
    /// The moment before which the authority wants no order, in seconds since 1970.
    #[serde(default)]
    pub(super) not_before: Option<u64>,
}

impl Plan {
    /// When the next order is due; not after `now` if it is due already.
    pub(super) fn due(&self, attempts: &Attempts, now: SystemTime) -> SystemTime {
        self.wish(now).max(attempts.brake(self.certificate, now))
    }

    /// When the certificate should be renewed, whatever has been tried.
    pub(super) fn wish(&self, now: SystemTime) -> SystemTime {
        let Some(Validity { begins, ends }) = self.certificate else { return now };
        let lifetime = ends.duration_since(begins).unwrap_or_default();
        // A window that ends after the certificate is a mistake.
        if let Some(window) = self.suggested.filter(|window| window.ends <= ends) {
            let length = window.ends.duration_since(window.begins).unwrap_or_default();
            // A window up to the end leaves no time for a second attempt.
            let latest = window.begins.max(begins + lifetime * 5 / 6);
            return (window.begins + length.mul_f64(self.spread)).min(latest);
        }
        begins + lifetime * 2 / 3 + (lifetime / 24).mul_f64(self.spread)
    }
}

impl Attempts {
    /// An order begins. Kept before it is sent, so that it counts whatever becomes of it.
    pub(super) fn begin_order(&mut self, now: SystemTime) {
        self.ordered = Some(seconds(now));
    }

    /// A certificate was issued.
    pub(super) fn succeed(&mut self) {
        *self = Self { ordered: self.ordered, ..Self::default() };
    }

    /// An order failed.
    pub(super) fn fail_order(&mut self) {
        self.failed_orders = self.failed_orders.saturating_add(1);
        (self.tried, self.failed_tries) = (None, 0);
    }

    /// An attempt ended before there was an order, or before it was decided.
    pub(super) fn fail_try(&mut self, now: SystemTime) {
        self.tried = Some(seconds(now));
        self.failed_tries = self.failed_tries.saturating_add(1);
    }

    /// The earliest next attempt at an order that is under way already.
    pub(super) fn resume_due(&self, now: SystemTime) -> SystemTime {
        let pause = doubled(TRY_PAUSE, self.failed_tries);
        after(self.tried, pause, now).max(self.asked(now))
    }

    fn brake(&self, certificate: Option<Validity>, now: SystemTime) -> SystemTime {
        let lifetime = certificate.map_or(Duration::MAX, |validity| validity.lifetime());
        let max = ORDER_PAUSE.1.min(lifetime / 10).max(ORDER_PAUSE.0);
        let pause = doubled((ORDER_PAUSE.0, max), self.failed_orders.max(1));
        after(self.ordered, pause, now).max(self.resume_due(now))
    }

    /// The moment that the authority has asked for.
    fn asked(&self, now: SystemTime) -> SystemTime {
        self.not_before.map_or(UNIX_EPOCH, |moment| at(moment).min(now + RETRY_AFTER_MAX))
    }
}

/// `pause` after the moment, which cannot be later than now, whatever the clock was then.
fn after(moment: Option<u64>, pause: Duration, now: SystemTime) -> SystemTime {
    moment.map_or(UNIX_EPOCH, |moment| at(moment).min(now) + pause)
}

/// The first pause, doubled with each failure but the first, up to the second.
fn doubled((first, max): (Duration, Duration), failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(max)
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(UNIX_EPOCH)
}

/// Pause after an order, first and maximum: it doubles when orders fail.
const ORDER_PAUSE: (Duration, Duration) =
    (Duration::from_secs(3600), Duration::from_secs(24 * 3600));

/// Pause after an attempt that ended before its order, first and maximum: it doubles.
const TRY_PAUSE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3600));

/// Longest time that an authority can put off an order.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn start() -> SystemTime {
        at(1_800_000_000)
    }

    fn validity(begins: SystemTime, lifetime: Duration) -> Validity {
        Validity { begins, ends: begins + lifetime }
    }

    /// An authority, and the clock that goes on to the next moment at which something is due.
    struct World {
        now: SystemTime,
        plan: Plan,
        attempts: Attempts,
        orders: Vec<SystemTime>,
    }

    impl World {
        fn new(spread: f64) -> Self {
            let plan = Plan { spread, ..Plan::default() };
            Self { now: start(), plan, attempts: Attempts::default(), orders: Vec::new() }
        }

        /// Runs for `length`; `answer` says what an order at a time gives.
        fn run(
            &mut self,
            length: Duration,
            mut answer: impl FnMut(SystemTime) -> Option<Validity>,
        ) {
            let end = self.now + length;
            loop {
                let due = self.plan.due(&self.attempts, self.now).max(self.now);
                if due > end {
                    self.now = end;
                    return;
                }
                // As the process would: it looks, and its file may be read again by another one.
                let kept = serde_json::to_string(&self.attempts).unwrap();
                self.attempts = serde_json::from_str(&kept).unwrap();
                self.now = due;
                self.orders.push(due);
                self.attempts.begin_order(due);
                match answer(due) {
                    Some(issued) => {
                        self.attempts.succeed();
                        self.plan.certificate = Some(issued);
                    }
                    None => self.attempts.fail_order(),
                }
            }
        }

        fn shortest_gap(&self) -> Duration {
            let gaps = self.orders.windows(2).map(|two| two[1].duration_since(two[0]).unwrap());
            gaps.min().unwrap_or(Duration::MAX)
        }
    }

    #[test]
    fn in_400_days_each_certificate_is_renewed_between_two_thirds_and_three_quarters_of_its_life() {
        for days in [6, 45, 90] {
            let lifetime = DAY * days;
            for spread in [0.0, 0.3, 0.999] {
                let mut world = World::new(spread);
                world.run(DAY * 400, |now| Some(validity(now - HOUR, lifetime)));
                let orders = &world.orders;
                assert_eq!(orders[0], start(), "the first one at once");
                for two in orders.windows(2) {
                    let age = two[1].duration_since(two[0]).unwrap() + HOUR;
                    let part = age.as_secs_f64() / lifetime.as_secs_f64();
                    assert!((0.66..0.75).contains(&part), "{days} days: {part}");
                }
                let expected = 400.0 / (f64::from(days) * 0.75);
                assert!(orders.len() as f64 > expected, "{days} days: {}", orders.len());
            }
        }
    }

    #[test]
    fn an_authority_that_is_away_for_days_does_not_let_a_certificate_expire() {
        for days in [6, 45, 90] {
            let lifetime = DAY * days;
            let outage = lifetime / 6;
            let mut world = World::new(0.5);
            let renewal = start() + lifetime * 2 / 3;
            world.run(DAY * 400, |now| {
                let is_away = now >= renewal && now < renewal + outage;
                (!is_away).then(|| validity(now, lifetime))
            });
            let after = world.orders.iter().find(|order| **order >= renewal + outage).unwrap();
            assert!(*after < start() + lifetime, "{days} days");
            assert!(world.shortest_gap() >= HOUR);
        }
    }

    #[test]
    fn nothing_that_an_authority_or_a_clock_does_makes_orders_come_faster_than_one_an_hour() {
        type Answer = fn(SystemTime) -> Option<Validity>;
        let cases: [(&str, Answer); 5] = [
            ("every order fails", |_| None),
            ("every certificate has expired", |now| Some(validity(now - DAY * 40, DAY * 6))),
            ("every certificate lasts a minute", |now| {
                Some(validity(now, Duration::from_secs(60)))
            }),
            ("every certificate ends before it begins", |now| {
                Some(Validity { begins: now, ends: now - DAY })
            }),
            ("every certificate begins in a month", |now| Some(validity(now + DAY * 30, DAY * 6))),
        ];
        for (name, answer) in cases {
            let mut world = World::new(0.0);
            world.run(DAY * 400, answer);
            assert!(world.shortest_gap() >= HOUR, "{name}");
        }
        let mut failing = World::new(0.0);
        failing.run(DAY * 30, |_| None);
        assert!(failing.orders.len() < 40, "a day after the first ones: {}", failing.orders.len());
    }

    #[test]
    fn a_clock_that_jumps_releases_no_brake_and_holds_none_for_ever() {
        for jump in [DAY * 40, HOUR, Duration::ZERO] {
            let mut world = World::new(0.0);
            world.run(HOUR / 2, |_| None);
            assert_eq!(world.orders.len(), 1);
            // Backwards: the order seems to be in the future.
            world.now = world.now - jump - HOUR;
            let due = world.plan.due(&world.attempts, world.now);
            assert_eq!(due, world.now + HOUR, "back by {jump:?}");
        }
        let mut world = World::new(0.0);
        world.run(HOUR, |now| Some(validity(now, DAY * 6)));
        world.now += DAY * 40;
        let due = world.plan.due(&world.attempts, world.now);
        assert!(due <= world.now, "what has expired is renewed at once");
    }

    #[test]
    fn an_authority_may_say_when_to_renew_and_when_not_to_ask() {
        let certificate = Some(validity(start(), DAY * 90));
        let begins = start() + DAY * 10;
        let window = Window { begins, ends: begins + DAY * 2 };
        let plan = Plan { certificate, suggested: Some(window), spread: 0.5 };
        assert_eq!(plan.due(&Attempts::default(), start()), begins + DAY);
        // As when it has revoked the certificate.
        let past = Window { begins: start() - DAY, ends: start() - HOUR };
        let plan = Plan { suggested: Some(past), ..plan };
        assert!(plan.due(&Attempts::default(), start()) <= start());
        // A window after the end of the certificate is no help.
        let late = Window { begins: start() + DAY * 80, ends: start() + DAY * 100 };
        let plan = Plan { suggested: Some(late), spread: 0.0, ..plan };
        assert_eq!(plan.due(&Attempts::default(), start()), start() + DAY * 60);

        // One up to its very end leaves time for another attempt.
        let wide = Window { begins: start() + DAY * 30, ends: start() + DAY * 90 };
        let plan = Plan { suggested: Some(wide), spread: 0.999, ..plan };
        assert_eq!(plan.due(&Attempts::default(), start()), start() + DAY * 75);

        let first = Plan::default();
        let asked = |wait: Duration| {
            let not_before = Some(seconds(start() + wait));
            first.due(&Attempts { not_before, ..Attempts::default() }, start())
        };
        assert_eq!(asked(HOUR * 3), start() + HOUR * 3);
        assert_eq!(asked(DAY * 900), start() + DAY, "but it is asked again each day");
    }

    #[test]
    fn an_attempt_without_an_order_is_repeated_sooner_and_less_and_less_often() {
        let mut attempts = Attempts::default();
        let mut pauses = Vec::new();
        let mut now = start();
        for _ in 0..12 {
            attempts.fail_try(now);
            let due = Plan::default().due(&attempts, now);
            pauses.push(due.duration_since(now).unwrap().as_secs());
            now = due;
        }
        assert_eq!(pauses[..5], [10, 20, 40, 80, 160]);
        assert_eq!(pauses[11], 3600);
        attempts.begin_order(now);
        attempts.fail_order();
        assert_eq!(Plan::default().due(&attempts, now), now + HOUR);
        attempts.succeed();
        assert_eq!(Plan::default().due(&attempts, now), now + HOUR);
    }
}
