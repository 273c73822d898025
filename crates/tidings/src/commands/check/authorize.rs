//! The rules by which a backend is asked, as `tidings check` shows them: with their defaults.

use tidings_server::{AuthorizeAction, AuthorizeRule, OnFailure};

use crate::settings::{Origin, format_duration};

/// The lines about a rule, and how much it can ask.
pub(super) fn rule(rule: &AuthorizeRule, origin: &Origin) -> Vec<String> {
    let mut lines = vec![format!("[[authorize]] {:<30} # {origin}", format!("{:?}", rule.place()))];
    let texts = |names: Vec<String>| format!("[{}]", names.join(", "));
    let quoted = |name: &dyn ToString| format!("{:?}", name.to_string());
    let mut list = |name, items: Vec<String>| {
        lines.extend((!items.is_empty()).then(|| format!("  {name} = {}", texts(items))));
    };
    list("topics", rule.topics().iter().map(|topic| quoted(topic)).collect());
    list("cookies", rule.cookies().iter().map(|name| quoted(name)).collect());
    list("forward", rule.forward().iter().map(|name| quoted(name)).collect());
    list("actions", rule.actions.iter().map(|action| quoted(&action.name())).collect());
    let on_failure = match rule.on_failure {
        OnFailure::Refuse => "refuse",
        OnFailure::AllowCached => "allow-cached",
    };
    lines.push(format!(
        "  send-topics = {}, send-address = {}",
        rule.send_topics, rule.send_address
    ));
    lines.push(format!(
        "  answers count for {}, refusals for {}; {on_failure} if it fails, streams go on for {}",
        format_duration(rule.cache),
        format_duration(rule.cache_refused),
        format_duration(rule.stale_max),
    ));
    let at_once = rule.concurrency;
    lines.push(format!(
        "  at most {at_once} questions at once, {} a second if each takes 100 ms, at least {} a \
         second",
        at_once * 10,
        per_second_at_least(rule),
    ));
    if rule.actions.contains(&AuthorizeAction::Publish) && rule.cookies().is_empty() {
        lines.push("  publishing needs only the headers, so pages of other origins may not".into());
    }
    lines
}

/// Questions a second where each takes as long as it may.
fn per_second_at_least(rule: &AuthorizeRule) -> String {
    let rate = rule.concurrency as f64 / rule.timeout.as_secs_f64();
    format!("{rate:.0}")
}
