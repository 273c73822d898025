//! `[[retention]]`: rules for what is kept of some topics.

use std::ops::Range;

use tidings_hub::Matcher;
use tidings_store_disk::limits::RULE_NAME_BYTES_MAX;
use tidings_store_disk::{Promise, Rule};
use toml::de::DeTable;

use super::{Reader, take_one};
use crate::settings::keys::RETENTION_KEYS;
use crate::settings::layer::RetentionTable;
use crate::settings::value;

impl Reader<'_> {
    pub(super) fn retention_table(
        &mut self,
        span: Range<usize>,
        entries: &DeTable<'_>,
    ) -> Option<RetentionTable> {
        let mut entries = self.entries(entries, &RETENTION_KEYS, &["topics"])?;
        let entries = &mut entries;
        let texts = entries.remove("topics").unwrap_or_default();
        let mut topics = Vec::with_capacity(texts.len());
        for text in &texts {
            match Matcher::parse(text) {
                Ok(matcher) => topics.push(matcher),
                Err(error) => self.wrong(span.clone(), format!("topics: {text:?}: {error}")),
            }
        }
        let name = take_one(entries, "name").or_else(|| texts.first().cloned()).unwrap_or_default();
        let keep_last = self.value(&span, entries, "keep-last", keep_last).map(Promise::Last);
        let has_state = self.value(&span, entries, "state", value::boolean) == Some(true);
        if has_state && keep_last.is_some() {
            let message = "a rule of `retention` has either `keep-last` or `state`";
            self.wrong(span.clone(), message);
        }
        let rule = Rule {
            name: name.as_str().into(),
            topics,
            age: self.value(&span, entries, "age", value::parse_duration),
            bytes: self.value(&span, entries, "bytes", value::parse_bytes),
            promise: keep_last.or(has_state.then_some(Promise::State)),
        };
        if texts.is_empty() {
            self.wrong(span.clone(), "a rule of `retention` needs the `topics` that it is for");
        }
        if (rule.age, rule.bytes, rule.promise) == (None, None, None) {
            let message = "a rule of `retention` needs `age`, `bytes`, `keep-last` or `state`";
            self.wrong(span.clone(), message);
        }
        if name.len() > RULE_NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let message = format!("name: at most {RULE_NAME_BYTES_MAX} visible bytes");
            self.wrong(span.clone(), message);
        }
        Some(RetentionTable { rule, origin: self.place(span) })
    }
}

fn keep_last(text: &str) -> Result<std::num::NonZeroU32, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number of events from 1 on"))
}
