//! `StateMap`: folds the events of a state. No I/O.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::Value;

use crate::{MessageEvent, StateError};

/// A key has another value, or was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The topic.
    pub topic: String,
    /// The key; `""` for events without a key, of which the last one counts.
    pub key: String,
    /// The value from now on; `None` if the key was removed.
    pub value: Option<String>,
    /// The value before; `None` if the key was not there.
    pub before: Option<String>,
}

type Values = BTreeMap<String, BTreeMap<String, String>>;

/// What each key of some topics stands for.
#[derive(Debug)]
pub(crate) struct StateMap {
    shown: Values,
    /// What becomes that when it is complete; `None` where changes are shown as they come.
    coming: Option<Values>,
    changes: VecDeque<Change>,
    is_complete: bool,
}

/// An event as the hub wraps it (`?envelope=json`), as far as it matters here.
#[derive(Deserialize)]
struct Envelope {
    topic: String,
    #[serde(default)]
    key: String,
    /// Whether the data is all of the value from now on, or a piece that is added to it.
    #[serde(default = "yes")]
    whole: bool,
    /// Of a piece: a JSON pointer to the string that grows, if it is not all of the text.
    at: Option<String>,
    data: String,
}

fn yes() -> bool {
    true
}

/// The data of `tidings.removed`, and of a `tidings.reset` that is about one topic.
#[derive(Deserialize)]
struct About {
    topic: Option<String>,
    #[serde(default)]
    key: String,
}

impl StateMap {
    pub(crate) fn new() -> Self {
        let (shown, changes) = (Values::new(), VecDeque::new());
        Self { shown, coming: Some(Values::new()), changes, is_complete: false }
    }

    pub(crate) fn take(&mut self, event: &MessageEvent) -> Result<(), StateError> {
        match event.event_type() {
            "message" => self.take_value(event.json().map_err(StateError::Event)?)?,
            "tidings.state" => self.complete(),
            "tidings.removed" => {
                let about: About = event.json().map_err(StateError::Event)?;
                self.set(&about.topic.unwrap_or_default(), &about.key, None);
            }
            "tidings.reset" => {
                let about: About = event.json().map_err(StateError::Event)?;
                self.reset(about.topic);
            }
            // Others of the hub's own, such as the end of a topic.
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn next_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }

    pub(crate) fn get(&self, topic: &str, key: &str) -> Option<&str> {
        self.shown.get(topic)?.get(key).map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.shown.iter().flat_map(|(topic, values)| {
            values.iter().map(move |(key, value)| (topic.as_str(), key.as_str(), value.as_str()))
        })
    }

    fn take_value(&mut self, event: Envelope) -> Result<(), StateError> {
        let held = self.coming.as_ref().unwrap_or(&self.shown);
        let before = held.get(&event.topic).and_then(|values| values.get(&event.key));
        let value = match before {
            _ if event.whole => event.data,
            // Retention has dropped what it continues: the value is no part of the state.
            None => return Ok(()),
            Some(before) => match &event.at {
                Some(at) => joined(before, &event.data, at)
                    .ok_or_else(|| StateError::Piece { key: event.key.clone() })?,
                None => format!("{before}{}", event.data),
            },
        };
        self.set(&event.topic, &event.key, Some(value));
        Ok(())
    }

    fn set(&mut self, topic: &str, key: &str, value: Option<String>) {
        let is_shown = self.coming.is_none();
        let values = self.coming.as_mut().unwrap_or(&mut self.shown);
        let values = values.entry(topic.to_owned()).or_default();
        let before = match &value {
            Some(value) => values.insert(key.to_owned(), value.clone()),
            None => values.remove(key),
        };
        if is_shown && before != value {
            let (topic, key) = (topic.to_owned(), key.to_owned());
            self.changes.push_back(Change { topic, key, value, before });
        }
    }

    /// All of the state is here: what has come of it is shown at once.
    fn complete(&mut self) {
        let Some(coming) = self.coming.take() else { return };
        let is_gone = |(topic, key): &(String, String)| {
            !coming.get(topic).is_some_and(|values| values.contains_key(key))
        };
        for (topic, key) in self.keys().into_iter().filter(is_gone) {
            self.set(&topic, &key, None);
        }
        for (topic, values) in coming {
            for (key, value) in values {
                self.set(&topic, &key, Some(value));
            }
        }
        if !self.is_complete {
            self.changes.clear();
        }
        self.is_complete = true;
    }

    /// All of the state comes next; or one topic was erased, and nothing else.
    fn reset(&mut self, topic: Option<String>) {
        let Some(topic) = topic else {
            self.coming = Some(Values::new());
            return;
        };
        let held = self.coming.as_ref().unwrap_or(&self.shown);
        let keys: Vec<_> = held.get(&topic).into_iter().flat_map(BTreeMap::keys).cloned().collect();
        for key in keys {
            self.set(&topic, &key, None);
        }
    }

    fn keys(&self) -> Vec<(String, String)> {
        self.iter().map(|(topic, key, _)| (topic.to_owned(), key.to_owned())).collect()
    }
}

/// The newest piece, with its string at this JSON pointer added to the one in the value before;
/// `None` if there is no string in one of them.
fn joined(before: &str, piece: &str, at: &str) -> Option<String> {
    let old: Value = serde_json::from_str(before).ok()?;
    let mut new: Value = serde_json::from_str(piece).ok()?;
    let Value::String(grows) = new.pointer_mut(at)? else { return None };
    grows.insert_str(0, old.pointer(at)?.as_str()?);
    Some(new.to_string())
}
