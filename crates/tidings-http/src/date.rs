//! The `Date` of responses that the hub writes itself (RFC 9110 §6.6.1).

use std::cell::RefCell;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// Appends the time of day.
pub(crate) fn write(into: &mut Vec<u8>) {
    thread_local! {
        /// The text of a second, which all responses of that second share.
        static WRITTEN: RefCell<(u64, Vec<u8>)> = const { RefCell::new((0, Vec::new())) };
    }
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    WRITTEN.with_borrow_mut(|(of, text)| {
        if *of != second || text.is_empty() {
            text.clear();
            let _ = write!(text, "{}", HttpDate::from(now));
            *of = second;
        }
        into.extend_from_slice(text);
    });
}
