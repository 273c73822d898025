use std::collections::BTreeMap;
use std::fmt;

/// Settings that all hubs on a log need alike, by name, in an operator's words.
///
/// As a text: `retention-age = 7 days; retention-bytes = 1 GiB`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms(BTreeMap<String, String>);

/// A setting that this hub has otherwise than the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Name of the setting.
    pub name: String,
    /// Its value for this hub.
    pub here: String,
    /// Its value for the log.
    pub there: String,
}

impl Terms {
    /// These settings, with their values. Neither a name nor a value has `=`, `;` or a line feed.
    pub fn new(settings: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self(settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Reads the text; what is no setting in it is left out.
    pub fn parse(text: &str) -> Self {
        let parts = text.split(';').filter_map(|part| part.split_once('='));
        Self(parts.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect())
    }

    /// The note of a log that is being put into a journal and is not complete.
    pub(crate) fn incomplete() -> Self {
        Self::new([("restore", "incomplete".to_owned())])
    }

    /// Whether it has that note.
    pub(crate) fn are_incomplete(&self) -> bool {
        self.0.contains_key("restore")
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The settings that these, a hub's, have otherwise than `log`. A setting that only one of both
    /// knows, as with a hub of another version, is no difference.
    pub fn differences(&self, log: &Self) -> Vec<Difference> {
        let both = self.0.iter().filter_map(|(name, here)| Some((name, here, log.0.get(name)?)));
        both.filter(|(_, here, there)| here != there)
            .map(|(name, here, there)| {
                let [name, here, there] = [name, here, there].map(Clone::clone);
                Difference { name, here, there }
            })
            .collect()
    }

    /// These settings, and those of `log` that are not among them.
    #[must_use]
    pub(crate) fn over(&self, log: &Self) -> Self {
        let mut all = log.0.clone();
        all.extend(self.0.clone());
        Self(all)
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{name} = {value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, here, there } = self;
        write!(f, "{name} is {here} here and {there} for the log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back_from_their_text_and_are_compared_by_name() {
        let own =
            Terms::new([("max-topics", "7".to_owned()), ("retention-age", "7 days".to_owned())]);
        assert_eq!(Terms::parse(&own.to_string()), own);
        assert_eq!(own.differences(&own), []);
        let log = Terms::parse("retention-age = 1 day; of-later = x; nonsense");
        let differences = own.differences(&log);
        assert_eq!(differences.len(), 1);
        let words = differences[0].to_string();
        assert_eq!(words, "retention-age is 7 days here and 1 day for the log");
        let all = "max-topics = 7; of-later = x; retention-age = 7 days";
        assert_eq!(own.over(&log).to_string(), all);
    }
}
