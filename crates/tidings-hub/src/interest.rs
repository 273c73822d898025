use std::sync::Arc;

use crate::draft::Draft;
use crate::error::ReadError;
use crate::matcher::Matcher;
use crate::position::Position;
use crate::store::Store;
use crate::topic::Topic;

/// What a subscriber wants and may have: the key by which subscribers form groups.
///
/// An event is delivered if one of its topics matches one of the matchers and, if the event is
/// private, one of its topics (not necessarily the same) matches one of the private matchers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interest {
    wanted: Arc<[Matcher]>,
    private: Arc<[Matcher]>,
}

impl Interest {
    /// Wants `wanted` and may have private events on `private`. Order and repetition carry no
    /// meaning.
    pub fn new(wanted: Vec<Matcher>, private: Vec<Matcher>) -> Self {
        Self { wanted: canonical(wanted), private: canonical(private) }
    }

    /// Wants everything and may have everything.
    pub fn everything() -> Self {
        Self::new(vec![Matcher::All], vec![Matcher::All])
    }

    /// The matchers, in canonical order.
    pub fn wanted(&self) -> &[Matcher] {
        &self.wanted
    }

    /// Whether the event is to be delivered.
    pub fn admits(&self, event: &Draft) -> bool {
        self.wants(event) && self.may_have(event)
    }

    /// Whether one of the event's topics matches one of the matchers.
    pub fn wants(&self, event: &Draft) -> bool {
        matches_any(&self.wanted, event)
    }

    /// Whether the event is public, or private and granted.
    pub fn may_have(&self, event: &Draft) -> bool {
        !event.private || matches_any(&self.private, event)
    }

    /// The topics, if nothing but exact topics is wanted: then an index can find their events.
    pub fn exact_topics(&self) -> Option<Vec<&Topic>> {
        self.wanted.iter().map(Matcher::as_exact).collect()
    }

    /// The topics that have ended, each with the position of its end, if nothing but exact topics
    /// is wanted: others have none that could be the last.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store cannot be read.
    pub fn ended_topics(&self, store: &dyn Store) -> Result<Vec<(Topic, Position)>, ReadError> {
        let mut ended = Vec::new();
        for topic in self.exact_topics().unwrap_or_default() {
            if let Some(state) = store.topic(topic)?.filter(|state| state.ended) {
                ended.push((state.topic, state.last));
            }
        }
        Ok(ended)
    }
}

fn matches_any(matchers: &[Matcher], event: &Draft) -> bool {
    matchers.iter().any(|matcher| event.topics().any(|topic| matcher.matches(topic)))
}

/// Sorts by the words and drops repetitions; a matcher for everything makes the others needless.
fn canonical(mut matchers: Vec<Matcher>) -> Arc<[Matcher]> {
    if matchers.contains(&Matcher::All) {
        return Arc::new([Matcher::All]);
    }
    matchers.sort_by_cached_key(|matcher| {
        let kind = match matcher {
            Matcher::All => 0,
            Matcher::Exact(_) => 1,
            Matcher::Segments(_) => 2,
            Matcher::Custom(_) => 3,
        };
        (kind, matcher.to_string())
    });
    matchers.dedup();
    matchers.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(text: &str) -> Matcher {
        Matcher::parse(text).expect("a valid matcher")
    }

    fn draft(topics: &[&str], private: bool) -> Draft {
        let mut topics = topics.iter().map(|topic| Topic::new(topic).expect("a valid topic"));
        let mut draft = Draft::new(topics.next().expect("at least one topic"), "");
        draft.alternates = topics.collect();
        draft.private = private;
        draft
    }

    #[test]
    fn the_same_wishes_in_another_order_are_the_same_interest() {
        let one = Interest::new(vec![matcher("a"), matcher("b/*"), matcher("a")], vec![]);
        let other = Interest::new(vec![matcher("b/*"), matcher("a")], vec![]);
        assert_eq!(one, other);
        let all = Interest::new(vec![matcher("a"), Matcher::All], vec![]);
        assert_eq!(all.wanted(), &[Matcher::All]);
    }

    #[test]
    fn a_private_event_needs_a_grant_on_any_of_its_topics() {
        let interest = Interest::new(vec![matcher("book")], vec![matcher("user/1")]);
        assert!(interest.admits(&draft(&["book"], false)));
        assert!(!interest.admits(&draft(&["book"], true)));
        assert!(interest.admits(&draft(&["book", "user/1"], true)));
        assert!(!interest.admits(&draft(&["user/1"], true)));
    }

    #[test]
    fn exact_topics_are_known_only_if_all_are_exact() {
        let exact = Interest::new(vec![matcher("a"), matcher("b")], vec![]);
        assert_eq!(exact.exact_topics().map(|topics| topics.len()), Some(2));
        assert_eq!(Interest::new(vec![matcher("a"), matcher("b/*")], vec![]).exact_topics(), None);
    }
}
