//! `[[authorize]]`: the rules by which a backend is asked.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use tidings_server::{AuthorizeAction, OnFailure};
use toml::de::DeTable;

use super::{Reader, take_one};
use crate::settings::keys::{AUTHORIZE_KEYS, AUTHORIZE_LISTS};
use crate::settings::layer::AuthorizeTable;
use crate::settings::value;

type Entries = BTreeMap<&'static str, Vec<String>>;

impl Reader<'_> {
    pub(super) fn authorize_table(
        &mut self,
        span: Range<usize>,
        entries: &DeTable<'_>,
    ) -> Option<AuthorizeTable> {
        let mut entries = self.entries(entries, &AUTHORIZE_KEYS, &AUTHORIZE_LISTS)?;
        let entries = &mut entries;
        let mut time = |reader: &mut Self, name, parse: fn(&str) -> Result<Duration, String>| {
            reader.value(&span, entries, name, parse)
        };
        let (some, any) = (value::parse_duration, value::parse_duration_or_zero);
        let [cache, timeout] = ["cache", "timeout"].map(|name| time(self, name, some));
        let [cache_refused, wait, stale_max] =
            ["cache-refused", "wait", "stale-max"].map(|name| time(self, name, any));
        let table = AuthorizeTable {
            url: take_one(entries, "url").unwrap_or_default(),
            topics: entries.remove("topics").unwrap_or_default(),
            cookies: entries.remove("cookies").unwrap_or_default(),
            forward: entries.remove("forward").unwrap_or_default(),
            send_topics: self.value(&span, entries, "send-topics", value::boolean),
            send_address: self.value(&span, entries, "send-address", value::boolean),
            actions: self.actions(&span, entries),
            cache,
            cache_refused,
            timeout,
            concurrency: self.value(&span, entries, "concurrency", value::count),
            waiting: self.value(&span, entries, "waiting", value::count),
            wait,
            on_failure: self.value(&span, entries, "on-failure", on_failure),
            stale_max,
            origin: self.place(span.clone()),
        };
        if table.url.is_empty() {
            self.wrong(span, "a rule of `authorize` needs the `url` of the backend to ask");
        }
        Some(table)
    }

    fn actions(
        &mut self,
        span: &Range<usize>,
        entries: &mut Entries,
    ) -> Option<Vec<AuthorizeAction>> {
        let words = entries.remove("actions")?;
        let mut actions = Vec::with_capacity(words.len());
        for word in words {
            match &*word {
                "subscribe" => actions.push(AuthorizeAction::Subscribe),
                "publish" => actions.push(AuthorizeAction::Publish),
                _ => {
                    let message = format!("actions: {word:?} is none of subscribe, publish");
                    self.wrong(span.clone(), message);
                }
            }
        }
        Some(actions)
    }

    /// The value of an entry that need not be there.
    pub(super) fn value<T>(
        &mut self,
        span: &Range<usize>,
        entries: &mut Entries,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let parsed = parse(&take_one(entries, name)?);
        parsed.map_err(|problem| self.wrong(span.clone(), format!("{name}: {problem}"))).ok()
    }
}

fn on_failure(text: &str) -> Result<OnFailure, String> {
    match text {
        "refuse" => Ok(OnFailure::Refuse),
        "allow-cached" => Ok(OnFailure::AllowCached),
        _ => Err(format!("{text:?} is none of refuse, allow-cached")),
    }
}
