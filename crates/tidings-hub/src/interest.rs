use std::sync::Arc;

use crate::draft::{Draft, Kind};
use crate::matcher::Matcher;
use crate::topic::Topic;
use crate::visibility::Visibility;

/// What a subscriber wants and may have: the key by which subscribers form groups.
///
/// An event is delivered if one of its topics matches one of the wanted matchers and, where its
/// [`Visibility`] requires it, one of its topics (not necessarily the same one) matches one of the
/// matchers for that visibility.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interest {
    wanted: Arc<[Matcher]>,
    /// Needed for events whose topics decide; `None` if the grant was found to cover all that is
    /// wanted.
    by_topic: Option<Arc<[Matcher]>>,
    /// Needed for public events; `None` if every subscriber may have them.
    public: Option<Arc<[Matcher]>>,
    /// Needed for private events.
    private: Arc<[Matcher]>,
    /// Whether it is the hub's own, for its notes.
    notes: bool,
}

impl Interest {
    /// Wants `wanted`, all of which it may read, and may have private events on `private`. Order
    /// and repetition do not matter.
    pub fn new(wanted: Vec<Matcher>, private: Vec<Matcher>) -> Self {
        let (wanted, private) = (canonical(wanted), canonical(private));
        Self { wanted, by_topic: None, public: None, private, notes: false }
    }

    /// The same for a reader whose matchers were not compared with its grant: of the events whose
    /// topics decide, it gets those on the private matchers and those on `open`.
    #[must_use]
    pub fn within_topics(self, open: &[Matcher]) -> Self {
        let readable = canonical(self.private.iter().chain(open).cloned().collect());
        Self { by_topic: Some(readable).filter(|readable| !has_all(readable)), ..self }
    }

    /// The same for a reader that may have nothing outside the private matchers, public or not.
    #[must_use]
    pub fn within_grant(self) -> Self {
        self.within_grant_and(&[])
    }

    /// The same for a reader that may also have the events on `open`, unless they are private.
    #[must_use]
    pub fn within_grant_and(self, open: &[Matcher]) -> Self {
        let granted = match open {
            [] => Arc::clone(&self.private),
            _ => canonical(self.private.iter().chain(open).cloned().collect()),
        };
        let granted = Some(granted).filter(|granted| !has_all(granted));
        Self { by_topic: granted.clone(), public: granted, ..self }
    }

    /// Wants everything and may have everything.
    pub fn everything() -> Self {
        Self::new(vec![Matcher::All], vec![Matcher::All])
    }

    /// The hub's own interest in its [notes](Kind::Note).
    pub fn notes() -> Self {
        Self { notes: true, ..Self::new(vec![Matcher::Exact(Topic::of_notes())], Vec::new()) }
    }

    /// The matchers, in canonical order.
    pub fn wanted(&self) -> &[Matcher] {
        &self.wanted
    }

    /// The matchers whose private events it may have, in canonical order.
    pub fn private(&self) -> &[Matcher] {
        &self.private
    }

    /// The matchers that it is restricted to, where what it wants was not compared with what it may
    /// have.
    pub fn granted(&self) -> Option<&[Matcher]> {
        self.public.as_deref()
    }

    /// Whether the event is to be delivered.
    pub fn admits(&self, event: &Draft) -> bool {
        let is_readable = event.kind.is_event() || (self.notes && event.kind == Kind::Note);
        is_readable && self.wants(event) && self.may_have(event)
    }

    /// Whether one of the event's topics matches one of the matchers.
    pub fn wants(&self, event: &Draft) -> bool {
        matches_any(&self.wanted, event)
    }

    /// Whether the event's visibility lets this reader have it.
    pub fn may_have(&self, event: &Draft) -> bool {
        let needed = match event.visibility {
            Visibility::ByTopic => self.by_topic.as_ref(),
            Visibility::Public => self.public.as_ref(),
            Visibility::Private => Some(&self.private),
        };
        needed.is_none_or(|needed| matches_any(needed, event))
    }

    /// Whether it may have an event on `topic` whose visibility its topic decides.
    pub fn may_read(&self, topic: &Topic) -> bool {
        let needed = self.by_topic.as_ref();
        needed.is_none_or(|needed| needed.iter().any(|matcher| matcher.matches(topic)))
    }

    /// Whether it may have every wanted event that is not private: then a store need not look at
    /// each one.
    pub fn may_have_unless_private(&self) -> bool {
        self.by_topic.is_none() && self.public.is_none()
    }

    /// The topics, if nothing but exact topics is wanted: then an index can find their events.
    pub fn exact_topics(&self) -> Option<Vec<&Topic>> {
        self.wanted.iter().map(Matcher::as_exact).collect()
    }
}

fn matches_any(matchers: &[Matcher], event: &Draft) -> bool {
    matchers.iter().any(|matcher| event.topics().any(|topic| matcher.matches(topic)))
}

fn has_all(matchers: &[Matcher]) -> bool {
    matchers.contains(&Matcher::All)
}

/// Sorts by text and drops repetitions; a matcher for everything makes the others redundant.
fn canonical(mut matchers: Vec<Matcher>) -> Arc<[Matcher]> {
    if has_all(&matchers) {
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
        draft.visibility = if private { Visibility::Private } else { Visibility::ByTopic };
        draft
    }

    fn public(topic: &str) -> Draft {
        Draft { visibility: Visibility::Public, ..draft(&[topic], false) }
    }

    #[test]
    fn the_same_matchers_in_another_order_are_the_same_interest() {
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
    fn a_reader_by_topic_gets_granted_open_and_public_events_and_nothing_else() {
        let all = || Interest::new(vec![Matcher::All], vec![matcher("mine/*")]);
        let reader = all().within_topics(&[matcher("news/**")]);
        for (event, expected) in [
            (draft(&["mine/1"], false), true),
            (draft(&["news/1"], false), true),
            (draft(&["other"], false), false),
            (draft(&["other", "mine/1"], false), true),
            (public("other"), true),
            (draft(&["mine/1"], true), true),
            (draft(&["news/1"], true), false),
        ] {
            assert_eq!(reader.admits(&event), expected, "{event:?}");
        }
        assert!(reader.may_read(&Topic::new("news/1").expect("a topic")));
        assert!(!reader.may_read(&Topic::new("other").expect("a topic")));
        assert!(!reader.may_have_unless_private());
    }

    #[test]
    fn a_reader_held_to_its_grant_gets_nothing_beyond_it() {
        let all = |granted| Interest::new(vec![Matcher::All], granted);
        let reader = all(vec![matcher("mine/*")]).within_grant();
        for (topic, expected) in [("mine/1", true), ("other", false)] {
            assert_eq!(reader.admits(&public(topic)), expected, "{topic}");
            assert_eq!(reader.admits(&draft(&[topic], false)), expected, "{topic}");
            assert_eq!(reader.admits(&draft(&[topic], true)), expected, "{topic}");
        }
        assert!(!all(Vec::new()).within_grant().admits(&public("mine/1")));
        // A reader granted everything is in the same group as one that is not held to its grant.
        let everything = || all(vec![Matcher::All]);
        assert_eq!(everything().within_grant(), everything());
        assert_eq!(everything().within_topics(&[]), everything());
    }

    #[test]
    fn exact_topics_are_known_only_if_every_matcher_is_exact() {
        let exact = Interest::new(vec![matcher("a"), matcher("b")], vec![]);
        assert_eq!(exact.exact_topics().map(|topics| topics.len()), Some(2));
        assert_eq!(Interest::new(vec![matcher("a"), matcher("b/*")], vec![]).exact_topics(), None);
    }
}
