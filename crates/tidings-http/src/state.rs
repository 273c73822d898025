//! The state shared by everything that answers requests.

use std::sync::{Arc, OnceLock};

use http::request::Parts;
use tidings_engine::{Engine, PublishError, PublishStream, StreamError};
use tidings_hub::{Appended, Draft, Wire};
use tokio::sync::watch;

use crate::auth::Auth;
use crate::client::Client;
use crate::config::HttpConfig;
use crate::counts::Counts;
use crate::hubs::Hubs;
use crate::key_share::KeyShare;
use crate::notify::{Announced, Notifier, Opened, ReceiverCounts};
use crate::present::{Arrivals, Present};
use crate::problem::Problem;
use crate::quota::Quotas;
use crate::response_body::Response;
use crate::stage::Stage;
use crate::trace::{self, Step};
use crate::whole_body::BodyRoom;

/// The state shared by everything that answers requests.
pub struct State {
    engine: Engine,
    config: HttpConfig,
    auth: Auth,
    is_open: bool,
    quotas: Quotas,
    counts: Arc<Counts>,
    arrivals: Arrivals,
    /// `None` without receivers.
    notifier: Option<Arc<Notifier>>,
    /// Set once, if the log is shared with other hubs.
    hubs: OnceLock<Arc<Hubs>>,
    body_room: BodyRoom,
    stage: watch::Receiver<Stage>,
    /// For a hub without a server: while this exists, the hub is not shutting down.
    _serving: Option<watch::Sender<Stage>>,
}

impl State {
    /// For a server that publishes its progress as `stage`. `has_face_keys` says whether a protocol
    /// has keys of its own.
    pub(crate) fn new(
        engine: Engine,
        config: HttpConfig,
        has_face_keys: bool,
        stage: watch::Receiver<Stage>,
    ) -> Self {
        let is_open = config.is_open(has_face_keys);
        let auth = Auth::new(&config, is_open);
        let quotas = Quotas::new(&config);
        let notifier = Notifier::new(&config.notify, engine.run());
        let body_room = BodyRoom::new(config.event_bytes_max, config.body_pause_max);
        Self {
            engine,
            config,
            auth,
            is_open,
            quotas,
            counts: Arc::default(),
            arrivals: Arrivals::default(),
            notifier,
            hubs: OnceLock::new(),
            body_room,
            stage,
            _serving: None,
        }
    }

    /// For an application that serves connections itself: it drains the engine when it shuts down.
    pub fn without_server(engine: Engine, config: HttpConfig, has_face_keys: bool) -> Self {
        let stage = watch::Sender::new(Stage::Serving);
        Self {
            _serving: Some(stage.clone()),
            ..Self::new(engine, config, has_face_keys, stage.subscribe())
        }
    }

    /// The engine that keeps and delivers events.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How the server is configured.
    pub fn config(&self) -> &HttpConfig {
        &self.config
    }

    /// Keys and tokens, and what callers may do.
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// Whether a request without a token may do everything.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Limits per address and per token.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// The counters of the server.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// The subscribers of this moment.
    pub fn present(&self) -> Present<'_> {
        Present { engine: &self.engine, arrivals: &self.arrivals }
    }

    /// Subscribers on their way to the engine.
    pub(crate) fn arrivals(&self) -> &Arrivals {
        &self.arrivals
    }

    /// Tells receivers of a stream, until its end.
    pub(crate) fn announce(&self, opened: Opened<'_>) -> Option<Arc<Announced>> {
        let notifier = self.notifier.as_ref()?;
        Some(Arc::new(Announced::new(notifier, opened)))
    }

    /// Begins to tell receivers who is connected.
    pub(crate) fn start_notifying(&self) {
        if let Some(notifier) = &self.notifier {
            notifier.start();
        }
    }

    /// Sends them the last news of connections, as far as they take it at once.
    pub(crate) async fn finish_notifying(&self) {
        if let Some(notifier) = &self.notifier {
            notifier.finish().await;
        }
    }

    /// What became of what each receiver was to be told, and the number of facts that wait.
    pub fn notified(&self) -> impl Iterator<Item = (&ReceiverCounts, usize)> {
        self.notifier.iter().flat_map(|notifier| notifier.receivers())
    }

    /// Connects the hub with the others on the same log. Only the first call counts.
    pub fn join(&self, wire: Arc<dyn Wire>) {
        self.hubs.get_or_init(|| Arc::new(Hubs::new(self.engine.run(), wire)));
    }

    /// The other hubs on the same log, if it is shared.
    pub fn hubs(&self) -> Option<&Arc<Hubs>> {
        self.hubs.get()
    }

    /// Room for the bodies that are read whole.
    pub fn body_room(&self) -> &BodyRoom {
        &self.body_room
    }

    /// The engine for a publisher with this share.
    pub fn engine_for(&self, share: Option<&Arc<KeyShare>>) -> Engine {
        self.engine.with_topic_share(share.and_then(|share| share.topics().cloned()))
    }

    /// Appends events to the log, and waits until they are stored. New topics count in the share of
    /// their publisher.
    pub fn publish(
        &self,
        share: Option<&Arc<KeyShare>>,
        drafts: Vec<Draft>,
    ) -> impl Future<Output = Result<Vec<Appended>, PublishError>> + Send + use<> {
        let step = Step::Commit { events: drafts.len() };
        let engine = self.engine_for(share);
        trace::step(step, async move { engine.publish(drafts).await })
    }

    /// The same for all that a stream has, together or not at all.
    pub fn publish_whole(
        &self,
        stream: &PublishStream,
        drafts: Vec<Draft>,
    ) -> impl Future<Output = Result<Vec<Appended>, PublishError>> + Send + use<> {
        let step = Step::Commit { events: drafts.len() };
        trace::step(step, stream.clone().publish_whole(drafts))
    }

    /// The same for the next part of a stream.
    pub fn publish_next(
        &self,
        stream: &PublishStream,
        drafts: Vec<Draft>,
    ) -> impl Future<Output = Result<Vec<Appended>, StreamError>> + Send + use<> {
        let step = Step::Commit { events: drafts.len() };
        trace::step(step, stream.clone().publish(drafts))
    }

    /// Logs and counts a rejected request, and returns its response.
    pub fn refuse(&self, parts: &Parts, problem: Problem) -> Response {
        tracing::debug!(
            method = %parts.method,
            path = parts.uri.path(),
            client = Client::of(parts).map(|client| display(client.address)),
            code = problem.code().name(),
            detail = problem.detail(),
            "request rejected"
        );
        self.counts.refused(problem.code());
        trace::refused(problem.code().name());
        problem.into_response()
    }

    /// Whether the server is shutting down.
    pub fn is_leaving(&self) -> bool {
        *self.stage.borrow() > Stage::Serving
    }

    /// Waits until `stage` is reached. A dropped server counts as gone.
    pub fn reached(&self, stage: Stage) -> impl Future<Output = ()> + Send + use<> {
        let mut receiver = self.stage.clone();
        async move {
            let _ = receiver.wait_for(|now| *now >= stage).await;
        }
    }
}
