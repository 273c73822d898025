//! `[[notify]]`: the receivers of what happens to connections.

use std::ops::Range;

use toml::de::DeTable;

use super::{Reader, take_one};
use crate::settings::keys::{NOTIFY_KEYS, NOTIFY_LISTS};
use crate::settings::layer::NotifyTable;
use crate::settings::value;

impl Reader<'_> {
    pub(super) fn notify_table(
        &mut self,
        span: Range<usize>,
        entries: &DeTable<'_>,
    ) -> Option<NotifyTable> {
        let mut entries = self.entries(entries, &NOTIFY_KEYS, &NOTIFY_LISTS)?;
        let entries = &mut entries;
        let files = entries.remove("secret-file").unwrap_or_default();
        let table = NotifyTable {
            url: take_one(entries, "url").unwrap_or_default(),
            secrets: entries.remove("secret").unwrap_or_default(),
            secret_files: files.iter().map(|file| self.beside(file)).collect(),
            addresses: self.value(&span, entries, "addresses", value::boolean),
            origin: self.place(span.clone()),
        };
        if table.url.is_empty() {
            self.wrong(span.clone(), "a receiver of `notify` needs the `url` to send to");
        }
        if table.secrets.is_empty() == table.secret_files.is_empty() {
            let message = "a receiver of `notify` needs either `secret` or `secret-file`";
            self.wrong(span, message);
        }
        Some(table)
    }
}
