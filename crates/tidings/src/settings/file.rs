//! A configuration file as a layer. Everything that is wrong with it is named by line and column.

mod authorize;
mod notify;
mod retention;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use tidings_hub::Operate;
use tidings_server::KeyLimits;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::default_file::written;
use super::given::Given;
use super::keys::{
    AUTHORIZE_TABLES, JWT_KEY_TABLE_KEYS, JWT_KEY_TABLES, KEY_TABLE_KEYS, KEY_TABLE_LISTS,
    KEY_TABLES, LINK_KEY_TABLE_KEYS, LINK_KEY_TABLES, MAX_CONNECTIONS, MAX_PUBLISH_BYTES,
    MAX_TOPICS, NOTIFY_TABLES, RETENTION_TABLES, likely,
};
use super::layer::{JwtKeyTable, KeyTable, Layer, LinkKeyTable, Role, SettingProblem};
use super::origin::Origin;
use super::table::{SETTINGS, Table};
use super::value;
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// Reads the file at `path`.
///
/// # Errors
///
/// It cannot be read, or something in it is wrong.
pub(crate) fn read_file(path: &Path) -> Result<Layer, CliError> {
    let text = fs::read_to_string(path).map_err(|error| {
        let message = format!("the configuration file {} cannot be read", path.display());
        CliError::new(ExitCode::Configuration, message).because(error)
    })?;
    read(SETTINGS, path, &text).map_err(CliError::settings)
}

/// Reads `text`, which stands in the file at `path`, with the settings of `table`.
///
/// # Errors
///
/// Everything that is wrong in it.
pub(super) fn read(table: Table, path: &Path, text: &str) -> Result<Layer, Vec<SettingProblem>> {
    Reader { table, path, text, problems: Vec::new() }.read()
}

/// The layer at the bottom: the defaults of `table`.
pub(super) fn defaults(table: Table) -> Layer {
    let layer = read(table, Path::new("default.toml"), &written(table));
    let mut layer = layer.expect("the default file is sound; a test reads it");
    for given in layer.values.values_mut() {
        given.origin = Origin::Default;
    }
    layer
}

struct Reader<'a> {
    table: Table,
    path: &'a Path,
    text: &'a str,
    problems: Vec<SettingProblem>,
}

