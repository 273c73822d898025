//! What became of the questions to backends. A rule is named by its number in the configuration.

use tidings_http::authorize::{AuthorizeRule, RuleCounts};

use super::exposition::Exposition;
use super::exposition::Kind::{Counter, Gauge};

pub(super) fn write<'a>(
    page: &mut Exposition,
    rules: impl Iterator<Item = (&'a AuthorizeRule, &'a RuleCounts, bool)>,
) {
    let rules: Vec<_> = rules.enumerate().collect();
    let rules = || rules.iter().map(|(place, rule)| ((place + 1).to_string(), rule));
    let help = "Questions to backends, by what they answered.";
    page.family("tidings_authorize_questions_total", Counter, help);
    for (number, (_, counts, _)) in rules() {
        for (outcome, count) in counts.questions() {
            page.sample(&[("rule", &number), ("outcome", outcome)], count as f64);
        }
    }
    let help = "Requests that needed no question of their own; kept: an answer was kept, joined: a \
                question was under way.";
    page.family("tidings_authorize_saved_total", Counter, help);
    for (number, (_, counts, _)) in rules() {
        for (how, count) in counts.saved() {
            page.sample(&[("rule", &number), ("how", how)], count as f64);
        }
    }
    let help = "Requests without an answer of a backend, by reason.";
    page.family("tidings_authorize_unavailable_total", Counter, help);
    for (number, (_, counts, _)) in rules() {
        for (reason, count) in counts.unavailable() {
            page.sample(&[("rule", &number), ("reason", reason)], count as f64);
        }
    }
    let help = "Streams that run now and are asked about again.";
    page.family("tidings_authorize_streams", Gauge, help);
    for (number, (_, counts, _)) in rules() {
        page.sample(&[("rule", &number)], counts.streams() as f64);
    }
    let help = "1: the backend fails, and one question in a while is asked.";
    page.family("tidings_authorize_failing", Gauge, help);
    for (number, (.., is_failing)) in rules() {
        page.sample(&[("rule", &number)], f64::from(u8::from(*is_failing)));
    }
}
