use crate::matcher::Matcher;
use crate::timestamp::Timestamp;
use crate::topic::Topic;

/// What the bearer of a credential may do, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Topics it may publish to.
    pub publish: Vec<Matcher>,
    /// Topics it may subscribe to.
    pub subscribe: Vec<Matcher>,
    /// Topics whose events it may erase; the right to publish does not imply it.
    pub erase: Vec<Matcher>,
    /// Topics whose readers it may know by name; the right to read does not imply it.
    pub presence: Vec<Matcher>,
    /// What it may do with the hub itself.
    pub operate: Operate,
    /// When it ends; a stream opened with it ends then too.
    pub expires: Option<Timestamp>,
}

/// What a grant allows with the hub itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operate {
    /// Reading metrics, statistics and the list of connections. A bearer that may read every topic
    /// may do that as well.
    pub look: bool,
    /// Closing connections, and keeping their users away.
    pub kick: bool,
}

impl Grant {
    /// Everything, for ever: what an open hub grants to every client.
    pub fn everything() -> Self {
        let all = || vec![Matcher::All];
        Self {
            publish: all(),
            subscribe: all(),
            erase: all(),
            presence: all(),
            operate: Operate { look: true, kick: true },
            expires: None,
        }
    }

    /// Nothing.
    pub fn nothing() -> Self {
        Self {
            publish: Vec::new(),
            subscribe: Vec::new(),
            erase: Vec::new(),
            presence: Vec::new(),
            operate: Operate::default(),
            expires: None,
        }
    }

    /// Whether an event may be published to `topic`.
    pub fn may_publish(&self, topic: &Topic) -> bool {
        self.publish.iter().any(|matcher| matcher.matches(topic))
    }

    /// Whether events of `topic` may be erased.
    pub fn may_erase(&self, topic: &Topic) -> bool {
        self.erase.iter().any(|matcher| matcher.matches(topic))
    }

    /// Whether everything that `asked` can match may be subscribed to.
    pub fn may_subscribe(&self, asked: &Matcher) -> bool {
        self.subscribe.iter().any(|granted| asked.is_covered_by(granted))
    }

    /// Whether metrics, statistics and connections may be read.
    pub fn may_look(&self) -> bool {
        self.operate.look || self.may_subscribe(&Matcher::All)
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
        assert!(!grant.may_look());
    }

    #[test]
    fn whoever_may_read_everything_may_look_but_not_kick() {
        let reader = Grant { subscribe: vec![Matcher::All], ..Grant::nothing() };
        assert!(reader.may_look());
        assert!(!reader.operate.kick);
    }
}
