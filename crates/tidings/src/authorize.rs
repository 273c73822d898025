//! The rules by which a backend is asked, for the server's configuration.

use tidings_server::AuthorizeRule;

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::keys;
use crate::settings::AuthorizeTable;

/// A rule.
///
/// # Errors
///
/// A part of the table is wrong.
pub(crate) fn rule(table: &AuthorizeTable) -> Result<AuthorizeRule, CliError> {
    let wrong = |error| {
        let message = format!("{}: the rule is wrong", table.origin);
        CliError::new(ExitCode::Configuration, message).because(error)
    };
    let topics = keys::matchers(&table.topics).map_err(wrong)?;
    let rule = AuthorizeRule::new(&table.url, topics, &table.cookies, &table.forward);
    let mut rule = rule.map_err(wrong)?;
    set(&mut rule.send_topics, table.send_topics);
    set(&mut rule.send_address, table.send_address);
    set(&mut rule.actions, table.actions.clone());
    set(&mut rule.cache, table.cache);
    set(&mut rule.cache_refused, table.cache_refused);
    set(&mut rule.timeout, table.timeout);
    set(&mut rule.concurrency, table.concurrency);
    set(&mut rule.waiting, table.waiting);
    set(&mut rule.wait, table.wait);
    set(&mut rule.on_failure, table.on_failure);
    set(&mut rule.stale_max, table.stale_max);
    Ok(rule)
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
