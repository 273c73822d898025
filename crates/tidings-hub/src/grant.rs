use crate::matcher::Matcher;
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// What the bearer of a token may do, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Topics it may publish to.
    pub publish: Vec<Matcher>,
    /// Topics it may subscribe to.
    pub subscribe: Vec<Matcher>,
    /// When it ends; a stream opened with it ends then too.
    pub expires: Option<Timestamp>,
}

impl Grant {
    /// Everything, for ever: what an open hub grants to every client.
    pub fn everything() -> Self {
        Self { publish: vec![Matcher::All], subscribe: vec![Matcher::All], expires: None }
    }

    /// Nothing.
    pub fn nothing() -> Self {
        Self { publish: Vec::new(), subscribe: Vec::new(), expires: None }
    }

    /// Whether an event may be published to `topic`.
    pub fn may_publish(&self, topic: &Topic) -> bool {
        self.publish.iter().any(|matcher| matcher.matches(topic))
    }

    /// Whether everything that `asked` can match may be subscribed to.
    pub fn may_subscribe(&self, asked: &Matcher) -> bool {
        self.subscribe.iter().any(|granted| asked.is_covered_by(granted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_must_cover_the_whole_matcher() {
        let matcher = |text| Matcher::parse(text).expect("a valid matcher");
        let grant = Grant { subscribe: vec![matcher("a/*")], ..Grant::nothing() };
        assert!(grant.may_subscribe(&matcher("a/b")));
        assert!(grant.may_subscribe(&matcher("a/*")));
        assert!(!grant.may_subscribe(&matcher("a/**")));
        assert!(!grant.may_publish(&Topic::new("a/b").expect("a valid topic")));
    }
}
