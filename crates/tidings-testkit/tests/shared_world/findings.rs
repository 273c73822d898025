use std::collections::BTreeMap;

/// What came out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Clients that miss events, or have others, and were not given a reset.
    pub(crate) silent: u64,
    /// Resets of clients whose place was in the log.
    pub(crate) needless: u64,
    /// Events that were acknowledged and not in the log, or are missing although the engine lost
    /// nothing.
    pub(crate) missing: u64,
    /// Events that are in the log although a hub said that they were not stored.
    pub(crate) denied: u64,
    /// Events with an id that are in the log twice.
    pub(crate) twice: u64,
    /// Hubs whose log is another one.
    pub(crate) differing: u64,
    /// Hubs that do not reach the end of the log, although nothing fails any more.
    pub(crate) stuck: u64,
    /// Events that a rule promises to keep and a hub does not have.
    pub(crate) broken: u64,
    /// Hubs that did not start again because their copy was useless.
    pub(crate) refused: u64,
    pub(crate) seen: BTreeMap<&'static str, u64>,
}

impl Findings {
    pub(crate) fn is_wrong(&self) -> bool {
        let Self {
            silent,
            needless,
            missing,
            denied,
            twice,
            differing,
            stuck,
            broken,
            refused,
            ..
        } = self;
        let hubs = differing + stuck + broken + refused;
        silent + needless + missing + denied + twice + hubs > 0
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.silent += other.silent;
        self.needless += other.needless;
        self.missing += other.missing;
        self.denied += other.denied;
        self.twice += other.twice;
        self.differing += other.differing;
        self.stuck += other.stuck;
        self.broken += other.broken;
        self.refused += other.refused;
        for (what, count) in &other.seen {
            *self.seen.entry(what).or_default() += count;
        }
    }

    /// The run must have exercised everything.
    pub(crate) fn assert_everything_happened(&self) {
        self.assert_seen(&[
            "acknowledged",
            "away",
            "undecided",
            "repeated",
            "overtaken",
            "lost",
            "void",
            "forked",
            "renamed",
            "restarted",
            "killed",
            "wiped",
            "resumed",
            "reset",
            "come back",
            "given id reset",
        ]);
    }

    pub(crate) fn assert_seen(&self, all: &[&str]) {
        for what in all {
            assert!(self.seen.contains_key(what), "{what} never happened: {self:?}");
        }
    }

    pub(crate) fn note(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.seen.entry(what).or_default() += count;
        }
    }
}
