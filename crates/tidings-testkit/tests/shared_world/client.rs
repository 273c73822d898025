use tidings_hub::{
    EventId, Interest, Log, Matcher, Outcome, Position, ReadQuery, ResolveError, Resolved, Start,
    Topic,
};

use super::world::Bug;

/// A subscriber that comes back with the last id it got, to any hub.
#[derive(Debug)]
pub(crate) struct Client {
    /// The hub it is connected to, and that hub's run.
    pub(crate) at: Option<(usize, u64)>,
    pub(crate) topic: Option<Topic>,
    /// The last id that it got.
    pub(crate) last_id: Option<String>,
    /// Position after which its events begin.
    pub(crate) start: u64,
    /// What it got since: position and payload.
    pub(crate) got: Vec<(u64, String)>,
    /// Whether it resumed with an id that a publisher gave, and that alone cannot tell: either its
    /// event was lost, and no hub that had followed the event had said so yet; or retention had
    /// dropped its event, and its publisher had used the id again.
    pub(crate) is_excused: bool,
    /// Position that its stream has reached.
    reached: Position,
    /// Position up to which it knows that events may be missing.
    pub(crate) told: Position,
}

/// How a hub answered a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is connected, and nothing is missing.
    Connected,
    /// It was given a reset, after these events.
    Reset { had: Vec<(u64, String)>, last_id: String },
    /// It has to come back.
    ComeBack,
}

impl Client {
    pub(crate) fn new(topic: Option<Topic>) -> Self {
        Self {
            at: None,
            topic,
            last_id: None,
            start: 0,
            got: Vec::new(),
            is_excused: false,
            reached: Position::ZERO,
            told: Position::ZERO,
        }
    }

    pub(crate) fn interest(&self) -> Interest {
        match &self.topic {
            None => Interest::everything(),
            Some(topic) => {
                let matchers = vec![Matcher::Exact(topic.clone())];
                Interest::new(matchers.clone(), matchers)
            }
        }
    }

    /// Connects to a hub with this store. `follow` makes the hub follow the log once more.
    pub(crate) fn connect(
        &mut self,
        store: &dyn Log,
        bug: Bug,
        live: bool,
        mut follow: impl FnMut(),
    ) -> Answer {
        let start = match &self.last_id {
            None if live => Start::Live,
            None => Start::Earliest,
            Some(id) if bug == Bug::NoCheck => Start::After(without_check(id)),
            Some(id) => Start::After(id.clone()),
        };
        // What the engine does with an id that the hub cannot place: wait, then ask for a proof.
        let mut is_proved = false;
        for _ in 0..4 {
            let (after, otherwise) = match start.resolve(store, &self.interest()) {
                Ok(resolved) => return self.begin(store, resolved),
                Err(ResolveError::NotYet { after, otherwise }) => (Some(after), otherwise),
                Err(ResolveError::Unproved { otherwise }) if is_proved => {
                    return self.begin(store, otherwise);
                }
                Err(ResolveError::Unproved { otherwise }) => (None, otherwise),
                Err(ResolveError::Read(_)) => return Answer::ComeBack,
            };
            follow();
            if after.is_some_and(|after| store.bounds().head >= after) {
                continue;
            }
            match store.shared().unwrap().prove_head() {
                Ok(head) if after.is_some_and(|after| head < after) => {
                    return self.begin(store, otherwise);
                }
                Ok(_) => is_proved = true,
                Err(_) => return Answer::ComeBack,
            }
        }
        Answer::ComeBack
    }

    fn begin(&mut self, store: &dyn Log, resolved: Resolved) -> Answer {
        let Ok(mark) = store.mark(resolved.position) else { return Answer::ComeBack };
        let here = mark.event_id(store.identity().epoch).to_string();
        self.reached = resolved.position;
        self.told = self.told.max(resolved.told);
        match resolved.outcome {
            Outcome::Live => {
                self.start = resolved.position.get();
                self.last_id = Some(here);
                Answer::Connected
            }
            Outcome::Resumed | Outcome::State { .. } => {
                if self.last_id.is_none() {
                    self.start = resolved.position.get();
                    self.last_id = Some(here);
                }
                self.go_back(store, resolved.position);
                Answer::Connected
            }
            Outcome::Reset { .. } => {
                self.start = resolved.position.get();
                self.is_excused = false;
                let had = std::mem::take(&mut self.got);
                let last_id = self.last_id.replace(here).unwrap_or_default();
                Answer::Reset { had, last_id }
            }
        }
    }

    /// Forgets what it gets again, if the log has its last event twice, and the hub continues after
    /// the first of the two: the hub that took the repetition had dropped the first one already. A
    /// subscriber's id can mean either, and after the older one nothing is missing. A hub that is
    /// behind may not have the second one yet.
    fn go_back(&mut self, store: &dyn Log, position: Position) {
        let Some(id) = self.last_id.as_deref().and_then(Self::given_id) else { return };
        let has_id = |position: Position| {
            let page = store.read(&ReadQuery::one(position)).unwrap_or_default();
            page.records.first().is_some_and(|record| record.id.as_ref() == Some(&id))
        };
        let head = store.bounds().head;
        let is_older = |(last, _): &(u64, String)| {
            let last = Position::new(*last);
            last > position && (last > head || has_id(last))
        };
        if self.got.last().is_some_and(is_older) && has_id(position) {
            self.start = self.start.min(position.get());
            self.got.retain(|(at, _)| *at <= position.get());
        }
    }

    /// Reads at most `count` events. Returns `false` if the stream ends, as events that come next
    /// are gone.
    pub(crate) fn read(&mut self, store: &dyn Log, count: usize) -> bool {
        let page = store.read(&ReadQuery {
            after: self.reached,
            upto: store.bounds().head,
            told: self.told,
            interest: Some(&self.interest()),
            records_max: count,
            ..ReadQuery::everything()
        });
        let Ok(page) = page else { return false };
        self.reached = page.reached.max(self.reached);
        for record in &page.records {
            self.got.push((record.position().get(), record.data.to_string()));
            self.last_id = Some(record.event_id(store.identity().epoch).to_string());
        }
        true
    }

    /// Whether it has all of `expected`, but for what it knows may be missing, and nothing else.
    pub(crate) fn has<'a>(
        &self,
        mut expected: impl Iterator<Item = (&'a u64, &'a String)>,
    ) -> bool {
        let mut got = self.got.iter().peekable();
        let has_all = expected.all(|(position, payload)| {
            let is_next = |one: &&(u64, String)| (&one.0, &one.1) == (position, payload);
            got.next_if(is_next).is_some() || *position <= self.told.get()
        });
        has_all && got.next().is_none()
    }

    /// Whether there is more in the store than it has read.
    pub(crate) fn is_behind(&self, store: &dyn Log) -> bool {
        self.reached < store.bounds().head
    }

    /// The id if a publisher gave it.
    pub(crate) fn given_id(id: &str) -> Option<EventId> {
        id.starts_with("id-").then(|| EventId::new(id).unwrap())
    }
}

fn without_check(id: &str) -> String {
    match Client::given_id(id) {
        Some(_) => id.to_owned(),
        None => id.split('.').next().unwrap_or_default().to_owned(),
    }
}