impl Reader<'_> {
    fn read(mut self) -> Result<Layer, Vec<SettingProblem>> {
        let entries = match DeTable::parse(self.text) {
            Ok(entries) => entries.into_inner(),
            Err(error) => {
                let message = error.message().lines().collect::<Vec<_>>().join(", ");
                let origin = self.place(error.span().unwrap_or(0..0));
                return Err(vec![SettingProblem::at(origin, message)]);
            }
        };
        let mut layer = Layer::default();
        for (name, value) in &entries {
            let text: &str = name.get_ref();
            if text == KEY_TABLES {
                layer.keys = self.tables(text, value, Self::key_table);
            } else if text == JWT_KEY_TABLES {
                layer.jwt_keys = self.tables(text, value, Self::jwt_key_table);
            } else if text == LINK_KEY_TABLES {
                layer.link_keys = self.tables(text, value, Self::link_key_table);
            } else if text == AUTHORIZE_TABLES {
                layer.authorize = self.tables(text, value, Self::authorize_table);
            } else if text == NOTIFY_TABLES {
                layer.notify = self.tables(text, value, Self::notify_table);
            } else if text == RETENTION_TABLES {
                layer.retention = self.tables(text, value, Self::retention_table);
            } else if let Some(setting) = self.table.named(text) {
                if let Some(texts) = self.texts(setting.name, setting.is_list(), value) {
                    let origin = self.place(name.span());
                    layer.values.insert(setting.name, Given { texts, origin });
                }
            } else {
                let names = self.table.settings().map(|setting| setting.name);
                let tables = [
                    KEY_TABLES,
                    JWT_KEY_TABLES,
                    LINK_KEY_TABLES,
                    AUTHORIZE_TABLES,
                    NOTIFY_TABLES,
                    RETENTION_TABLES,
                ];
                let names = names.chain(tables);
                self.unknown(name.span(), text, names);
            }
        }
        // The map is in the order of names; people read from the top.
        self.problems.sort_by_key(|problem| match problem.origin {
            Origin::File { line, column, .. } => (line, column),
            _ => (0, 0),
        });
        if self.problems.is_empty() { Ok(layer) } else { Err(self.problems) }
    }

    /// The texts of a value, or of each one in a list.
    fn texts(
        &mut self,
        key: &str,
        is_list: bool,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Vec<String>> {
        let items = match value.get_ref() {
            DeValue::Array(items) if is_list => items.iter().collect(),
            _ => vec![value],
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match text_of(item.get_ref()) {
                Some(text) => texts.push(text),
                None => {
                    let kind = item.get_ref().type_str();
                    let message = format!("{key} cannot be of the type {kind}");
                    self.wrong(item.span(), message);
                    return None;
                }
            }
        }
        Some(texts)
    }

    /// The tables of a list of them, each read by `read`.
    fn tables<T>(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        read: impl Fn(&mut Self, Range<usize>, &DeTable<'_>) -> Option<T>,
    ) -> Vec<T> {
        let items = value.get_ref().as_array().map(|items| items.iter());
        let mut tables = Vec::new();
        for item in items.into_iter().flatten() {
            match item.get_ref() {
                DeValue::Table(entries) => tables.extend(read(self, item.span(), entries)),
                _ => self.wrong(item.span(), format!("write `[[{name}]]`, and its values below")),
            }
        }
        if !value.get_ref().is_array() {
            let message = format!("write `[[{name}]]`, with two brackets, for each");
            self.wrong(value.span(), message);
        }
        tables
    }

    fn key_table(&mut self, span: Range<usize>, entries: &DeTable<'_>) -> Option<KeyTable> {
        let mut entries = self.entries(entries, &KEY_TABLE_KEYS, &KEY_TABLE_LISTS)?;
        let key = KeyTable {
            name: take_one(&mut entries, "name").unwrap_or_default(),
            key: take_one(&mut entries, "key"),
            key_file: take_one(&mut entries, "key-file").map(|file| self.beside(&file)),
            publish: entries.remove("publish").unwrap_or_default(),
            subscribe: entries.remove("subscribe").unwrap_or_default(),
            erase: entries.remove("erase").unwrap_or_default(),
            presence: entries.remove("presence").unwrap_or_default(),
            operate: self.operate(&span, &entries.remove("operate").unwrap_or_default()),
            limits: self.key_limits(&span, &mut entries),
            origin: self.place(span.clone()),
        };
        if key.name.is_empty() {
            self.wrong(span.clone(), "a key needs a `name`, by which the log calls it");
        }
        self.check_key(span, key.key.is_some(), key.key_file.is_some());
        Some(key)
    }

    fn link_key_table(
        &mut self,
        span: Range<usize>,
        entries: &DeTable<'_>,
    ) -> Option<LinkKeyTable> {
        let mut entries = self.entries(entries, &LINK_KEY_TABLE_KEYS, &["topics"])?;
        let key = LinkKeyTable {
            id: take_one(&mut entries, "id").unwrap_or_default(),
            secret: take_one(&mut entries, "secret"),
            secret_file: take_one(&mut entries, "secret-file").map(|file| self.beside(&file)),
            topics: entries.remove("topics").unwrap_or_default(),
            origin: self.place(span.clone()),
        };
        if key.id.is_empty() {
            self.wrong(span.clone(), "a key that signs links needs an `id`, which links name");
        }
        if key.topics.is_empty() {
            let message = "a key that signs links needs `topics`: it signs links to no others";
            self.wrong(span.clone(), message);
        }
        if key.secret.is_some() == key.secret_file.is_some() {
            let message = "a key that signs links needs either `secret` or `secret-file`";
            self.wrong(span, message);
        }
        Some(key)
    }

    /// What a key allows with the hub itself.
    fn operate(&mut self, span: &Range<usize>, words: &[String]) -> Operate {
        let mut operate = Operate::default();
        for word in words {
            match &**word {
                "look" => operate.look = true,
                "kick" => operate.kick = true,
                _ => {
                    let message = format!("operate: {word:?} is none of look, kick");
                    self.wrong(span.clone(), message);
                }
            }
        }
        operate
    }

    fn jwt_key_table(&mut self, span: Range<usize>, entries: &DeTable<'_>) -> Option<JwtKeyTable> {
        let mut entries = self.entries(entries, &JWT_KEY_TABLE_KEYS, &[])?;
        let role = match take_one(&mut entries, "role").as_deref() {
            None => None,
            Some("publisher") => Some(Role::Publisher),
            Some("subscriber") => Some(Role::Subscriber),
            Some(other) => {
                let message = format!("the role {other:?} is none of publisher, subscriber");
                self.wrong(span.clone(), message);
                None
            }
        };
        let key = JwtKeyTable {
            algorithm: take_one(&mut entries, "algorithm").unwrap_or_default(),
            key: take_one(&mut entries, "key"),
            key_file: take_one(&mut entries, "key-file").map(|file| self.beside(&file)),
            url: take_one(&mut entries, "url"),
            role,
            issuer: take_one(&mut entries, "issuer"),
            limits: self.key_limits(&span, &mut entries),
            origin: self.place(span.clone()),
        };
        if key.algorithm.is_empty() && key.url.is_none() {
            self.wrong(span.clone(), "a key that signs tokens needs an `algorithm`");
        }
        let places = [key.key.is_some(), key.key_file.is_some(), key.url.is_some()];
        if places.iter().filter(|place| **place).count() != 1 {
            let message = "a key that signs tokens needs one of `key`, `key-file` and `url`";
            self.wrong(span, message);
        }
        Some(key)
    }

    /// The limits that the bearers of a key share.
    fn key_limits(
        &mut self,
        span: &Range<usize>,
        entries: &mut BTreeMap<&'static str, Vec<String>>,
    ) -> KeyLimits {
        KeyLimits {
            connections_max: self.limit(span, entries, MAX_CONNECTIONS, value::unlimited_or_count),
            publish_bytes_max: self.limit(
                span,
                entries,
                MAX_PUBLISH_BYTES,
                value::unlimited_or_bytes,
            ),
            topics_max: self.limit(span, entries, MAX_TOPICS, value::unlimited_or_count),
        }
    }

    /// One of them; `None` is no limit.
    fn limit<T>(
        &mut self,
        span: &Range<usize>,
        entries: &mut BTreeMap<&'static str, Vec<String>>,
        name: &str,
        parse: impl Fn(&str) -> Result<Option<T>, String>,
    ) -> Option<T> {
        let parsed = parse(&take_one(entries, name)?);
        let limit =
            parsed.map_err(|problem| self.wrong(span.clone(), format!("{name}: {problem}")));
        limit.ok().flatten()
    }

    /// The texts of a table, by name. `None` if one cannot be read.
    fn entries(
        &mut self,
        entries: &DeTable<'_>,
        names: &[&'static str],
        lists: &[&str],
    ) -> Option<BTreeMap<&'static str, Vec<String>>> {
        let mut read = BTreeMap::new();
        for (typed, value) in entries {
            let text: &str = typed.get_ref();
            match names.iter().find(|name| **name == text) {
                Some(name) => {
                    read.insert(*name, self.texts(name, lists.contains(name), value)?);
                }
                None => self.unknown(typed.span(), text, names.iter().copied()),
            }
        }
        Some(read)
    }

    fn check_key(&mut self, span: Range<usize>, has_key: bool, has_file: bool) {
        if has_key == has_file {
            self.wrong(span, "a key needs either `key` or `key-file`");
        }
    }

    /// A path that begins in the folder of the file.
    fn beside(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    fn unknown<'n>(
        &mut self,
        span: Range<usize>,
        typed: &str,
        names: impl Iterator<Item = &'n str>,
    ) {
        let hint = likely(typed, names).map(|name| format!("did you mean `{name}`?"));
        let origin = self.place(span);
        let problem = SettingProblem::at(origin, format!("unknown key `{typed}`"));
        self.problems.push(problem.hint(hint));
    }

    fn wrong(&mut self, span: Range<usize>, message: impl Into<String>) {
        let origin = self.place(span);
        self.problems.push(SettingProblem::at(origin, message));
    }

    fn place(&self, span: Range<usize>) -> Origin {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |feed| feed + 1);
        Origin::File {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

fn take_one(entries: &mut BTreeMap<&'static str, Vec<String>>, name: &str) -> Option<String> {
    entries.remove(name)?.pop()
}

fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}
