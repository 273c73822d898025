//! A configuration file as a layer. Everything that is wrong with it is named by line and column.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{KEY_TABLE_KEYS, KEY_TABLES, KEYS, Key, likely};
use super::layer::{Given, KeyTable, Layer, Origin, SettingProblem};
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
    Reader { path, text: &text, problems: Vec::new() }.read().map_err(CliError::settings)
}

/// The layer at the bottom.
pub(super) fn defaults() -> Layer {
    let text = super::DEFAULT_FILE;
    let reader = Reader { path: Path::new("default.toml"), text, problems: Vec::new() };
    let mut layer = reader.read().expect("the default file is sound; a test reads it");
    for given in layer.values.values_mut() {
        given.origin = Origin::Default;
    }
    layer
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    problems: Vec<SettingProblem>,
}

impl Reader<'_> {
    fn read(mut self) -> Result<Layer, Vec<SettingProblem>> {
        let table = match DeTable::parse(self.text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let message = error.message().lines().collect::<Vec<_>>().join(", ");
                let origin = self.place(error.span().unwrap_or(0..0));
                return Err(vec![SettingProblem::at(origin, message)]);
            }
        };
        let mut layer = Layer::default();
        for (name, value) in &table {
            let text: &str = name.get_ref();
            if text == KEY_TABLES {
                layer.keys = self.key_tables(value);
            } else if let Some(key) = Key::named(text) {
                if let Some(texts) = self.texts(key.name, key.is_list, value) {
                    let origin = self.place(name.span());
                    layer.values.insert(key.name, Given { texts, origin });
                }
            } else {
                let names = KEYS.iter().map(|key| key.name).chain([KEY_TABLES]);
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

    fn key_tables(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<KeyTable> {
        let tables = value.get_ref().as_array().map(|tables| tables.iter());
        let Some(tables) = tables else {
            self.wrong(value.span(), "write `[[keys]]`, with two brackets, for each key");
            return Vec::new();
        };
        let mut keys = Vec::new();
        for table in tables {
            match table.get_ref() {
                DeValue::Table(entries) => keys.extend(self.key_table(table.span(), entries)),
                _ => self.wrong(table.span(), "write `[[keys]]`, and its values below"),
            }
        }
        keys
    }

    fn key_table(&mut self, span: Range<usize>, entries: &DeTable<'_>) -> Option<KeyTable> {
        let mut key = KeyTable {
            name: String::new(),
            key: None,
            key_file: None,
            publish: Vec::new(),
            subscribe: Vec::new(),
            origin: self.place(span.clone()),
        };
        for (name, value) in entries {
            let text: &str = name.get_ref();
            let is_list = matches!(text, "publish" | "subscribe");
            if !KEY_TABLE_KEYS.contains(&text) {
                self.unknown(name.span(), text, KEY_TABLE_KEYS.into_iter());
                continue;
            }
            let mut texts = self.texts(text, is_list, value)?;
            match text {
                "publish" => key.publish = texts,
                "subscribe" => key.subscribe = texts,
                "name" => key.name = texts.swap_remove(0),
                "key" => key.key = Some(texts.swap_remove(0)),
                _ => {
                    let folder = self.path.parent().unwrap_or(Path::new(""));
                    key.key_file = Some(folder.join(PathBuf::from(texts.swap_remove(0))));
                }
            }
        }
        if key.name.is_empty() {
            self.wrong(span.clone(), "a key needs a `name`, by which the log calls it");
        }
        if key.key.is_some() == key.key_file.is_some() {
            self.wrong(span, "a key needs either `key` or `key-file`");
        }
        Some(key)
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

fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}
