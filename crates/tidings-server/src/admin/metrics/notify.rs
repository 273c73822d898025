//! What receivers were told. A receiver is named by its number in the configuration.

use tidings_http::notify::ReceiverCounts;

use super::exposition::Exposition;
use super::exposition::Kind::{Counter, Gauge};

pub(super) fn write<'a>(
    page: &mut Exposition,
    receivers: impl Iterator<Item = (&'a ReceiverCounts, usize)>,
) {
    let receivers: Vec<_> = receivers.enumerate().collect();
    let receivers = || receivers.iter().map(|(place, one)| ((place + 1).to_string(), one));
    let help = "Messages to receivers of what happens to connections: accepted, given up \
                (dropped), and attempts that failed.";
    page.family("tidings_notify_messages_total", Counter, help);
    for (number, (counts, _)) in receivers() {
        for (outcome, count) in counts.messages() {
            page.sample(&[("receiver", &number), ("outcome", outcome)], count as f64);
        }
    }
    let help = "Facts that a receiver was never told: too many waited, or it refused them.";
    page.family("tidings_notify_lost_total", Counter, help);
    for (number, (counts, _)) in receivers() {
        page.sample(&[("receiver", &number)], counts.lost() as f64);
    }
    let help = "Facts that wait for a receiver.";
    page.family("tidings_notify_waiting", Gauge, help);
    for (number, (_, waiting)) in receivers() {
        page.sample(&[("receiver", &number)], *waiting as f64);
    }
    let help = "1: the receiver has said that it is gone (410); nothing is sent to it.";
    page.family("tidings_notify_off", Gauge, help);
    for (number, (counts, _)) in receivers() {
        page.sample(&[("receiver", &number)], f64::from(u8::from(counts.is_off())));
    }
}
