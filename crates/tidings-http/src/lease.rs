//! How long a stream may run, where that can be prolonged while it runs.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::{constant_time, hmac, rand};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::json;
use tidings_engine::{ConnectionId, Look};
use tidings_hub::Timestamp;

/// The end of a grant, and the moment at which its streams get `tidings.expiring`, both in
/// milliseconds since 1970.
#[derive(Debug)]
pub struct Lease {
    warns_ms: AtomicU64,
    ends_ms: AtomicU64,
}

impl Lease {
    /// A lease that began at `now` and ends at `end`. Its streams get `tidings.expiring` this long
    /// `before` it ends, or when a third of the time is left, if that is later.
    pub fn new(now: Timestamp, end: Timestamp, before: Duration) -> Self {
        let lease = Self { warns_ms: AtomicU64::new(0), ends_ms: AtomicU64::new(0) };
        lease.renew(now, end, before);
        lease
    }

    /// Gives it another end.
    pub fn renew(&self, now: Timestamp, end: Timestamp, before: Duration) {
        let ends_ms = end.as_millis();
        let third = ends_ms.saturating_sub(now.as_millis()) / 3;
        let lead_ms = u64::try_from(before.as_millis()).unwrap_or(u64::MAX).min(third);
        self.warns_ms.store(ends_ms - lead_ms, Ordering::Release);
        self.ends_ms.store(ends_ms, Ordering::Release);
    }

    /// Its end.
    pub fn ends(&self) -> Timestamp {
        Timestamp::from_millis(self.ends_ms.load(Ordering::Acquire))
    }

    /// Looks at it for a stream, which `can_renew` by its handle.
    pub(crate) fn look(&self, connection: ConnectionId, now: Timestamp, can_renew: bool) -> Look {
        let ends = self.ends();
        let (now_ms, ends_ms) = (now.as_millis(), ends.as_millis());
        let warns_ms = self.warns_ms.load(Ordering::Acquire).min(ends_ms);
        if now_ms >= ends_ms {
            return Look::Ended;
        }
        if now_ms < warns_ms {
            return Look::Good { next: Timestamp::from_millis(warns_ms), block: None };
        }
        let left_ms = ends_ms - now_ms;
        // At the very end a client could do nothing about it. A clock that differs by a moment
        // would also tell a stream twice.
        let is_late = left_ms < (ends_ms - warns_ms) / 4;
        let block = (!is_late).then(|| {
            let mut data = json!({
                "expires": ends.rfc3339(),
                "in_ms": left_ms,
                "connection": connection.to_string(),
            });
            if can_renew {
                data["handle"] = handle(connection).into();
            }
            format!("event: {EXPIRING_TYPE}\ndata: {data}\n\n").into_bytes().into()
        });
        Look::Good { next: ends, block }
    }
}

/// What a client shows to renew one stream. It ends with this process.
pub fn handle(connection: ConnectionId) -> String {
    let mac = hmac::sign(&KEY, format!("renew {connection}").as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(&mac.as_ref()[..HANDLE_BYTES])
}

/// Whether `shown` is the handle of the stream.
pub fn is_handle(connection: ConnectionId, shown: &str) -> bool {
    let own = handle(connection);
    constant_time::verify_slices_are_equal(own.as_bytes(), shown.as_bytes()).is_ok()
}

static KEY: LazyLock<hmac::Key> = LazyLock::new(|| {
    let random = rand::SystemRandom::new();
    hmac::Key::generate(hmac::HMAC_SHA256, &random).expect("the system has random bytes")
});

/// The type of the event that tells a stream that its grant ends soon.
const EXPIRING_TYPE: &str = "tidings.expiring";

/// Bytes of a handle before they are encoded: as many as nobody can guess.
const HANDLE_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn look(lease: &Lease, now_ms: u64) -> (u64, bool) {
        match lease.look("00000001-1".parse().unwrap(), at(now_ms), true) {
            Look::Good { next, block } => (next.as_millis(), block.is_some()),
            Look::Ended => (0, false),
        }
    }

    #[test]
    fn a_stream_is_told_once_for_each_grant() {
        let before = Duration::from_secs(30);
        let lease = Lease::new(at(0), at(600_000), before);
        assert_eq!(look(&lease, 0), (570_000, false));
        assert_eq!(look(&lease, 570_000), (600_000, true));
        assert_eq!(look(&lease, 599_999), (600_000, false), "a clock that differs");
        assert_eq!(look(&lease, 600_000), (0, false));
        lease.renew(at(590_000), at(1_200_000), before);
        assert_eq!(look(&lease, 600_000), (1_170_000, false));
        assert_eq!(look(&lease, 1_170_000), (1_200_000, true));
    }

    #[test]
    fn a_short_grant_is_told_when_a_third_of_it_is_left() {
        let lease = Lease::new(at(1_000), at(7_000), Duration::from_secs(30));
        assert_eq!(look(&lease, 1_000), (5_000, false));
        assert_eq!(look(&lease, 5_000), (7_000, true));
    }

    #[test]
    fn a_handle_is_of_one_stream() {
        let (one, other) = ("00000001-1".parse().unwrap(), "00000001-2".parse().unwrap());
        assert!(is_handle(one, &handle(one)));
        for wrong in [handle(other), handle(one)[1..].to_owned(), String::new()] {
            assert!(!is_handle(one, &wrong), "{wrong}");
        }
    }
}
