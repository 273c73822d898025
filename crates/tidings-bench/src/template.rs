use std::fmt;

/// Text with placeholders: `{topic}`, `{data}`, `{id}` and `{n}`. Any other brace is text, so JSON
/// needs no escaping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(Place),
}

/// A placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Topic,
    Data,
    Id,
    Number,
}

/// The values of a [`Template`]'s placeholders for one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Values<'a> {
    /// `{topic}`
    pub(crate) topic: &'a str,
    /// `{data}`
    pub(crate) data: &'a [u8],
    /// `{id}`: one per event
    pub(crate) id: &'a str,
    /// `{n}`: the number of the subscriber, or of the topic where a topic is named
    pub(crate) number: usize,
}

impl Template {
    /// Finds the placeholders in `text`. Every text is a template.
    pub fn new(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((at, name, place)) = next_place(rest) {
            if at > 0 {
                pieces.push(Piece::Text(rest[..at].to_owned()));
            }
            pieces.push(Piece::Place(place));
            rest = &rest[at + name.len()..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Self { pieces }
    }

    /// Whether it contains `{topic}` or `{n}`.
    pub(crate) fn names_topic(&self) -> bool {
        let names = |piece: &Piece| matches!(piece, Piece::Place(Place::Topic | Place::Number));
        self.pieces.iter().any(names)
    }

    /// Appends the filled template.
    pub(crate) fn fill(&self, values: &Values<'_>, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Place(Place::Topic) => out.extend_from_slice(values.topic.as_bytes()),
                Piece::Place(Place::Data) => out.extend_from_slice(values.data),
                Piece::Place(Place::Id) => out.extend_from_slice(values.id.as_bytes()),
                Piece::Place(Place::Number) => {
                    out.extend_from_slice(values.number.to_string().as_bytes());
                }
            }
        }
    }

    /// The filled template as text.
    pub(crate) fn text(&self, values: &Values<'_>) -> String {
        let mut out = Vec::new();
        self.fill(values, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Place(place) => f.write_str(place.name())?,
            }
        }
        Ok(())
    }
}

impl Place {
    const ALL: [Self; 4] = [Self::Topic, Self::Data, Self::Id, Self::Number];

    const fn name(self) -> &'static str {
        match self {
            Self::Topic => "{topic}",
            Self::Data => "{data}",
            Self::Id => "{id}",
            Self::Number => "{n}",
        }
    }
}

fn next_place(text: &str) -> Option<(usize, &'static str, Place)> {
    let found = |place: Place| text.find(place.name()).map(|at| (at, place.name(), place));
    Place::ALL.into_iter().filter_map(found).min_by_key(|(at, ..)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_other_braces_are_text() {
        let template = Template::new(r#"{"t":"{topic}","d":"{data}","x":{y},"n":{n}}"#);
        let values = Values { topic: "a", data: b"b", id: "c", number: 7 };
        assert_eq!(template.text(&values), r#"{"t":"a","d":"b","x":{y},"n":7}"#);
    }

    #[test]
    fn a_template_is_displayed_as_it_was_written() {
        let text = "/events/{topic}?id={id}";
        assert_eq!(Template::new(text).to_string(), text);
    }
}
